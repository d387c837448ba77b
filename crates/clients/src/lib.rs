//! Where do MCP clients keep their servers, how are those read, and how is ours written?
//!
//! Reading and writing are text to text: no file is opened here. An edit touches our own
//! entry and keeps comments, order and everything else as it was.

mod document;
mod known;
mod server;
mod values;

pub use document::{EditError, entry_at, put_back, read, remove, take_out, write};
pub use known::{Client, Format, KNOWN, find};
pub use server::{Entry, Found};
