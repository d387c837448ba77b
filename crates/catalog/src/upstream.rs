//! A connection to one instance of a server, as the pool needs it.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use cella_link::{Link, LinkError, LinkEvent, LinkOptions, Wire};
use cella_mcp::{HeaderParams, Revision, ServerFacts};
use cella_transport::{Call, Exchange};
use tokio::sync::mpsc;

use crate::{LaunchError, ServerList};

/// Events of one connection that wait for the pool. The connection merges what does not fit.
const EVENTS_WAITING: usize = 16;

/// A future behind a pointer, so that the pool can hold different kinds of connections.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The law of connections.
///
/// 1. Calls run concurrently. A call on a connection that is gone ends at once with a fault that says whether the server
///    may have seen it.
/// 2. `facts`, `revision` and `is_closed` answer from memory.
/// 3. After `close` every call ends, and nothing of the connection stays behind.
pub trait Upstream: Send + Sync + 'static {
    /// Performs a call; the names and URIs in it are the server's own.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Exchange>;

    /// What the server said of itself.
    fn facts(&self) -> Arc<ServerFacts>;

    /// The revision that is spoken.
    fn revision(&self) -> Revision;

    /// Told, before the first call, that the server was seen to ask within calls. Where a question names no call, calls
    /// of different clients take turns then.
    fn take_turns(&self);

    /// Told of the server's tools whenever they are fetched.
    fn learn(&self, tools: &ServerList);

    /// Makes the server tell of updates of exactly these resources.
    fn subscribe(&self, uris: Vec<Box<str>>) -> BoxFuture<'_, ()>;

    /// Makes the server tell of exactly these tasks. Returns at once.
    fn watch_tasks(&self, ids: Vec<Box<str>>);

    /// True when the server still answers. Bounded in time by the pool.
    fn alive(&self) -> BoxFuture<'_, bool>;

    /// True when every call fails.
    fn is_closed(&self) -> bool;

    /// Ends the connection.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A connection that has gone through its handshake.
pub struct Connected {
    /// The connection.
    pub upstream: Arc<dyn Upstream>,
    /// What it tells.
    pub events: mpsc::Receiver<LinkEvent>,
}

/// A [`Link`], and what is subscribed on it.
struct Linked {
    link: Link,
    subscribed: Mutex<BTreeSet<Box<str>>>,
    tasks: Mutex<BTreeSet<Box<str>>>,
}

// === impl Connected ===

impl Connected {
    /// Opens a link.
    ///
    /// # Errors
    /// [`LaunchError`] with the code and remedy of the link's own error.
    pub async fn open(wire: Wire, options: LinkOptions) -> Result<Self, LaunchError> {
        let (sender, events) = mpsc::channel(EVENTS_WAITING);
        let link = Link::open(wire, options, sender).await?;
        Ok(Self {
            upstream: Arc::new(Linked { link, subscribed: Mutex::default(), tasks: Mutex::default() }),
            events,
        })
    }
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connected")
    }
}

impl From<LinkError> for LaunchError {
    fn from(error: LinkError) -> Self {
        Self { kind: error.kind(), code: error.code(), message: error.to_string(), fix: Some(error.fix()) }
    }
}

// === impl Linked ===

impl Linked {
    /// Uris to be added and to be removed; from now on `wanted` counts as subscribed.
    fn difference(&self, wanted: &BTreeSet<Box<str>>) -> (Vec<Box<str>>, Vec<Box<str>>) {
        difference(&mut self.subscribed.lock().unwrap_or_else(PoisonError::into_inner), wanted)
    }
}

/// What is added and what is removed; from now on `wanted` is what there is.
fn difference(there: &mut BTreeSet<Box<str>>, wanted: &BTreeSet<Box<str>>) -> (Vec<Box<str>>, Vec<Box<str>>) {
    let added = wanted.difference(there).cloned().collect();
    let removed = there.difference(wanted).cloned().collect();
    there.clone_from(wanted);
    (added, removed)
}

impl Upstream for Linked {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Exchange> {
        Box::pin(self.link.perform(call))
    }

    fn facts(&self) -> Arc<ServerFacts> {
        self.link.facts()
    }

    fn revision(&self) -> Revision {
        self.link.revision()
    }

    fn take_turns(&self) {
        self.link.take_turns();
    }

    fn learn(&self, tools: &ServerList) {
        let mirrored =
            tools.items.iter().filter_map(|tool| Some((tool.key.clone(), tool.header_params.clone()?)));
        self.link.learn_header_params(mirrored.collect::<HashMap<Box<str>, Arc<HeaderParams>>>());
    }

    fn subscribe(&self, uris: Vec<Box<str>>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (added, removed) = self.difference(&uris.into_iter().collect());
            for uri in removed {
                if let Err(failure) = self.link.unwatch_resource(&uri).await {
                    tracing::debug!(%uri, ?failure, "not unsubscribed");
                }
            }
            for uri in added {
                if let Err(failure) = self.link.watch_resource(&uri).await {
                    tracing::warn!(%uri, ?failure, "not subscribed");
                }
            }
        })
    }

    fn watch_tasks(&self, ids: Vec<Box<str>>) {
        // told under the lock: of two changes the later one counts
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let (added, removed) = difference(&mut tasks, &ids.into_iter().collect());
        removed.iter().for_each(|id| self.link.unwatch_task(id));
        for id in added {
            if let Err(fault) = self.link.watch_task(&id) {
                tracing::warn!(%id, %fault, "not listened to");
            }
        }
    }

    fn alive(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.link.ping(PING_MAX).await.is_ok() })
    }

    fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.link.close())
    }
}

/// A ping is given up after this at the latest, should the pool forget it.
const PING_MAX: std::time::Duration = std::time::Duration::from_secs(60);
