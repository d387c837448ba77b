//! What goes wrong between Cella and a server, and how it is told to a caller.

use std::time::Duration;

use cella_mcp::RpcError;

use super::{Challenge, limits::QUOTE_CHARS_MAX};
use cella_transport::{Fault, FaultKind, net::ConnectError};

/// Nothing answers at the server's address.
pub(crate) const UNREACHABLE: &str = "CE3002";
/// The server wants credentials.
const WANTS_CREDENTIALS: &str = "CE3006";

/// Why a link could not be opened, or what ended it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The endpoint as configured cannot be used.
    #[error("the server's address cannot be used: {why}")]
    BadEndpoint {
        /// What is wrong with it.
        why: String,
    },
    /// No connection.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// No answer in time.
    #[error("the server did not answer {what} within {within:?}")]
    TimedOut {
        /// The request.
        what: &'static str,
        /// The time allowed.
        within: Duration,
    },
    /// The server ended, or closed the connection.
    ///
    /// Some servers end when they are asked `server/discover`: [`super::EraPreference::Legacy`] spares them the question.
    #[error("the server ended the connection: {why}")]
    Closed {
        /// What was seen of it.
        why: String,
    },
    /// The server said something that is not MCP.
    #[error("the server does not speak MCP: {what}")]
    Garbage {
        /// What was wrong.
        what: String,
    },
    /// The server wants credentials.
    #[error("the server wants credentials (HTTP {})", challenge.status)]
    AuthRequired {
        /// What it says about them.
        challenge: Box<Challenge>,
    },
    /// The server sent us elsewhere; Cella does not follow, because the contract names one host.
    #[error("the server redirects to {to}")]
    Redirected {
        /// Where to, without query.
        to: String,
    },
    /// The server refused over HTTP.
    #[error("the server answered {what} with HTTP {status}{said}")]
    Status {
        /// The request.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// The start of what it said, with a colon before it, or nothing.
        said: String,
    },
    /// No revision in common.
    #[error("the server speaks {offered}, none of which Cella speaks")]
    NoCommonRevision {
        /// What it offers.
        offered: String,
    },
    /// The server refused the handshake.
    #[error("the server refused {what}: {} ({})", error.message, error.code)]
    Refused {
        /// The request.
        what: &'static str,
        /// Its error.
        error: RpcError,
    },
}

impl LinkError {
    /// The code under which the error is explained.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadEndpoint { .. } => "CE3001",
            Self::Connect(_) => UNREACHABLE,
            Self::TimedOut { .. } => "CE3003",
            Self::Closed { .. } => "CE3004",
            Self::Garbage { .. } => "CE3005",
            Self::AuthRequired { .. } => WANTS_CREDENTIALS,
            Self::Redirected { .. } => "CE3007",
            Self::Status { .. } => "CE3008",
            Self::NoCommonRevision { .. } => "CE3009",
            Self::Refused { .. } => "CE3010",
        }
    }

    /// The kind of failure, for those who branch on it.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        match self {
            Self::AuthRequired { .. } => FaultKind::AuthRequired,
            Self::TimedOut { .. } => FaultKind::TimedOut,
            Self::Closed { .. } => FaultKind::Crashed,
            Self::Garbage { .. } => FaultKind::Garbage,
            _ => FaultKind::Unavailable,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::BadEndpoint { .. } => "correct the server's url and headers",
            Self::Connect(_) => "check that the server runs at this address and may be reached",
            Self::TimedOut { .. } => "look at the server's stderr; raise its time limit if it starts slowly",
            Self::Closed { .. } => "look at the server's last stderr lines",
            Self::Garbage { .. } => "check that the command or url is an MCP server",
            Self::AuthRequired { .. } => "add credentials for this server",
            Self::Redirected { .. } => {
                "put the address it redirects to into the configuration, if you trust it"
            }
            Self::Status { .. } => "check the path of the url and the server's own log",
            Self::NoCommonRevision { .. } => "update the server, or Cella",
            Self::Refused { .. } => "look at the server's own log",
        }
        .to_owned()
    }

    /// The failure of a call that needed the link. Nothing of the call was sent.
    #[must_use]
    pub fn into_fault(self) -> Fault {
        Fault {
            kind: self.kind(),
            code: self.code(),
            message: self.to_string(),
            fix: Some(self.fix()),
            in_doubt: false,
        }
    }
}

impl From<LinkError> for Fault {
    fn from(error: LinkError) -> Self {
        error.into_fault()
    }
}

/// The server's process or connection ended while the call was in progress.
pub(super) fn crashed(why: &str, in_doubt: bool) -> Fault {
    Fault {
        kind: FaultKind::Crashed,
        code: "CE3020",
        message: format!("the server ended before it answered: {why}"),
        fix: Some("look at the server's last stderr lines".into()),
        in_doubt,
    }
}

/// No answer within the deadline.
pub(super) fn timed_out(what: &str, within: Duration) -> Fault {
    Fault {
        kind: FaultKind::TimedOut,
        code: "CE3021",
        message: format!("{what} within {within:?}"),
        fix: Some("raise the time limit in the server's contract if the tool is known to be slow".into()),
        in_doubt: true,
    }
}

/// The answer cannot be used.
pub(super) fn garbage(what: &str) -> Fault {
    Fault {
        kind: FaultKind::Garbage,
        code: "CE3023",
        message: format!("the server's answer cannot be used: {what}"),
        fix: None,
        in_doubt: true,
    }
}

/// The server does not read what we send.
pub(super) fn not_reading() -> Fault {
    Fault {
        kind: FaultKind::Unavailable,
        code: "CE3026",
        message: "the server does not read its input".into(),
        fix: Some("restart the server".into()),
        in_doubt: false,
    }
}

/// The link was closed by its owner.
pub(super) fn link_closed(in_doubt: bool) -> Fault {
    Fault {
        kind: FaultKind::Unavailable,
        code: "CE3028",
        message: "the connection to the server was closed".into(),
        fix: None,
        in_doubt,
    }
}

/// HTTP refused the call with a status that says nothing about MCP.
pub(super) fn status(status: u16, said: &str) -> Fault {
    Fault {
        kind: FaultKind::Unavailable,
        code: "CE3029",
        message: format!("the server answered HTTP {status}{said}"),
        fix: Some("look at the server's own log".into()),
        in_doubt: status >= 500,
    }
}

/// The server wants credentials.
pub(super) fn auth_required(challenge: &Challenge) -> Fault {
    Fault {
        kind: FaultKind::AuthRequired,
        code: WANTS_CREDENTIALS,
        message: format!("the server wants credentials (HTTP {})", challenge.status),
        fix: Some("add credentials for this server".into()),
        in_doubt: false,
    }
}

/// More calls at once than the link carries.
pub(super) fn too_many_calls(max: usize) -> Fault {
    Fault {
        kind: FaultKind::Refused,
        code: "CE3032",
        message: format!("{max} calls to this server are in progress"),
        fix: Some("wait for some of them to end".into()),
        in_doubt: false,
    }
}

/// The caller went away.
pub(super) fn cancelled() -> Fault {
    Fault {
        kind: FaultKind::Cancelled,
        code: "CE3033",
        message: "the call was cancelled".into(),
        fix: None,
        in_doubt: true,
    }
}

/// The server does not tell of changes of resources.
pub(super) fn no_subscriptions() -> Fault {
    Fault {
        kind: FaultKind::Refused,
        code: "CE3035",
        message: "the server offers no resource subscriptions".into(),
        fix: None,
        in_doubt: false,
    }
}

/// It was never the call's turn. The server has not seen it.
pub(super) fn no_turn(waited: Duration) -> Fault {
    Fault {
        kind: FaultKind::TimedOut,
        code: "CE3036",
        message: format!(
            "the call waited {} s for its turn and was not sent: the server asks questions without saying for which call, \
             so that calls of different clients take turns, and another client's call or question is still open",
            waited.as_secs()
        ),
        fix: Some(APART.into()),
        in_doubt: false,
    }
}

/// The question of the call was not answered, and others waited for its end. The server may have acted before it asked.
pub(super) fn gave_way(waited: Duration) -> Fault {
    Fault {
        kind: FaultKind::TimedOut,
        code: "CE3038",
        message: format!(
            "the call was given up: its question was not answered for {} s, and other clients waited for their turn at \
             this server",
            waited.as_secs()
        ),
        fix: Some("call again and answer sooner, or set isolation = \"client\" for this server: each client then has \
                   a process of its own".into()),
        in_doubt: true,
    }
}

/// More calls wait for their turn than are let to.
pub(super) fn too_many_wait(max: usize) -> Fault {
    Fault {
        kind: FaultKind::Refused,
        code: "CE3037",
        message: format!("{max} calls wait for their turn at this server already"),
        fix: Some(APART.into()),
        in_doubt: false,
    }
}

/// What helps against waiting for other clients.
const APART: &str = "call again later, or set isolation = \"client\" for this server: each client then has a process of its own";

/// A limit of ours on something the server offers.
pub(super) fn past_limit(what: String) -> Fault {
    Fault { kind: FaultKind::Garbage, code: "CE3034", message: what, fix: None, in_doubt: false }
}

/// A server's own text, cut and without control characters, for quoting in a message of ours.
pub(super) fn quote(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTE_CHARS_MAX).collect()
}
