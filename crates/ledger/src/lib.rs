//! What happened, in order, durably? A [`Ledger`] gives drafts their place in one hash chain and keeps them: one writer
//! thread with group commit over SQLite. [`Reader`] reads, searches and follows it without disturbing the writer.
//!
//! Refuses to do: deciding what is worth recording or what may be kept of it (the caller's), and any network.

mod block;
mod clock;
mod error;
mod health;
mod ledger;
mod lock;
mod mark;
mod objects;
mod open;
mod options;
mod payload;
mod query;
mod queue;
mod reader;
mod sqlite;
mod store;
mod tail;
mod writer;

pub use block::{Block, BlockFault};
pub use clock::{Clock, now};
pub use error::{AppendError, CloseError, OpenError, ReadError, StoreError};
pub use health::Health;
pub use ledger::{Appended, Durability, Ledger};
pub use lock::Holder;
pub use open::{Cut, Opened};
pub use options::{
    COMMIT_BYTES, COMMIT_DELAY, OBJECT_BYTES_MIN, Options, PAYLOAD_BYTES_MAX, QUEUE_BYTES_MAX,
    QUEUE_EVENTS_MAX,
};
pub use payload::{Payload, StoredPayload};
pub use query::{Filter, Found};
pub use reader::{Entry, Events, Reader};
pub use store::{Source, Store};
pub use tail::Tail;
