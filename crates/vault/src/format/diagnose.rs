//! What happened to a file whose seal is genuine and was made for other lines: for the person who has to decide whether it was a disk or somebody.

use super::{Content, Item};
use crate::{Damage, Name, key::Key};

/// The damage to a content that is not what its seal was made for.
pub(super) fn damage(content: &Content, key: &Key) -> Damage {
    let changed = content.items.iter().find(|(name, item)| content.value(name, item, key).is_none());
    let Some((name, item)) = changed else { return Damage::RolledBack };
    match owner(content, item, key) {
        Some(other) => Damage::Swapped { name: name.to_string(), other: other.to_string() },
        None => Damage::Altered { entry: Some(name.to_string()) },
    }
}

/// Under which other name this was sealed: with that one's times, or with its own where the names were exchanged.
fn owner<'a>(content: &'a Content, item: &Item, key: &Key) -> Option<&'a Name> {
    let fits = |name: &Name, times: &Item| {
        let there = Item { created: times.created, updated: times.updated, sealed: item.sealed.clone() };
        content.value(name, &there, key).is_some()
    };
    content.items.iter().find(|(name, other)| fits(name, other) || fits(name, item)).map(|(name, _)| name)
}
