//! Which server linked to a resource that it does not list?

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use crate::uris::URI_MAX;

/// Most links that are remembered; the oldest is forgotten first. Stops results full of links from filling memory: a
/// forgotten one must be read with its server named.
const LINKS_MAX: usize = 4096;

/// The links seen lately.
#[derive(Default)]
pub(super) struct Links(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// `None` once two servers linked to it: then it must be read with its server named.
    owners: HashMap<Box<str>, Option<Arc<str>>>,
    order: VecDeque<Box<str>>,
}

impl Links {
    /// A server linked to the URI.
    pub(super) fn remember(&self, uri: &str, server: &str) {
        if uri.len() > URI_MAX {
            return;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = seen.owners.get_mut(uri) {
            if owner.as_deref().is_some_and(|o| o != server) {
                *owner = None;
            }
            return;
        }
        if seen.order.len() >= LINKS_MAX
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.owners.remove(&oldest);
        }
        seen.order.push_back(uri.into());
        seen.owners.insert(uri.into(), Some(server.into()));
    }

    /// The only server that linked to the URI.
    pub(super) fn owner(&self, uri: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).owners.get(uri).cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_two_servers_belongs_to_neither() {
        let links = Links::default();
        links.remember("x:1", "a");
        links.remember("x:1", "a");
        assert_eq!(links.owner("x:1").as_deref(), Some("a"));
        links.remember("x:1", "b");
        links.remember("x:1", "a");
        assert_eq!(links.owner("x:1"), None);
    }

    #[test]
    fn the_oldest_link_is_forgotten_first() {
        let links = Links::default();
        for i in 0..=LINKS_MAX {
            links.remember(&format!("x:{i}"), "a");
        }
        assert_eq!(links.owner("x:0"), None);
        assert!(links.owner("x:1").is_some());
    }
}
