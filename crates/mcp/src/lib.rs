//! What may be said? JSON-RPC and MCP of both eras as values: decode strictly, look at what must be routed,
//! checked and recorded, splice what must change, and leave every other byte alone. No I/O, no clock, no tokio.
//!
//! The eras are sibling modules (`legacy`, `modern`) over one envelope; conversions stand in one place.

mod facts;
mod header_params;
mod id;
mod message;
mod revision;

pub use facts::ServerFacts;
pub use header_params::{HeaderParam, HeaderParams};
pub use id::Id;
pub use message::{Message, Notification, Raw, Request, Response, RpcError};
pub use revision::{Era, Revision};
