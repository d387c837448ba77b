//! One fact as it stands in the ledger.

use std::fmt;

use crate::{CallId, Hash, Kind, Label, Map, PayloadRef, RunId, decode::decode, sha256::sha256};

/// The version of the format this crate writes.
pub const VERSION: u32 = 1;

/// Longest canonical encoding, in bytes. Stops a body built from peers' data from growing without end, and lets an event
/// with its header fit an entry of a transparency log (65,535 bytes); a longer one is refused when it is made.
pub const EVENT_BYTES_MAX: usize = 60 * 1024;

const DOMAIN: &[u8] = b"cella/event/v1\0";

/// The place of an event in its ledger: gap-free from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// Microseconds since 1970-01-01 00:00 UTC, as the writer's clock had it. Recorded, not proven; it may step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Micros(pub i64);

/// The last event of a chain and its hash. Before the first event: sequence 0 and [`Hash::ZERO`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last sequence number.
    pub seq: Seq,
    /// The hash of that event.
    pub hash: Hash,
}

/// One immutable fact. Made by decoding canonical bytes; new ones are made as [`crate::Draft`] and sealed by a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place.
    pub seq: Seq,
    /// When, by the writer's clock.
    pub time: Micros,
    /// What happened.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The call it belongs to.
    pub call: Option<CallId>,
    /// The call that caused this one.
    pub parent: Option<CallId>,
    /// Who acted.
    pub principal: Option<Label>,
    /// The server concerned.
    pub server: Option<Label>,
    /// The tool concerned, by the server's own name.
    pub tool: Option<Label>,
    /// Typed fields, by kind.
    pub body: Map,
    /// Commitments to payloads, in the order of their names.
    pub payloads: Vec<PayloadRef>,
    /// Hash of the event before this one.
    pub prev: Hash,
}

/// `SHA-256("cella/event/v1\0" || canonical bytes)`.
#[must_use]
pub fn event_hash(canonical: &[u8]) -> Hash {
    sha256(&[DOMAIN, canonical])
}

// === impl Event ===

impl Event {
    /// Reads canonical bytes, strictly: what it accepts is the one encoding of the event it returns.
    ///
    /// # Errors
    /// [`crate::DecodeError`] names the first byte at fault and what was expected there.
    pub fn decode(canonical: &[u8]) -> Result<Self, crate::DecodeError> {
        decode(canonical)
    }

    /// The payload of that name.
    #[must_use]
    pub fn payload(&self, name: &str) -> Option<&PayloadRef> {
        self.payloads.iter().find(|p| p.name.as_str() == name)
    }
}

// === impl Head ===

impl Head {
    /// Before the first event.
    pub const GENESIS: Self = Self { seq: Seq(0), hash: Hash::ZERO };
}

// === impl Seq ===

impl Seq {
    /// The one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
