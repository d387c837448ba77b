//! Telling servers which of their resources are watched: once per resource, however many clients watch it.

use std::{sync::Arc, time::Duration};

use super::{Pool, Server, server::Telling};
use crate::InstanceKey;

/// How soon a server that could not be told is tried again, while somebody watches.
const RETRY: Duration = Duration::from_secs(5);

impl Pool {
    /// One more client watches these resources of a server.
    pub(crate) fn watch_uris<'a>(
        self: &Arc<Self>,
        server: &Arc<Server>,
        uris: impl IntoIterator<Item = &'a str>,
    ) {
        let mut news = false;
        for uri in uris {
            let mut state = server.lock();
            let count = state.watched.entry(uri.into()).or_default();
            *count += 1;
            news |= *count == 1;
        }
        if news {
            self.tell_watched(server);
        }
    }

    /// One client less watches these resources of a server.
    pub(crate) fn unwatch_uris<'a>(
        self: &Arc<Self>,
        server: &Arc<Server>,
        uris: impl IntoIterator<Item = &'a str>,
    ) {
        let mut news = false;
        for uri in uris {
            let mut state = server.lock();
            if let Some(count) = state.watched.get_mut(uri) {
                *count -= 1;
                if *count == 0 {
                    state.watched.remove(uri);
                    news = true;
                }
            }
        }
        // a server that does not run has forgotten already
        if news && server.is_running() {
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

    /// Tells the server; true when it must be told once more.
    async fn tell_once(self: &Arc<Self>, server: &Arc<Server>) -> bool {
        let uris: Vec<Box<str>> = {
            let mut state = server.lock();
            state.telling = Telling::Yes;
            state.watched.keys().cloned().collect()
        };
        match self.enter(server, &InstanceKey::Shared).await {
            Ok(entered) => entered.upstream.subscribe(uris).await,
            Err(fault) => {
                tracing::warn!(server = server.name(), %fault, "cannot be told what is watched");
                self.pause(RETRY).await;
                let mut state = server.lock();
                let again = !state.watched.is_empty() && !state.is_retired() && !self.is_closing();
                if !again {
                    state.telling = Telling::No;
                }
                return again;
            }
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
}
