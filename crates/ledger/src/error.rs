//! What can go wrong, by operation. Each error that a user can see has a code with a page in `docs/errors`.

use std::{io, path::PathBuf, sync::Arc};

use cella_event::{EncodeError, Head, Refusal, Seq};

use crate::{BlockFault, Holder};

/// A fault of the storage below.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused.
    #[error("{doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// True when the disk, a quota or a size limit is exhausted.
        full: bool,
        /// What the database says.
        source: Arc<rusqlite::Error>,
    },
    /// A file beside the database failed.
    #[error("{doing} {path}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The writer ended by a fault of its own.
    #[error("the ledger's writer has ended: {why}")]
    Ended {
        /// What it said.
        why: Arc<str>,
    },
    /// A block does not continue the chain that is stored. Somebody else wrote, or this writer lost its place.
    #[error("expected a block after event {expected}, got one that starts at {got}")]
    NotNext {
        /// The stored head.
        expected: Seq,
        /// The first event of the block.
        got: Seq,
    },
}

/// Why a ledger was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process writes it.
    #[error("CE5001: the ledger in {dir} is in use by {holder}")]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// The file is a database of something else.
    #[error("CE5002: {path} is not a ledger (application id {got:#010x})")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The id found.
        got: u32,
    },
    /// Written by a newer Cella.
    #[error("CE5003: the ledger has layout {got}, this program knows up to {known}")]
    Newer {
        /// The newest layout this program knows.
        known: u32,
        /// The layout found.
        got: u32,
    },
    /// The SQLite below is too old to be trusted with WAL.
    #[error("CE5004: SQLite {got} is too old, 3.51.3 is needed")]
    SqliteTooOld {
        /// Its version.
        got: &'static str,
    },
    /// Events that had been acknowledged are damaged at the end of the ledger.
    #[error("CE5005: block of events {first} to {last} is damaged: {fault}")]
    Damaged {
        /// First event of the block.
        first: Seq,
        /// Last event of the block.
        last: Seq,
        /// What is wrong with it.
        fault: BlockFault,
    },
    /// Events that had been acknowledged are missing at the end of the ledger.
    #[error("CE5006: events {} to {} had been written and are missing", found.next(), expected.seq)]
    Lost {
        /// The last event found.
        found: Seq,
        /// The last event that had been acknowledged.
        expected: Head,
    },
    /// The storage failed.
    #[error("CE5007: {0}")]
    Store(#[from] StoreError),
    /// The operating system gives no randomness to name a new ledger by.
    #[error("CE5008: no randomness: {0}")]
    NoRandomness(getrandom::Error),
}

/// Why an event was not appended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Too much waits for the disk. From `try_append` only; `append` waits.
    #[error("CE5010: the ledger's queue is full")]
    Full,
    /// The event carries a payload that needs a file of its own. From `try_append` only; `append` writes it.
    #[error("CE5011: payload of {got} bytes needs a file of its own")]
    Large {
        /// Its length in bytes.
        got: usize,
    },
    /// The storage fails; nothing was written, and nothing will be until it works again.
    #[error("CE5012: the ledger cannot write: {reason}")]
    Failing {
        /// What the storage says.
        reason: StoreError,
    },
    /// The storage failed while the event was being written. It keeps its place and is written when the storage works
    /// again, but the caller must not act on it now.
    #[error("CE5013: event {seq} is not confirmed: {reason}")]
    Unconfirmed {
        /// The event.
        seq: Seq,
        /// What the storage says.
        reason: StoreError,
    },
    /// The draft has no encoding.
    #[error("CE5014: {0}")]
    Encode(#[from] EncodeError),
    /// A payload to keep is past [`crate::PAYLOAD_BYTES_MAX`].
    #[error("CE5015: payload of {got} bytes, at most {max} are kept")]
    PayloadTooLarge {
        /// The limit in bytes.
        max: usize,
        /// Its length in bytes.
        got: usize,
    },
    /// The operating system gives no randomness for salts.
    #[error("CE5016: no randomness: {0}")]
    NoRandomness(getrandom::Error),
    /// The writer ended by a fault of its own: nothing is recorded any more until the ledger is opened again.
    #[error("CE5019: nothing can be recorded: {reason}")]
    Ended {
        /// What it said.
        reason: StoreError,
    },
    /// The ledger was closed.
    #[error("CE5017: the ledger is closed")]
    Closed,
}

/// Why closing a ledger left something out.
#[derive(Debug, thiserror::Error)]
#[error("CE5018: {events} events were not written: {reason}")]
pub struct CloseError {
    /// How many.
    pub events: u64,
    /// What the storage says.
    pub reason: StoreError,
}

/// Why something could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The storage failed.
    #[error("CE5020: {0}")]
    Store(#[from] StoreError),
    /// A block's bytes are not what was written.
    #[error("CE5021: block that starts at event {first}: {fault}")]
    Block {
        /// First event of the block.
        first: Seq,
        /// What is wrong.
        fault: BlockFault,
    },
    /// An event or a payload does not verify.
    #[error("CE5022: {0}")]
    Refused(#[from] Refusal),
    /// There is no such event, or it names no such payload.
    #[error("CE5023: event {seq} has no payload {name}")]
    NoSuchPayload {
        /// The event.
        seq: Seq,
        /// The name asked for.
        name: String,
    },
    /// A payload that was kept is not there, and no deletion is on record.
    #[error("CE5024: payload {name} of event {seq} is missing")]
    PayloadMissing {
        /// The event.
        seq: Seq,
        /// Its name.
        name: String,
    },
    /// The ledger was closed.
    #[error("CE5025: the ledger is closed")]
    Closed,
}

macro_rules! codes {
    ($($error:ident { $($variant:ident = $code:literal,)+ })+) => {$(
        impl $error {
            /// The stable code, with a page in `docs/errors`.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                }
            }
        }
    )+};
}

codes! {
    OpenError {
        Held = "CE5001",
        Foreign = "CE5002",
        Newer = "CE5003",
        SqliteTooOld = "CE5004",
        Damaged = "CE5005",
        Lost = "CE5006",
        Store = "CE5007",
        NoRandomness = "CE5008",
    }
    AppendError {
        Full = "CE5010",
        Large = "CE5011",
        Failing = "CE5012",
        Unconfirmed = "CE5013",
        Encode = "CE5014",
        PayloadTooLarge = "CE5015",
        NoRandomness = "CE5016",
        Closed = "CE5017",
        Ended = "CE5019",
    }
    ReadError {
        Store = "CE5020",
        Block = "CE5021",
        Refused = "CE5022",
        NoSuchPayload = "CE5023",
        PayloadMissing = "CE5024",
        Closed = "CE5025",
    }
}

// === impl StoreError ===

impl StoreError {
    /// True when space is missing, which comes back by itself when somebody makes room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Database { full, .. } => *full,
            Self::File { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
                )
            }
            Self::Ended { .. } | Self::NotNext { .. } => false,
        }
    }

    pub(crate) fn file(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source: Arc::new(source) }
    }

    pub(crate) fn database(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| {
            let full = matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::TooBig)
            );
            Self::Database { doing, full, source: Arc::new(source) }
        }
    }
}
