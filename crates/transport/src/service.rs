//! What a door serves: the node behind it, seen without era or wire.

use std::{future::Future, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use cella_mcp::{HeaderParams, Notification, Raw, ServerFacts};

use crate::{Call, Caller, Exchange, Scope, Transport};

/// The law of everything that can stand behind a door.
///
/// 1. `call` is called once per request, concurrently; one slow call never delays another.
/// 2. `call` must not need the exchange to be polled before the request is on record.
/// 3. `facts` and `header_params` answer from memory, at once.
/// 4. A [`Watch`] delivers every change after the moment it was made, in order, until it is dropped.
pub trait Service: Send + Sync + 'static {
    /// Who is this? Called first, for every HTTP request to whichever path, before its body is read. Nothing else is
    /// called for a request that is not admitted.
    fn admit(&self, head: &http::request::Parts, peer: &Peer) -> Result<Arc<str>, Refusal>;

    /// What the addressed endpoint says of itself; `None` when there is no such endpoint.
    fn facts(&self, scope: &Scope) -> Option<Arc<ServerFacts>>;

    /// Performs one request that is not the door's own business (the door answers `initialize`, `ping`,
    /// `server/discover`, `logging/setLevel`, `subscriptions/listen`, `resources/subscribe` and `resources/unsubscribe`).
    fn call(&self, call: Call) -> impl Future<Output = Exchange> + Send;

    /// The `x-mcp-header` parameters of a tool, to check `Mcp-Param-*` headers against the body.
    fn header_params(&self, scope: &Scope, tool: &str) -> Option<Arc<HeaderParams>>;

    /// Finds out, where it is not known yet, who could tell of updates of these resources. A door waits for it before it
    /// calls [`Service::watch`], which grants what is known to be there.
    fn make_watchable(&self, _scope: &Scope, _uris: &[String]) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Starts delivering changes.
    fn watch(&self, scope: &Scope, caller: &Arc<Caller>, interest: Interest) -> Watch;

    /// Starts delivering the states of tasks; `None` where there are none to tell of. Granted are only tasks that were given
    /// to this principal: the ids of others' tasks are no secret that could be relied on.
    fn watch_tasks(&self, _scope: &Scope, _caller: &Arc<Caller>, _ids: &[String]) -> Option<TaskWatch> {
        None
    }

    /// Any HTTP path that is not an MCP endpoint: health, metrics, the admin API.
    fn other(
        &self,
        request: http::Request<Bytes>,
        principal: Arc<str>,
        peer: &Peer,
    ) -> impl Future<
        Output = http::Response<http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>>,
    > + Send;
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A TCP connection.
    Tcp(SocketAddr),
    /// A unix socket connection, with the credentials the kernel vouches for.
    Unix {
        /// Process id.
        pid: Option<i32>,
        /// User id.
        uid: u32,
    },
    /// Our own standard input and output.
    Stdio,
}

impl Peer {
    /// What carries its messages.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Tcp(_) => Transport::Tcp,
            Self::Unix { .. } => Transport::Unix,
            Self::Stdio => Transport::Pipe,
        }
    }
}

/// Why a request was not admitted.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// 401 or 403.
    pub status: http::StatusCode,
    /// The `WWW-Authenticate` value of a 401.
    pub challenge: Option<String>,
    /// One sentence for the client's user.
    pub message: String,
}

/// What a client wants to hear about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Changes of the tool list.
    pub tools: bool,
    /// Changes of the prompt list.
    pub prompts: bool,
    /// Changes of the resource list.
    pub resources: bool,
    /// Updates of these resources.
    pub uris: Vec<String>,
}

/// Something that changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// `notifications/tools/list_changed`
    Tools,
    /// `notifications/prompts/list_changed`
    Prompts,
    /// `notifications/resources/list_changed`
    Resources,
    /// `notifications/resources/updated`
    Updated {
        /// The resource, as the client names it.
        uri: Box<str>,
        /// The notification's params as the server sent them.
        params: Option<Raw>,
    },
    /// Something that the server has to say to this client after its call: that a task goes on, that a question was
    /// answered elsewhere, a log message. For sessions of the legacy era.
    Told(Notification),
}

/// A running subscription; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    /// What was granted of the interest.
    pub granted: Interest,
    /// The changes.
    pub changes: mpsc::Receiver<Change>,
    /// Completes when the servers have been told which resources are watched, or cannot be told soon. A door waits for it
    /// before it says that the client is subscribed, so that the client misses no update from then on.
    pub settled: Option<oneshot::Receiver<()>>,
}

/// A running subscription to the states of tasks (tasks extension); dropping it ends it.
#[derive(Debug)]
pub struct TaskWatch {
    /// The tasks that were granted, as the client names them.
    pub granted: Vec<String>,
    /// What the servers say of them, with the ids as the client names them.
    pub states: mpsc::Receiver<Notification>,
}
