//! The configuration files of MCP clients: where they are, how their servers are read, and how ours is written.
//!
//! Reading and writing are text to text; `command::import` and `command::client` do the rest. An edit touches our own
//! entry and keeps comments, order and everything else as it was.

mod document;
mod known;
mod server;
mod values;

pub(crate) use document::{EditError, entry_at, put_back, read, remove, take_out, write};
pub(crate) use known::{Client, Format, KNOWN, find};
pub(crate) use server::{Entry, Found};
