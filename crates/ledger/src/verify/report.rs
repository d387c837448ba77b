//! What a check found, and what it proves.

use cella_event::{Hash, Head, Refusal, Seq};

use crate::BlockFault;

/// Faults listed in a report. Past it they are counted only: a file that is no ledger at all would list every event.
pub const FAULTS_LISTED: usize = 100;

/// What checking a ledger found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The last event.
    pub head: Option<Head>,
    /// Events read.
    pub events: u64,
    /// Payloads whose bytes match their event.
    pub payloads_checked: u64,
    /// Payloads of which, by policy, only the salt was kept.
    pub payloads_never_kept: u64,
    /// Payloads deleted on purpose.
    pub payloads_deleted: u64,
    /// Events whose time lies before that of their predecessor. Allowed; for the reader to judge.
    pub time_steps_back: u64,
    /// What is wrong, about in order, at most [`FAULTS_LISTED`].
    pub faults: Vec<Fault>,
    /// How many faults there are in all.
    pub faults_found: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes of this event are not those that the event after it names, or that were acknowledged.
    #[error("event {seq} was altered: expected hash {expected}, got {got}")]
    Altered {
        /// The event.
        seq: Seq,
        /// The hash that is on record for it.
        expected: Hash,
        /// The hash of its bytes.
        got: Hash,
    },
    /// The bytes are no event, or one with another sequence number.
    #[error("event {seq} was altered: {refusal}")]
    NotTheEvent {
        /// The place.
        seq: Seq,
        /// What is wrong.
        refusal: Refusal,
    },
    /// The length in front of an event is wrong. The event itself was found by its form and checked.
    #[error("the length of event {seq} was altered")]
    Length {
        /// The event.
        seq: Seq,
    },
    /// Events are gone.
    #[error("events {first} to {last} are missing")]
    Missing {
        /// The first that is missing.
        first: Seq,
        /// The last that is missing.
        last: Seq,
    },
    /// A column of a block does not say what its events say. No event is touched.
    #[error("block that starts at event {first}: {column} was altered")]
    Column {
        /// Its first event.
        first: Seq,
        /// Which column.
        column: &'static str,
    },
    /// Bytes at the end of a block are no events.
    #[error("block that starts at event {first}: {bytes} bytes at its end are no events")]
    Rest {
        /// Its first event.
        first: Seq,
        /// How many bytes.
        bytes: usize,
    },
    /// The payload records of a block break off.
    #[error("block that starts at event {first}: {fault}")]
    Records {
        /// Its first event.
        first: Seq,
        /// Where.
        fault: BlockFault,
    },
    /// A payload is not the one that the event commits to.
    #[error("{refusal}")]
    Payload {
        /// The event.
        seq: Seq,
        /// What is wrong.
        refusal: Refusal,
    },
    /// A payload was kept and is gone, and its place does not say that it was deleted.
    #[error("payload {name} of event {seq} is missing")]
    PayloadMissing {
        /// The event.
        seq: Seq,
        /// Its name.
        name: String,
    },
    /// A payload is marked as deleted, and no event says that it was.
    #[error("payload {name} of event {seq} is marked as deleted, and no event says that it was")]
    DeletionUnrecorded {
        /// The event.
        seq: Seq,
        /// Its name.
        name: String,
    },
    /// The storage cannot read on.
    #[error("what follows event {after} cannot be read: {reason}")]
    Unreadable {
        /// The last event that was read.
        after: Seq,
        /// What the storage says.
        reason: String,
    },
}

// === impl Fault ===

impl Fault {
    /// The event that was altered, when it is that kind of fault.
    #[must_use]
    pub const fn altered(&self) -> Option<Seq> {
        match self {
            Self::Altered { seq, .. } | Self::NotTheEvent { seq, .. } => Some(*seq),
            _ => None,
        }
    }

    /// The event it is about; the first of several, or of the block.
    #[must_use]
    pub const fn place(&self) -> Seq {
        match self {
            Self::Altered { seq, .. }
            | Self::NotTheEvent { seq, .. }
            | Self::Length { seq }
            | Self::Payload { seq, .. }
            | Self::PayloadMissing { seq, .. }
            | Self::DeletionUnrecorded { seq, .. } => *seq,
            Self::Missing { first, .. }
            | Self::Column { first, .. }
            | Self::Rest { first, .. }
            | Self::Records { first, .. } => *first,
            Self::Unreadable { after, .. } => after.next(),
        }
    }

    /// What was expected and what was found, where the two can be named.
    #[must_use]
    pub fn contrast(&self) -> Option<(String, String)> {
        match self {
            Self::Altered { expected, got, .. } => Some((expected.to_string(), got.to_string())),
            Self::NotTheEvent { refusal, .. } | Self::Payload { refusal, .. } => match refusal {
                Refusal::Gap { expected, got } => Some((expected.to_string(), got.to_string())),
                Refusal::BrokenChain { expected, got, .. } | Refusal::PayloadDigest { expected, got, .. } => {
                    Some((expected.to_string(), got.to_string()))
                }
                Refusal::PayloadLength { expected, got, .. } => Some((expected.to_string(), got.to_string())),
                _ => None,
            },
            _ => None,
        }
    }
}

// === impl Report ===

impl Report {
    /// What a sound report proves.
    pub const PROVEN: &[&str] = &[
        "no event up to the head was altered, removed, added or moved since the head's hash was noted elsewhere",
        "every payload that is kept is the one its event commits to",
    ];

    /// What stands in the ledger because the node wrote it.
    pub const RECORDED: &[&str] = &["what happened, when and by whom: as the node saw it, by its clock"];

    /// What the check rests on.
    pub const TRUSTED: &[&str] = &[
        "the node, at the time of writing",
        "the head: who can rewrite the whole file can make another chain, unless its hash is held elsewhere",
    ];

    /// True when nothing is wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.faults_found == 0
    }

    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults_found += 1;
        if self.faults.len() < FAULTS_LISTED {
            self.faults.push(fault);
        }
    }
}
