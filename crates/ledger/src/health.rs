//! Whether the ledger can record, which decides whether the node may act.

use crate::StoreError;

/// The state of the writer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Health {
    /// Commits succeed.
    #[default]
    Well,
    /// The last commit failed and is being retried. Nothing that needs a durable record may be done until it is well
    /// again; reading goes on.
    Failing {
        /// What the storage says.
        reason: StoreError,
        /// Events that wait in memory.
        waiting: usize,
    },
    /// The writer ended by a fault of its own. Nothing is recorded any more until the ledger is opened again; reading
    /// goes on.
    Ended {
        /// What it said.
        reason: StoreError,
    },
    /// The ledger was closed.
    Closed,
}

impl Health {
    /// True when durable appends can succeed.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Well)
    }
}
