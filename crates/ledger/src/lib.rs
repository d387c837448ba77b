//! What happened, in order, durably? A [`Ledger`] gives drafts their place in one hash chain and keeps them: one writer
//! thread with group commit over SQLite. [`Reader`] reads, searches and follows it without disturbing the writer.
//!
//! Refuses to do: deciding what is worth recording or what may be kept of it (the caller's), and any network.

mod block;
mod clock;
mod error;
mod export;
mod health;
pub mod kit;
mod ledger;
mod lock;
mod mark;
mod objects;
mod open;
mod options;
mod payload;
mod private;
mod projection;
mod query;
mod queue;
mod reader;
mod retention;
mod sqlite;
mod store;
mod tail;
mod verify;
mod writer;

pub use block::{Block, BlockFault};
pub use clock::{Clock, now};
pub use error::{AppendError, CloseError, OpenError, ReadError, StoreError};
pub use export::{Export, ExportError, Exported, LINE_BYTES_MAX, import, verify_export};
pub use health::Health;
pub use ledger::{Appended, Durability, Ledger};
pub use lock::Holder;
pub use open::{Cut, Opened};
pub use options::{
    COMMIT_BYTES, COMMIT_DELAY, OBJECT_BYTES_MIN, Options, PAYLOAD_BYTES_MAX, QUEUE_BYTES_MAX,
    QUEUE_EVENTS_MAX, WAL_BYTES_MAX,
};
pub use payload::{Payload, StoredPayload};
pub use projection::{AuditRow, CallRow, CostRow, LatencyRow, Outcome, Projections, TableFacts};
pub use query::{Filter, Found, Payloads, QUERY_LIMIT};
pub use reader::{Entry, Events, Reader};
pub use retention::{DeleteError, Deleted, Deletion};
pub use sqlite::sqlite_store;
pub use store::{Direction, Source, Span, Store};
pub use tail::Tail;
pub use verify::{FAULTS_LISTED, Fault, Report};
