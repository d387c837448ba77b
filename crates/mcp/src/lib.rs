//! What may be said? JSON-RPC and MCP of both eras as values: decode strictly, look at what must be routed,
//! checked and recorded, splice what must change, and leave every other byte alone. No I/O, no clock, no tokio.
//!
//! The eras are sibling modules (`legacy`, `modern`) over one envelope; conversions stand in one place.

pub mod codes;
mod decode;
mod encode;
mod facts;
mod header_params;
mod id;
mod limits;
mod message;
mod object;
mod raw;
mod revision;
mod scan;
mod text;
mod walk;

pub use decode::{DecodeError, Flaw, Incoming, parse_batch};
pub use encode::{compact, one_line};
pub use facts::ServerFacts;
pub use header_params::{HeaderParam, HeaderParams};
pub use id::Id;
pub use limits::{
    BATCH_MAX, DEPTH_MAX, Duplicates, ID_BYTES_MAX, Limits, MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, PARTS_MAX,
};
pub use message::{Message, Notification, Raw, Request, Response, RpcError};
pub use object::{Array, NotJson, Object, member, raw_json, raw_string};
pub use revision::{Era, Revision};
