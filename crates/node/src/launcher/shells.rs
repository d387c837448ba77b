//! Cells that wait, made but for their program, for the next process of a server: at most one for each server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use cella_cell::{Spec, Warm};

use crate::load::{Loaded, Served};

/// By server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shells {
    kept: Arc<Mutex<BTreeMap<Box<str>, Kept>>>,
}

#[derive(Debug)]
struct Kept {
    /// Of the configuration that it is from.
    digest: [u8; 32],
    warm: Warm,
}

// === impl Shells ===

impl Shells {
    /// Keeps one for the next process that is started as this one was, in place of any other of this server.
    pub(crate) fn keep(
        &self,
        loaded: &ArcSwap<Loaded>,
        served: &Served,
        spec: &Spec,
        begin: impl FnOnce(&Spec) -> Option<Warm>,
    ) {
        let name = served.config.name.as_str();
        let mut kept = self.lock();
        // Under the lock under which those of an older configuration are dropped: none is kept after that.
        let is_current = loaded.load().servers.get(name).is_some_and(|now| now.digest == served.digest);
        if !is_current || kept.get(name).is_some_and(|kept| kept.warm.is_for(spec)) {
            return;
        }
        kept.remove(name);
        if let Some(warm) = begin(spec) {
            kept.insert(name.into(), Kept { digest: served.digest, warm });
        }
    }

    /// Drops those of servers that are gone or have changed. What runs is not touched.
    pub(crate) fn retain(&self, loaded: &Loaded) {
        let is_current =
            |name: &str, kept: &Kept| loaded.servers.get(name).is_some_and(|now| now.digest == kept.digest);
        self.lock().retain(|name, kept| is_current(name, kept));
    }

    /// Drops all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The process ids of those that wait for this server.
    pub(crate) fn pids(&self, server: &str) -> Vec<u32> {
        self.lock().get(server).map_or_else(Vec::new, |kept| kept.warm.pids())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
