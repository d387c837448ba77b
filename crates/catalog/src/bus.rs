//! Who hears of which change? Nothing is lost and nothing grows without bound: what a slow client has not heard yet is kept
//! as a set, in which a second change of the same list or resource is no second entry.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cella_mcp::{Notification, Object, Raw};
use cella_transport::{Caller, Change, Interest, Scope, Watch};
use serde_json::value::RawValue;
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

use crate::{InstanceKey, followups::Client, pool::CurrentPlan, uris};

/// How long changes are collected before a client hears of them: servers that start together make one notification.
/// Well below the second within which clients are promised to hear.
const COLLECT: Duration = Duration::from_millis(50);
/// Changes that wait in the channel of one client; what does not fit waits in the set.
const WAITING_MAX: usize = 16;
/// Notifications of servers that wait for one client. Stops a server that logs without end from filling memory; past it
/// the oldest is dropped.
const TOLD_MAX: usize = 64;
/// Most resources that one client may watch. Stops a client from making us hold, and servers send, without end; the rest
/// is not granted.
pub(crate) const URIS_MAX: usize = 1024;

/// Everybody who listens.
#[derive(Default)]
pub(crate) struct Bus {
    listeners: Mutex<Listeners>,
    next: AtomicU64,
}

#[derive(Default)]
struct Listeners {
    watchers: HashMap<u64, Arc<Watcher>>,
    /// How many watch a resource, by server, instance and URI.
    counts: HashMap<Arc<str>, HashMap<InstanceKey, HashMap<Box<str>, usize>>>,
}

/// A resource that a client watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// As the client names it.
    pub(crate) uri: Box<str>,
    /// Who owns it.
    pub(crate) server: Arc<str>,
    /// As its owner names it.
    pub(crate) own: Box<str>,
    /// The instance that is meant: updates in an instance of another client are none of this one's business.
    pub(crate) key: InstanceKey,
}

/// What is watched at one server, by instance.
pub(crate) type WatchedUris = HashMap<InstanceKey, BTreeSet<Box<str>>>;

struct Watcher {
    scope: Scope,
    caller: Arc<Caller>,
    lists: Interest,
    watched: Arc<[Watched]>,
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Default)]
struct Pending {
    tools: bool,
    prompts: bool,
    resources: bool,
    updated: Vec<(Box<str>, Option<Raw>)>,
    told: VecDeque<Notification>,
}

// === impl Bus ===

impl Bus {
    /// Starts a watch; the future delivers to it and completes when the client has dropped it.
    pub(crate) fn watch(
        &self,
        scope: &Scope,
        caller: &Arc<Caller>,
        granted: Interest,
        watched: Arc<[Watched]>,
    ) -> (Watch, u64, impl Future<Output = ()> + Send + use<>) {
        let (sender, changes) = mpsc::channel(WAITING_MAX);
        let watcher = Arc::new(Watcher {
            scope: scope.clone(),
            caller: caller.clone(),
            lists: granted.clone(),
            watched,
            pending: Mutex::default(),
            wake: Notify::new(),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut listeners = self.lock();
        listeners.count(&watcher.watched);
        listeners.watchers.insert(id, watcher.clone());
        drop(listeners);
        (Watch { granted, changes, settled: None }, id, async move { watcher.deliver(sender).await })
    }

    /// Forgets a watch.
    pub(crate) fn forget(&self, id: u64) {
        let mut listeners = self.lock();
        if let Some(gone) = listeners.watchers.remove(&id) {
            listeners.discount(&gone.watched);
        }
    }

    /// A list of a server has changed.
    pub(crate) fn changed(&self, plan: &CurrentPlan, server: &str, change: &Change) {
        self.tell(|watcher| watcher.hears_of(plan, server), change);
    }

    /// What is offered has changed as a whole.
    pub(crate) fn everything_changed(&self) {
        for change in [Change::Tools, Change::Prompts, Change::Resources] {
            self.tell(|_| true, &change);
        }
    }

    /// A resource of a server was updated in this instance.
    pub(crate) fn updated(
        &self,
        plan: &CurrentPlan,
        server: &str,
        key: &InstanceKey,
        own: &str,
        params: Option<&Raw>,
    ) {
        let meant = |w: &&Watched| &*w.server == server && w.key == *key && covers(&w.own, own);
        for watcher in self.lock().watchers.values().filter(|w| w.hears_of(plan, server)) {
            for watched in watcher.watched.iter().filter(meant) {
                watcher.updated(watched, own, params);
            }
        }
    }

    /// A server has something more to say to one client, after its call.
    pub(crate) fn told(&self, plan: &CurrentPlan, server: &str, client: &Client, note: &Notification) {
        let meant = |w: &&Arc<Watcher>| {
            w.hears_of(plan, server)
                && w.caller.hears_unasked()
                && Client::of(&w.caller).as_ref() == Some(client)
        };
        for watcher in self.lock().watchers.values().filter(meant) {
            watcher.told(watcher.in_its_names(server, note));
        }
    }

    /// A server logs something outside of any call. What it logs may be the business of whoever called last, so it is for
    /// the sessions of one principal only: when several use the server, for nobody.
    pub(crate) fn logged(&self, plan: &CurrentPlan, server: &str, key: &InstanceKey, note: &Notification) {
        let watchers = &self.lock().watchers;
        let concerned = || {
            let of_instance = |w: &&Arc<Watcher>| match key {
                InstanceKey::Shared => true,
                InstanceKey::Client { principal, session } => {
                    w.caller.principal == *principal && w.caller.session == *session
                }
                InstanceKey::Run { .. } => false,
            };
            watchers.values().filter(|w| w.hears_of(plan, server)).filter(of_instance)
        };
        let Some(first) = concerned().next() else { return };
        if concerned().all(|w| w.caller.principal == first.caller.principal) {
            concerned().filter(|w| w.caller.hears_unasked()).for_each(|w| w.told(note.clone()));
        }
    }

    /// What somebody watches at a server.
    pub(crate) fn watched_at(&self, server: &str) -> WatchedUris {
        let listeners = self.lock();
        let by_key = listeners.counts.get(server).into_iter().flatten();
        by_key.map(|(key, uris)| (key.clone(), uris.keys().cloned().collect())).collect()
    }

    /// True when somebody watches the same resource in the same instance.
    pub(crate) fn is_watched(&self, watched: &Watched) -> bool {
        let listeners = self.lock();
        let uris = listeners.counts.get(&watched.server).and_then(|by_key| by_key.get(&watched.key));
        uris.is_some_and(|uris| uris.contains_key(&watched.own))
    }

    fn tell(&self, who: impl Fn(&Watcher) -> bool, change: &Change) {
        self.lock().watchers.values().filter(|w| who(w)).for_each(|watcher| watcher.list_changed(change));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Listeners ===

impl Listeners {
    fn count(&mut self, watched: &[Watched]) {
        for w in watched {
            let by_key = self.counts.entry(w.server.clone()).or_default();
            *by_key.entry(w.key.clone()).or_default().entry(w.own.clone()).or_default() += 1;
        }
    }

    fn discount(&mut self, watched: &[Watched]) {
        for w in watched {
            let Some(by_key) = self.counts.get_mut(&w.server) else { continue };
            let Some(uris) = by_key.get_mut(&w.key) else { continue };
            if let Some(count) = uris.get_mut(&w.own) {
                *count -= 1;
                if *count == 0 {
                    uris.remove(&w.own);
                }
            }
            if uris.is_empty() {
                by_key.remove(&w.key);
            }
            if by_key.is_empty() {
                self.counts.remove(&w.server);
            }
        }
    }
}

// === impl Watcher ===

impl Watcher {
    fn hears_of(&self, plan: &CurrentPlan, server: &str) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Server(name) => &**name == server,
            Scope::View(name) => plan.views.get(name).is_some_and(|view| view.concerns(server)),
        }
    }

    /// The notification with task ids as a client of many servers knows them.
    fn in_its_names(&self, server: &str, note: &Notification) -> Notification {
        if matches!(self.scope, Scope::Server(_)) {
            return note.clone();
        }
        let mut params = Object::parse_or_empty(note.params.as_deref());
        let task = params.get_str("taskId").map(|id| uris::qualified(server, &id));
        if let Some(task) = task {
            params.set_str("taskId", &task);
        }
        Notification { method: note.method.clone(), params: note.params.as_ref().map(|_| params.to_raw()) }
    }

    fn told(&self, note: Notification) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.told.len() >= TOLD_MAX {
            pending.told.pop_front();
        }
        pending.told.push_back(note);
        drop(pending);
        self.wake.notify_one();
    }

    fn list_changed(&self, change: &Change) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Tools => pending.tools |= self.lists.tools,
            Change::Prompts => pending.prompts |= self.lists.prompts,
            Change::Resources => pending.resources |= self.lists.resources,
            Change::Updated { .. } | Change::Told(_) => {}
        }
        drop(pending);
        self.wake.notify_one();
    }

    fn updated(&self, watched: &Watched, own: &str, params: Option<&Raw>) {
        let uri: Box<str> = match watched.uri.strip_suffix(&*watched.own) {
            // a server may tell of something below what is watched: the client's way of naming it stays in front
            Some(qualifier) => format!("{qualifier}{own}").into(),
            None => watched.uri.clone(),
        };
        let params = params.map(|p| if *uri == *own { p.clone() } else { with_uri(p, &uri) });
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = &mut pending.updated;
        if let Some(entry) = waiting.iter_mut().find(|(u, _)| *u == uri) {
            entry.1 = params;
        } else if waiting.len() < URIS_MAX {
            waiting.push((uri, params));
        } else if !waiting.iter().any(|(u, _)| *u == watched.uri) {
            // too many parts of what is watched: say that the whole was updated
            waiting.push((watched.uri.clone(), None));
        }
        drop(pending);
        self.wake.notify_one();
    }

    async fn deliver(&self, sender: mpsc::Sender<Change>) {
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = sender.closed() => return,
            }
            sleep(COLLECT).await;
            let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
            for change in pending.into_changes() {
                if sender.send(change).await.is_err() {
                    return;
                }
            }
        }
    }
}

// === impl Pending ===

impl Pending {
    fn into_changes(self) -> impl Iterator<Item = Change> {
        let lists = [
            self.tools.then_some(Change::Tools),
            self.prompts.then_some(Change::Prompts),
            self.resources.then_some(Change::Resources),
        ];
        let updated = self.updated.into_iter().map(|(uri, params)| Change::Updated { uri, params });
        lists.into_iter().flatten().chain(updated).chain(self.told.into_iter().map(Change::Told))
    }
}

// === free functions ===

/// A server may tell of a part of what was subscribed (2025-06-18 and later, resources: "a sub-resource").
fn covers(watched: &str, updated: &str) -> bool {
    updated
        .strip_prefix(watched)
        .is_some_and(|rest| rest.is_empty() || watched.ends_with('/') || rest.starts_with('/'))
}

fn with_uri(params: &RawValue, uri: &str) -> Raw {
    let mut object = Object::parse_or_empty(Some(params));
    object.set_str("uri", uri);
    object.to_raw()
}

#[cfg(test)]
mod tests;
