//! One JSON message per line, over any byte stream (2026-07-28, basic/transports/stdio; unix sockets and TCP use the
//! same framing). [`Lines`] reads, [`Outbox`] writes; neither looks into a message.

mod lines;
mod outbox;
#[cfg(test)]
mod tests;

pub use lines::{Frame, Lines};
pub use outbox::{Outbox, OutboxClosed, Writer};

/// Bytes in one line, unless configured. Stops a peer from filling memory with a line that never ends; the line is
/// thrown away up to its end and its first bytes are reported.
pub const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of an overlong line that are reported, enough to find the id of the call that it answers.
pub const OVERLONG_HEAD_BYTES: usize = 512;

/// Bytes that may wait for a peer that does not read. Stops a peer with a full pipe from filling our memory; past it
/// nothing more is accepted for it.
pub const OUTBOX_BYTES_MAX: usize = 64 * 1024 * 1024;
