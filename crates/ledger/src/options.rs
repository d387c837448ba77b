//! What a ledger can be told when it is opened, and its limits.

use std::{path::PathBuf, time::Duration};

use crate::Clock;

/// Events that may wait for the disk. Stops a stalled disk from filling memory with small events; past it
/// [`crate::Ledger::append`] waits and [`crate::Ledger::try_append`] says `Full`.
pub const QUEUE_EVENTS_MAX: usize = 65_536;

/// Bytes of events and payloads that may wait for the disk. Stops a stalled disk from filling memory with large
/// payloads; past it callers wait as above.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest time a buffered event waits before its commit starts. What a crash of the machine may cost a `read` call.
pub const COMMIT_DELAY: Duration = Duration::from_millis(20);

/// Waiting bytes past which a commit starts at once, so that one block stays small enough to read for one event.
pub const COMMIT_BYTES: usize = 1024 * 1024;

/// Bytes written after which the writer moves the WAL into the database, once acknowledgements are out. Stops the WAL
/// from growing without end, and is rare enough to cost little.
pub const WAL_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Payloads from this size on go to a content-addressed file of their own, in bytes: SQLite would write them twice.
pub const OBJECT_BYTES_MIN: usize = 128 * 1024;

/// Largest payload that is kept, in bytes. Stops one answer from filling the disk; a larger one must be recorded with
/// [`crate::Payload::digest_only`].
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How to open a ledger.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory that holds it; made when absent, readable by the owner only.
    pub dir: PathBuf,
    /// See [`QUEUE_EVENTS_MAX`].
    pub queue_events_max: usize,
    /// See [`QUEUE_BYTES_MAX`].
    pub queue_bytes_max: usize,
    /// See [`COMMIT_DELAY`].
    pub commit_delay: Duration,
    /// Where event times come from.
    pub clock: Clock,
    /// Go on although acknowledged events are missing or damaged at the end. The loss is written as
    /// `ledger.recovered`, and what was cut is kept aside. Off unless a human said so.
    pub accept_loss: bool,
    /// See [`WAL_BYTES_MAX`].
    pub wal_bytes_max: u64,
    /// Most bytes the database file may grow to; `None` for no limit but the disk's. Past it the ledger behaves as on a
    /// full disk.
    pub database_bytes_max: Option<u64>,
}

impl Options {
    /// The defaults, for a ledger in this directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            queue_events_max: QUEUE_EVENTS_MAX,
            queue_bytes_max: QUEUE_BYTES_MAX,
            commit_delay: COMMIT_DELAY,
            clock: Clock::system(),
            accept_loss: false,
            wal_bytes_max: WAL_BYTES_MAX,
            database_bytes_max: None,
        }
    }
}
