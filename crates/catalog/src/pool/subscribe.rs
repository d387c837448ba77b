//! Telling servers which of their resources are watched: once per resource, however many clients watch it, and each
//! client's instance only of what its own client watches.
//!
//! Who watches what stands in the bus and nowhere else, so that a server that is reconfigured, or removed and added
//! again, finds all those who watched before.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cella_transport::Fault;

use super::{Pool, Server, server::Telling};
use crate::InstanceKey;

/// How soon a server that could not be told is tried again, while somebody watches.
const RETRY: Duration = Duration::from_secs(5);

impl Pool {
    /// Somebody watches more of a server's resources, or less: tells the server, starting it when there is more.
    pub(crate) fn watched_changed(self: &Arc<Self>, server: &Arc<Server>) {
        let (more, less) = {
            let mut state = server.lock();
            // under the lock: of two changes the later one counts
            let wanted = self.bus.watched_at(server.name());
            let none = BTreeSet::new();
            let more =
                wanted.iter().any(|(key, uris)| !uris.is_subset(state.watched.get(key).unwrap_or(&none)));
            let less =
                state.watched.iter().any(|(key, uris)| !uris.is_subset(wanted.get(key).unwrap_or(&none)));
            state.watched = wanted;
            (more, less)
        };
        // a server that does not run has forgotten already
        if more || (less && server.is_running()) {
            self.tell(server);
        }
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
