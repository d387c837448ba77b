//! What may be set, with defaults that suit a machine with a dozen servers.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use crate::{Backoff, ListStore};

/// How the pool behaves. Limits of a single server stand in its [`ServerPlan`](crate::ServerPlan).
#[derive(Clone)]
pub struct Options {
    /// How long the first list of an endpoint, when nothing is known from before, waits for servers that are starting. A
    /// server that failed is not waited for: the list says that it is missing.
    pub first_list_wait: Duration,
    /// How long a list waits for a server whose list has gone stale (then the stale one is shown), or is not known beside
    /// others that are (then it is missing, which is said, and clients that listen hear when it is there).
    pub refresh_wait: Duration,
    /// A call that meets a pause between restarts waits when the rest of the pause is at most this; else it is told.
    pub pause_wait: Duration,
    /// Longest time for one `*/list` page of a server.
    pub list_timeout: Duration,
    /// A connection that was silent for so long is asked whether it is alive.
    pub ping_after: Duration,
    /// Longest time for the answer to that.
    pub ping_timeout: Duration,
    /// A retired instance (its server was reconfigured or removed) may finish calls for so long.
    pub drain: Duration,
    /// Pauses between restarts.
    pub backoff: Backoff,
    /// Where lists survive a restart of the node.
    pub store: Option<Arc<dyn ListStore>>,
    /// Random bits for the pauses; tests put a seeded source here.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_list_wait: Duration::from_secs(10),
            refresh_wait: Duration::from_millis(150),
            pause_wait: Duration::from_secs(2),
            list_timeout: Duration::from_secs(15),
            ping_after: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            backoff: Backoff::default(),
            store: None,
            random: Arc::new(|| RandomState::new().build_hasher().finish()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("first_list_wait", &self.first_list_wait)
            .field("backoff", &self.backoff)
            .field("stored", &self.store.is_some())
            .finish_non_exhaustive()
    }
}
