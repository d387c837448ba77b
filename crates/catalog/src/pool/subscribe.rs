//! Telling servers which of their resources are watched: once per resource, however many clients watch it, and each
//! client's instance only of what its own client watches.
//!
//! Who watches what stands in the bus and nowhere else, so that a server that is reconfigured, or removed and added
//! again, finds all those who watched before.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cella_transport::Fault;

use super::{Pool, Server, server::Telling};
use crate::{InstanceKey, bus::Watched};

/// How soon a server that could not be told is tried again, while somebody watches.
const RETRY: Duration = Duration::from_secs(5);

impl Pool {
    /// These resources are watched by one more, or by one less: tells the servers for which that makes a difference,
    /// starting those of which more is watched.
    pub(crate) fn watched_changed(self: &Arc<Self>, watched: &[Watched]) {
        let servers: BTreeSet<&Arc<str>> = watched.iter().map(|w| &w.server).collect();
        for server in servers.into_iter().filter_map(|name| self.server(name)) {
            let (mut more, mut less) = (false, false);
            let mut state = server.lock();
            // under the lock: of two changes of one resource the later one counts
            for w in watched.iter().filter(|w| w.server == server.plan.name) {
                let uris = state.watched.entry(w.key.clone()).or_default();
                if self.bus.is_watched(w) {
                    more |= uris.insert(w.own.clone());
                } else {
                    less |= uris.remove(&w.own);
                }
                if uris.is_empty() {
                    state.watched.remove(&w.key);
                }
            }
            drop(state);
            // a server that does not run has forgotten already
            if more || (less && server.is_running()) {
                self.tell(&server);
            }
        }
    }

    /// Who listens to tasks of these instances has changed: tells them. An instance that does not run is started when there
    /// is something to listen to; what a task of an ended process comes to is for its server to say.
    pub(crate) fn listened_changed(self: &Arc<Self>, concerned: &[(Arc<str>, InstanceKey)]) {
        for (name, key) in concerned {
            let Some(server) = self.server(name) else { continue };
            let running = server.lock().slots.get(key).and_then(|slot| slot.upstream());
            if let Some(upstream) = running {
                upstream.watch_tasks(self.task_watches.listened_to(name, key));
                continue;
            }
            if self.task_watches.listened_to(name, key).is_empty() || self.is_closing() {
                continue;
            }
            let (pool, key) = (self.clone(), key.clone());
            // from then on the instance itself asks who listens
            self.spawn(async move {
                if let Err(fault) = pool.enter(&server, &key).await {
                    tracing::warn!(server = server.name(), %fault, "cannot be told which tasks are listened to");
                }
            });
        }
    }

    /// A server is new under its name: who watches there watches it.
    pub(super) fn inherit_watched(self: &Arc<Self>, server: &Arc<Server>) {
        {
            let mut state = server.lock();
            state.watched = self.bus.watched_at(server.name());
        }
        self.tell_watched(server);
    }

    /// Makes sure that a server knows what is watched; nothing to do when nothing is.
    pub(super) fn tell_watched(self: &Arc<Self>, server: &Arc<Server>) {
        if !server.lock().watched.is_empty() {
            self.tell(server);
        }
    }

    /// Completes when all of these servers know what is watched.
    pub(crate) async fn all_told(&self, servers: Vec<Arc<Server>>) {
        for server in servers {
            let mut changes = server.changes();
            while server.lock().telling != Telling::No {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        }
    }

    fn tell(self: &Arc<Self>, server: &Arc<Server>) {
        {
            let mut state = server.lock();
            let before = state.telling;
            state.telling = if before == Telling::No { Telling::Yes } else { Telling::Again };
            if before != Telling::No || self.is_closing() {
                return;
            }
        }
        let (pool, server) = (self.clone(), server.clone());
        self.spawn(async move { while pool.tell_once(&server).await {} });
    }

    /// Tells every instance that is concerned; true when they must be told once more.
    async fn tell_once(self: &Arc<Self>, server: &Arc<Server>) -> bool {
        let wanted: Vec<(InstanceKey, Vec<Box<str>>)> = {
            let mut state = server.lock();
            state.telling = Telling::Yes;
            let watched =
                state.watched.iter().map(|(key, uris)| (key.clone(), uris.iter().cloned().collect()));
            // an instance of which nothing is watched any more is told so, but not started for it
            let idle = state.slots.keys().filter(|key| !state.watched.contains_key(key));
            watched.chain(idle.map(|key| (key.clone(), Vec::new()))).collect()
        };
        let mut untold = None;
        for (key, uris) in wanted {
            if let Err(fault) = self.tell_instance(server, &key, uris).await {
                untold = Some(fault);
            }
        }
        if let Some(fault) = untold {
            tracing::warn!(server = server.name(), %fault, "cannot be told what is watched");
            self.pause(RETRY).await;
            let mut state = server.lock();
            let again = !state.watched.is_empty() && !state.is_retired() && !self.is_closing();
            if !again {
                state.telling = Telling::No;
            }
            return again;
        }
        let mut state = server.lock();
        let again = state.telling == Telling::Again;
        if !again {
            // here, not in `Done`: whoever changes something from now on must start a new task
            state.telling = Telling::No;
        }
        drop(state);
        server.notify();
        again
    }

    async fn tell_instance(
        self: &Arc<Self>,
        server: &Arc<Server>,
        key: &InstanceKey,
        uris: Vec<Box<str>>,
    ) -> Result<(), Fault> {
        if uris.is_empty() {
            let running = server.lock().slots.get(key).and_then(|slot| slot.upstream());
            if let Some(upstream) = running {
                upstream.subscribe(uris).await;
            }
            return Ok(());
        }
        let entered = self.enter(server, key).await?;
        entered.upstream.subscribe(uris).await;
        Ok(())
    }
}
