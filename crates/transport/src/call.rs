//! What a caller wants: the request as it came, and the facts about who sent it.

use std::sync::Arc;

use cella_mcp::{Era, Id, Raw, Revision};
use serde_json::value::RawValue;

/// One request on its way from an agent to a server.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which part of the node was addressed.
    pub scope: Scope,
    /// For example `tools/call`.
    pub method: Box<str>,
    /// The id under which the client asked; `None` for what no client asked. For traces only: two clients may use the same.
    pub id: Option<Id>,
    /// As received. A modern caller's protocol keys are still in `_meta`; a link towards the other era adapts them.
    pub params: Option<Raw>,
    /// Who asks. Never shared between two principals.
    pub caller: Arc<Caller>,
    /// `Mcp-Param-*` headers as received, in order, names in lower case. A link forwards those it does not compute itself.
    pub param_headers: Vec<(Box<str>, Box<str>)>,
    /// Headers of the node's own for a server over HTTP; elsewhere nobody hears of them.
    pub own_headers: Vec<(Box<str>, Box<str>)>,
}

/// Which endpoint the caller used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `/mcp`: every server, names in their namespaces.
    All,
    /// `/mcp/servers/NAME`: one server, its own names unchanged.
    Server(Box<str>),
    /// `/mcp/views/NAME`: a curated view.
    View(Box<str>),
}

/// What carries a client's messages, below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Standard input and output.
    Pipe,
    /// A TCP connection.
    Tcp,
    /// A unix socket.
    Unix,
}

/// What is known about the party that sent a request. In the modern era this is per request, in the legacy era per session.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The authenticated principal, for example `local:uid=1000` or `token:default`. Never taken from client info.
    pub principal: Arc<str>,
    /// Distinguishes clients of one principal where the wire can (a legacy session, a stdio connection). None on the
    /// stateless wire.
    pub session: Option<Arc<str>>,
    /// What carries the caller's messages; `None` for Cella itself. For traces only.
    pub transport: Option<Transport>,
    /// The revision the caller speaks.
    pub revision: Revision,
    /// The caller's `capabilities` object.
    pub capabilities: Raw,
    /// The caller's `clientInfo` object. For display and logs only.
    pub info: Option<Raw>,
    /// The minimum level of log messages the caller wants; `None` means none at all.
    pub log_level: Option<Box<str>>,
}

impl Transport {
    /// As the semantic conventions for `network.transport` write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        }
    }
}

impl Caller {
    /// Cella itself, when it asks a server on its own account (for lists, for health): no client's capabilities,
    /// level or info may leak into such a request.
    #[must_use]
    pub fn cella() -> Self {
        Self {
            principal: "cella".into(),
            session: None,
            transport: None,
            revision: Revision::NEWEST_MODERN,
            capabilities: RawValue::from_string("{}".into()).unwrap_or_else(|_| RawValue::NULL.to_owned()),
            info: None,
            log_level: None,
        }
    }

    /// True for Cella itself ([`Caller::cella`]): no client stands behind the call.
    #[must_use]
    pub fn is_cella(&self) -> bool {
        &*self.principal == "cella"
    }

    /// True for a session that takes what a server has to say beside its calls. A modern client asks for it piece by piece.
    #[must_use]
    pub fn hears_unasked(&self) -> bool {
        self.session.is_some() && self.era() == Era::Legacy
    }

    /// The era the caller speaks.
    #[must_use]
    pub fn era(&self) -> Era {
        self.revision.era()
    }
}
