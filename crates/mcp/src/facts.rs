//! What a server says of itself, whichever way it was asked (`initialize` or `server/discover`).

use crate::{Raw, Revision};

/// The facts of a server. Also what Cella says of its own endpoints.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// Revisions the server accepts, oldest first; one only after a legacy handshake.
    pub revisions: Vec<Revision>,
    /// The `capabilities` object.
    pub capabilities: Raw,
    /// The `serverInfo` object. For display only, never for decisions.
    pub info: Option<Raw>,
    /// Instructions for the model.
    pub instructions: Option<String>,
}

/// An answer to `initialize` or `server/discover` that lacks something required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's description lacks {member}")]
#[non_exhaustive]
pub struct UnreadableFacts {
    /// The member that is missing or of the wrong type.
    pub member: &'static str,
}
