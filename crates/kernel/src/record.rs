//! Facts as events of the ledger, in both directions. What is written here is read again by every later version: the body's fields are
//! part of `spec/run-v1.md`.
//!
//! Calls of tools are put on record by whoever makes them, with `run`, `step` and `part` in the intent's body; their other events
//! carry only the name of the call, and a [`Decoder`] remembers whose it is.

mod decode;
mod encode;

pub use decode::{Decoder, Unreadable};
pub use encode::{Recorded, encode};
