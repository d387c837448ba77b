//! Files of two runs that differ.

use std::collections::{BTreeMap, BTreeSet};

use cella_event::{RunId, Seq};
use cella_workspace::{After, RelPath};
use serde_json::{Value, json};

use crate::{At, Luggage, LuggageError, Packed};

/// What is at a path that is not as on the host, by directory and path.
type Changed = BTreeMap<(String, RelPath), After>;

/// Files that are not the same in two runs as they ended, each with what is there on both sides. Blocking.
///
/// # Errors
/// As for [`Luggage::seen`]; what is gone is damaged or was discarded.
pub fn differing(luggage: &Luggage, left: &RunId, right: &RunId) -> Result<Vec<Value>, LuggageError> {
    let last = Seq(u64::MAX);
    let sides = [luggage.seen(left, last)?, luggage.seen(right, last)?];
    let servers: BTreeSet<&str> = sides.iter().flatten().map(|packed| packed.server.as_str()).collect();
    let mut all = Vec::new();
    for server in servers {
        let (a, b) = (changed(luggage, &sides[0], server)?, changed(luggage, &sides[1], server)?);
        let paths: BTreeSet<_> = a.keys().chain(b.keys()).collect();
        for key in paths.into_iter().filter(|key| a.get(*key) != b.get(*key)) {
            let path = format!("{}/{}", key.0, key.1);
            all.push(json!({ "server": server, "path": path, "left": word(a.get(key)), "right": word(b.get(key)) }));
        }
    }
    Ok(all)
}

fn changed(luggage: &Luggage, side: &[Packed], server: &str) -> Result<Changed, LuggageError> {
    let packed = side.iter().find(|packed| packed.server == server);
    let Some(At::Kept(id)) = packed.and_then(|packed| packed.at.as_ref()) else { return Ok(Changed::new()) };
    let gone = |source| LuggageError::Gone { server: server.to_owned(), workspace: id.clone(), source };
    let delta = luggage.found(id).and_then(|kept| luggage.store().delta(&kept)).map_err(gone)?;
    let all = delta.areas.into_iter().flat_map(|area| {
        let dir = cella_workspace::plain_path(&area.path.to_path_buf());
        area.changes.into_iter().map(move |change| ((dir.clone(), change.path), change.after))
    });
    Ok(all.collect())
}

fn word(after: Option<&After>) -> String {
    match after {
        None => "as on the host".into(),
        Some(After::Removed) => "removed".into(),
        Some(After::Directory { .. }) => "a directory".into(),
        Some(After::Link { .. }) => "a symbolic link".into(),
        Some(After::File { size, sha256, .. }) => {
            format!("{size} bytes, {}", &sha256.to_string()[..12.min(sha256.to_string().len())])
        }
    }
}
