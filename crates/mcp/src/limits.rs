//! Limits on what a peer may send. Each names its unit and the threat it stops.

/// Bytes in one message. Stops a peer from filling memory with one body; past it the message is refused with -32600.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Levels of nesting. Stops stack exhaustion here and in every reader behind us; past it -32600.
pub const DEPTH_MAX: usize = 128;
/// Object members and array elements in one message, all levels together. Stops tiny elements from costing many times
/// their bytes in later processing; past it -32600.
pub const PARTS_MAX: usize = 1_000_000;
/// Bytes in a request id. Ids are kept in tables and echoed; stops them from being used as storage. Past it -32600.
pub const ID_BYTES_MAX: usize = 4096;
/// Bytes in a method name. Method names become metric labels and log fields; past it -32600.
pub const METHOD_BYTES_MAX: usize = 256;
/// Messages in one batch (2025-03-26). Stops one small body from starting unbounded work; past it -32600.
pub const BATCH_MAX: usize = 128;

/// What a decoder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one message, [`MESSAGE_BYTES_MAX`] unless configured.
    pub bytes: usize,
    /// Levels of nesting, [`DEPTH_MAX`] unless configured.
    pub depth: usize,
    /// Members and elements, [`PARTS_MAX`] unless configured.
    pub parts: usize,
    /// Where a repeated key is refused.
    pub duplicates: Duplicates,
}

/// Where a repeated object key is refused. Readers disagree on which of two equal keys counts, so a repeated key lets
/// a message mean one thing to the check and another to the server that acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// Everywhere. For what clients send.
    RefusedAtEveryDepth,
    /// Only among the envelope's own members. For big results of servers, which Cella does not act on.
    RefusedInEnvelope,
}

impl Limits {
    /// For messages of clients: repeated keys are refused at every depth.
    pub const CLIENT: Self = Self {
        bytes: MESSAGE_BYTES_MAX,
        depth: DEPTH_MAX,
        parts: PARTS_MAX,
        duplicates: Duplicates::RefusedAtEveryDepth,
    };
    /// For messages of servers: repeated keys are refused in the envelope.
    pub const SERVER: Self = Self {
        bytes: 4 * MESSAGE_BYTES_MAX,
        depth: DEPTH_MAX,
        parts: 4 * PARTS_MAX,
        duplicates: Duplicates::RefusedInEnvelope,
    };
}

impl Default for Limits {
    /// The strict ones, [`Limits::CLIENT`].
    fn default() -> Self {
        Self::CLIENT
    }
}
