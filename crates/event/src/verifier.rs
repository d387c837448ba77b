//! Checks a chain one event at a time, and says exactly what is wrong.

use crate::{
    DecodeError, Event, Hash, Head, Kept, Micros, PayloadRef, Salt, Seq, event_hash, payload_digest,
};

/// Follows a chain. Feed it canonical bytes in order.
#[derive(Clone, Debug)]
pub struct Verifier {
    head: Head,
    time: Option<Micros>,
    steps_back: u64,
}

/// An event that fits the chain so far.
#[derive(Clone, Debug)]
pub struct Link {
    /// The event.
    pub event: Event,
    /// Its hash, which the next one must name.
    pub hash: Hash,
    /// By how many microseconds its time lies before that of the event before. Allowed, because clocks are set; noted,
    /// because an auditor wants to know.
    pub stepped_back: Option<u64>,
}

/// Why a sequence of bytes is not a chain. Each says what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are no event of this version.
    #[error("event {seq}: {fault}")]
    NotAnEvent {
        /// The place in the chain where they stand.
        seq: Seq,
        /// What is wrong with them.
        fault: DecodeError,
    },
    /// A sequence number is missing, doubled or out of order.
    #[error("expected event {expected}, got {got}")]
    Gap {
        /// The next number.
        expected: Seq,
        /// The number found.
        got: Seq,
    },
    /// The event does not name the hash of the event before it: one of the two was altered.
    #[error("event {seq}: expected predecessor {expected}, got {got}")]
    BrokenChain {
        /// The event that was being read.
        seq: Seq,
        /// The hash of the event before it.
        expected: Hash,
        /// The hash it names.
        got: Hash,
    },
    /// The bytes of a payload are not those the event commits to.
    #[error("event {seq}, payload {name}: expected digest {expected}, got {got}")]
    PayloadDigest {
        /// The event.
        seq: Seq,
        /// The payload's name.
        name: String,
        /// The digest in the event.
        expected: Hash,
        /// The digest of salt and bytes.
        got: Hash,
    },
    /// A payload has another length than the event says.
    #[error("event {seq}, payload {name}: expected {expected} bytes, got {got}")]
    PayloadLength {
        /// The event.
        seq: Seq,
        /// The payload's name.
        name: String,
        /// The length in the event.
        expected: u64,
        /// The length found.
        got: u64,
    },
}

// === impl Verifier ===

impl Verifier {
    /// For a whole chain, from event 1.
    #[must_use]
    pub const fn genesis() -> Self {
        Self::after(Head::GENESIS)
    }

    /// For the part of a chain after a known head.
    #[must_use]
    pub const fn after(head: Head) -> Self {
        Self { head, time: None, steps_back: 0 }
    }

    /// Checks the next event. After a refusal the verifier stands where it stood.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&mut self, canonical: &[u8]) -> Result<Link, Refusal> {
        let expected = self.head.seq.next();
        let event = Event::decode(canonical).map_err(|fault| Refusal::NotAnEvent { seq: expected, fault })?;
        if event.seq != expected {
            return Err(Refusal::Gap { expected, got: event.seq });
        }
        if event.prev != self.head.hash {
            return Err(Refusal::BrokenChain { seq: expected, expected: self.head.hash, got: event.prev });
        }
        let hash = event_hash(canonical);
        let stepped_back =
            self.time.filter(|before| *before > event.time).map(|before| before.0.abs_diff(event.time.0));
        self.steps_back += u64::from(stepped_back.is_some());
        self.time = Some(event.time);
        self.head = Head { seq: expected, hash };
        Ok(Link { event, hash, stepped_back })
    }

    /// The last event that fitted.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// How many events had a time before that of their predecessor.
    #[must_use]
    pub const fn steps_back(&self) -> u64 {
        self.steps_back
    }
}

impl PayloadRef {
    /// Checks salt and bytes against the commitment. The caller knows whether bytes were kept; with [`Kept::None`] the
    /// same check answers whether bytes that somebody presents are the ones meant.
    ///
    /// # Errors
    /// [`Refusal::PayloadLength`], [`Refusal::PayloadDigest`].
    pub fn check(&self, seq: Seq, salt: &Salt, bytes: &[u8]) -> Result<(), Refusal> {
        let name = || self.name.as_str().to_owned();
        if self.bytes != bytes.len() as u64 {
            let got = bytes.len() as u64;
            return Err(Refusal::PayloadLength { seq, name: name(), expected: self.bytes, got });
        }
        let got = payload_digest(salt, bytes);
        if got != self.digest {
            return Err(Refusal::PayloadDigest { seq, name: name(), expected: self.digest, got });
        }
        Ok(())
    }

    /// True when bytes were stored with the event.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        !matches!(self.kept, Kept::None)
    }
}
