//! The closed list of what can happen, with room for what a later version adds.

use std::{fmt, sync::Arc};

/// Longest name of a kind, in bytes. Stops a hostile import from growing indexes; a longer name is not an event.
const KIND_BYTES_MAX: usize = 64;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What happened. The names are part of the frozen format; a name this version does not know is kept as
        /// [`Kind::Other`] and verifies and prints like any other.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $variant,)+
            /// A kind of a later version.
            Other(OtherKind),
        }

        impl Kind {
            /// Every kind this version knows, in the order of the specification.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in the canonical encoding.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Other(other) => &other.0,
                }
            }

            /// Reads a name: lower-case letters, digits and `_`, in parts joined by dots, at most 64 bytes.
            ///
            /// # Errors
            /// [`BadKind`] when the text has another shape.
            pub fn parse(name: &str) -> Result<Self, BadKind> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ if well_formed(name) => Ok(Self::Other(OtherKind(name.into()))),
                    _ => Err(BadKind),
                }
            }
        }
    };
}

kinds! {
    /// A ledger began; its body names the ledger. Always the first event.
    LedgerCreated = "ledger.created",
    /// The ledger was opened after damage, and what was cut or lost is in the body.
    LedgerRecovered = "ledger.recovered",
    /// The ledger goes on in another file.
    LedgerRotated = "ledger.rotated",
    /// Stored payloads were deleted on purpose; their digests stay.
    PayloadDeleted = "payload.deleted",
    /// A node accepts calls.
    NodeStarted = "node.started",
    /// A node stopped on purpose.
    NodeStopped = "node.stopped",
    /// A configuration took effect.
    ConfigLoaded = "config.loaded",
    /// A server changed state (connecting, connected, degraded, ...).
    ServerState = "server.state",
    /// A cell runs.
    CellStarted = "cell.started",
    /// A cell ended.
    CellExited = "cell.exited",
    /// A cell reached for what its contract does not grant.
    CellDenied = "cell.denied",
    /// A cell is about to be connected to a host that its contract grants.
    CellConnected = "cell.connected",
    /// A connection of a cell ended, with bytes and duration.
    CellDisconnected = "cell.disconnected",
    /// The value of a secret is about to take the place of its placeholder in a request of a cell.
    CellSecretUsed = "cell.secret_used",
    /// A server repeated the value of a secret, and the cell got the placeholder.
    CellSecretReflected = "cell.secret_reflected",
    /// What a run's cell had changed in its copies after a call is kept, or could not be.
    CellCheckpointed = "cell.checkpointed",
    /// What a cell changed in its copies was kept as a delta.
    WorkspaceCaptured = "workspace.captured",
    /// A delta is about to change the host: written before the first file is.
    WorkspaceCommitting = "workspace.committing",
    /// A delta has changed the host.
    WorkspaceCommitted = "workspace.committed",
    /// A delta was removed.
    WorkspaceDiscarded = "workspace.discarded",
    /// A client opened a session.
    SessionOpened = "session.opened",
    /// A session ended.
    SessionClosed = "session.closed",
    /// A call is about to be made: written before the effect.
    CallIntended = "call.intended",
    /// A call has a result.
    CallCompleted = "call.completed",
    /// A call ended with an error of the server or on the way.
    CallFailed = "call.failed",
    /// Cella refused a call.
    CallRefused = "call.refused",
    /// The asker gave a call up.
    CallCancelled = "call.cancelled",
    /// A server asked the client for something within a call.
    CallAsked = "call.asked",
    /// The client answered what a server asked.
    CallAnswered = "call.answered",
    /// A server's tools, prompts or resources changed.
    CatalogChanged = "catalog.changed",
    /// A human is asked to approve.
    ApprovalAsked = "approval.asked",
    /// A human approved.
    ApprovalGranted = "approval.granted",
    /// A human denied, or nobody answered in time.
    ApprovalDenied = "approval.denied",
    /// A run began; its payloads are its task and its agent.
    RunStarted = "run.started",
    /// A node took a run up again: what was under way before is in doubt.
    RunResumed = "run.resumed",
    /// A run left another one, with all that had happened in it.
    RunForked = "run.forked",
    /// A run knows more tools.
    RunTools = "run.tools",
    /// The time that a run waited for came.
    RunWoken = "run.woken",
    /// Somebody wants a run to end.
    RunCancelAsked = "run.cancel_asked",
    /// A run cannot go on by itself.
    RunPaused = "run.paused",
    /// A run is over.
    RunEnded = "run.ended",
    /// A model is about to be asked.
    ModelIntended = "model.intended",
    /// A model answered.
    ModelCompleted = "model.completed",
    /// A model did not answer.
    ModelFailed = "model.failed",
    /// A reservation was refused: nothing was asked or called.
    BudgetRefused = "budget.refused",
    /// A human is asked whether a call was done.
    DoubtAsked = "doubt.asked",
    /// A human said what became of a call in doubt.
    DoubtResolved = "doubt.resolved",
    /// Something was written on the blackboard of a run.
    BoardSet = "board.set",
    /// A run is in another phase.
    PhaseEntered = "phase.entered",
    /// A run gave a task to another agent, whose run began.
    ChildStarted = "child.started",
    /// That run ended.
    ChildEnded = "child.ended",
}

/// The name of a kind this version does not know; made by [`Kind::parse`] only, so that a known name is never here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherKind(Arc<str>);

/// A text that cannot be the name of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the name of a kind: lower-case letters, digits and _ in parts joined by dots, at most 64 bytes"
)]
pub struct BadKind;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = BadKind;

    fn from_str(name: &str) -> Result<Self, BadKind> {
        Self::parse(name)
    }
}

fn well_formed(name: &str) -> bool {
    name.len() <= KIND_BYTES_MAX
        && name.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
}
