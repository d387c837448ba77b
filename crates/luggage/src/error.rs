//! What can be wrong with the files of a run.

use cella_event::{RunId, Seq};
use cella_ledger::ReadError;
use cella_workspace::WorkspaceError;

/// Why files cannot be taken along. Each has a code (`docs/errors/`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LuggageError {
    /// Nothing was kept of them.
    #[error("what files {run} had at {server} at event {at} was not kept: {why}")]
    NotKept {
        /// The run.
        run: RunId,
        /// The server.
        server: String,
        /// Where it was to be left.
        at: Seq,
        /// Why not.
        why: String,
        /// It will be in a moment.
        is_pending: bool,
    },
    /// They were kept, and are no longer there or no longer what they were.
    #[error("the files of {server}, workspace {workspace}, are gone or damaged: {source}")]
    Gone {
        /// The server.
        server: String,
        /// Its id.
        workspace: String,
        /// How it was noticed.
        source: WorkspaceError,
    },
    /// The directories that they were copies of are no longer what they were.
    #[error("the files of {server}, workspace {workspace}, do not fit the host any more: {source}")]
    Moved {
        /// The server.
        server: String,
        /// Its id.
        workspace: String,
        /// Where.
        source: WorkspaceError,
    },
    /// A process of a run cannot have the files that the run had.
    #[error("{server} is not started without the files that the run had: {why}")]
    Start {
        /// The server.
        server: String,
        /// What is the matter with them.
        why: String,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] WorkspaceError),
}

impl LuggageError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotKept { .. } => "CE1547",
            Self::Gone { .. } => "CE1548",
            Self::Moved { .. } => "CE1549",
            Self::Start { .. } => "CE1570",
            Self::Read(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// What to do about it where a fork was wanted.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NotKept { .. } => {
                "fork at an event with a checkpoint (cella show RUN), or without the files: --without-files"
            }
            Self::Gone { .. } => "fork at another event, or without the files: --without-files",
            Self::Moved { .. } => {
                "put the host back as it was, or fork without the files: --without-files; to have them on the host: cella workspace commit ID"
            }
            Self::Start { .. } => {
                "mend that, then: cella resume RUN; or go on without them: cella fork RUN --without-files"
            }
            Self::Read(_) | Self::Store(_) => "see: cella doctor",
        }
    }
}
