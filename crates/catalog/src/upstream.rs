//! A connection to one instance of a server, as the pool needs it.

use std::{future::Future, pin::Pin, sync::Arc};

use cella_mcp::ServerFacts;
use cella_transport::{Call, Change, Exchange};
use tokio::sync::mpsc;

/// A future behind a pointer, so that the pool can hold different kinds of connections.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The law of connections.
///
/// 1. Calls run concurrently. A call on a connection that is gone ends at once with a fault that says whether the server
///    may have seen it.
/// 2. `facts` answers from memory.
/// 3. After `close` every call ends, and nothing of the connection stays behind.
pub trait Upstream: Send + Sync + 'static {
    /// Performs a call; the names and URIs in it are the server's own.
    fn call(&self, call: Call) -> BoxFuture<'_, Exchange>;

    /// What the server said of itself.
    fn facts(&self) -> Arc<ServerFacts>;

    /// Makes the server tell of updates of exactly these resources.
    fn subscribe(&self, uris: Vec<Box<str>>) -> BoxFuture<'_, ()>;

    /// True when the server still answers.
    fn alive(&self) -> BoxFuture<'_, bool>;

    /// Ends the connection.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What a connection tells of itself, in order.
#[derive(Debug)]
pub enum UpstreamEvent {
    /// A list or a resource has changed.
    Changed(Change),
    /// The server asked a question while calls of different clients were in progress, and did not say which one it
    /// belongs to. The question was refused; from now on each client needs an instance of its own.
    Ambiguous,
    /// The connection is over; nothing follows.
    Closed {
        /// Why, for a person.
        reason: String,
        /// True when the server broke the protocol: starting it again will not make it better.
        garbage: bool,
    },
}

/// A connection that has gone through its handshake.
pub struct Connected {
    /// The connection.
    pub upstream: Arc<dyn Upstream>,
    /// What it tells.
    pub events: mpsc::Receiver<UpstreamEvent>,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connected")
    }
}
