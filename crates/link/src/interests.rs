//! What the owner of a link wants to hear of, kept so that it can be asked for again after a reconnection.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_mcp::{LogLevel, Object, Raw, member, modern::ListenFilter};
use tokio::sync::watch;

use super::{LinkOptions, limits::WATCHED_MAX, terms::Terms};
use cella_transport::Caller;

/// What is wanted of a server.
#[derive(Debug)]
pub(super) struct Interests {
    /// Cella as a caller. Declares all that Cella can carry, so that no server shortens its lists for us.
    pub(super) cella: Arc<Caller>,
    uris: Mutex<BTreeSet<String>>,
    tasks: Mutex<BTreeSet<String>>,
    level: Mutex<Option<LogLevel>>,
    version: watch::Sender<u64>,
}

/// The table of watched resources is full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

impl Interests {
    pub(super) fn new(options: &LinkOptions) -> Arc<Self> {
        let cella = Caller {
            capabilities: options.capabilities.clone(),
            info: Some(options.info.clone()),
            ..Caller::cella()
        };
        Arc::new(Self {
            cella: Arc::new(cella),
            uris: Mutex::default(),
            tasks: Mutex::default(),
            level: Mutex::default(),
            version: watch::Sender::new(0),
        })
    }

    /// Adds a resource; false when it was there.
    pub(super) fn watch(&self, uri: &str) -> Result<bool, Full> {
        let mut uris = self.uris();
        if uris.len() >= WATCHED_MAX && !uris.contains(uri) {
            return Err(Full);
        }
        let fresh = uris.insert(uri.to_owned());
        drop(uris);
        if fresh {
            self.version.send_modify(|v| *v += 1);
        }
        Ok(fresh)
    }

    /// Removes a resource; false when it was not there.
    pub(super) fn unwatch(&self, uri: &str) -> bool {
        let known = self.uris().remove(uri);
        if known {
            self.version.send_modify(|v| *v += 1);
        }
        known
    }

    /// Adds a task.
    pub(super) fn watch_task(&self, id: &str) -> Result<(), Full> {
        let mut tasks = self.tasks();
        if tasks.len() >= WATCHED_MAX && !tasks.contains(id) {
            return Err(Full);
        }
        let fresh = tasks.insert(id.to_owned());
        drop(tasks);
        if fresh {
            self.version.send_modify(|v| *v += 1);
        }
        Ok(())
    }

    /// Removes a task.
    pub(super) fn unwatch_task(&self, id: &str) {
        let known = self.tasks().remove(id);
        if known {
            self.version.send_modify(|v| *v += 1);
        }
    }

    pub(super) fn watched(&self) -> Vec<String> {
        self.uris().iter().cloned().collect()
    }

    pub(super) fn set_level(&self, level: LogLevel) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
    }

    /// Lowers the least level of log messages; true when it was lowered.
    pub(super) fn lower_level(&self, level: LogLevel) -> bool {
        let mut least = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let lowers = least.is_none_or(|least| level < least);
        if lowers {
            *least = Some(level);
        }
        lowers
    }

    pub(super) fn level(&self) -> Option<LogLevel> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when resources or tasks are added or removed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// What to listen for at a modern server: what it can tell.
    pub(super) fn filter(&self, terms: &Terms) -> ListenFilter {
        ListenFilter {
            tools: says(terms, "tools", "listChanged"),
            prompts: says(terms, "prompts", "listChanged"),
            resources: says(terms, "resources", "listChanged"),
            uris: if says(terms, "resources", "subscribe") { self.watched() } else { Vec::new() },
            task_ids: if has_tasks(terms) { self.tasks().iter().cloned().collect() } else { Vec::new() },
        }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uris(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.uris.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server's capability has a flag.
pub(super) fn says(terms: &Terms, capability: &str, flag: &str) -> bool {
    let capability = member(&terms.facts.capabilities, capability);
    capability.and_then(|c| member(c, flag)).is_some_and(|v| v.get() == "true")
}

/// Whether a server has the tasks extension.
pub(super) fn has_tasks(terms: &Terms) -> bool {
    let extensions = member(&terms.facts.capabilities, "extensions");
    extensions.and_then(|e| member(e, "io.modelcontextprotocol/tasks")).is_some()
}

/// An empty JSON object.
pub(super) fn empty() -> Raw {
    Object::empty().to_raw()
}
