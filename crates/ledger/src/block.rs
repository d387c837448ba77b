//! A block: the events of one commit, as stored. One row per commit instead of one per event halves the cost of a
//! buffered append (docs/adr/0004-ledger-blocks.md).
//!
//! Events stand one after the other, each with its length in four bytes, little endian, in front. Payload records are
//! `u32 index in block, u8 state, u8 length of name, name, 16 bytes salt, u32 length, bytes`; a record has bytes only in
//! state `Inline`.

use cella_event::{Hash, Head, Micros, Refusal, SALT_BYTES, Salt, Seq, Verifier, event_hash};

/// The events of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Sequence number of its first event.
    pub first: Seq,
    /// How many events.
    pub count: u32,
    /// Hash of the event before its first.
    pub prev: Hash,
    /// Least time of its events.
    pub since: Micros,
    /// Greatest time of its events.
    pub until: Micros,
    /// Hash of its last event.
    pub last_hash: Hash,
    /// Events with their lengths.
    pub events: Vec<u8>,
    /// Payload records.
    pub payloads: Vec<u8>,
}

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockFault {
    /// The lengths of its events do not add up.
    #[error("expected {expected} events, got {got} and {left} bytes that are none")]
    Framing {
        /// How many the block claims.
        expected: u32,
        /// How many whole ones are there.
        got: u32,
        /// Bytes after them.
        left: usize,
    },
    /// An event does not fit the chain.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The last event has another hash than the block says.
    #[error("event {seq}: expected hash {expected}, got {got}")]
    LastHash {
        /// The last event.
        seq: Seq,
        /// The hash in the block.
        expected: Hash,
        /// The hash of the event's bytes.
        got: Hash,
    },
    /// The payload records do not add up.
    #[error("payload records break off at byte {at}")]
    Payloads {
        /// Where.
        at: usize,
    },
}

/// How a payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Inline,
    Object,
    NeverKept,
    Deleted,
}

/// One payload record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) index: u32,
    pub(crate) state: State,
    pub(crate) name: &'a str,
    pub(crate) salt: Salt,
    pub(crate) bytes: &'a [u8],
}

// === impl Block ===

impl Block {
    /// Its last event.
    #[must_use]
    pub const fn last(&self) -> Seq {
        Seq((self.first.0 + self.count as u64).saturating_sub(1))
    }

    /// The head of the chain after it.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { seq: self.last(), hash: self.last_hash }
    }

    /// The canonical bytes of its events, in order. Stops at the first length that does not fit.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        frames(&self.events)
    }

    /// Checks framing, every event, and the last hash, after a known head.
    ///
    /// # Errors
    /// [`BlockFault`], the first found.
    pub fn check(&self, before: Head) -> Result<(), BlockFault> {
        self.check_framing()?;
        let mut verifier = Verifier::after(before);
        for canonical in self.iter() {
            verifier.check(canonical)?;
        }
        self.check_last_hash()
    }

    pub(crate) fn check_framing(&self) -> Result<(), BlockFault> {
        let (mut got, mut used) = (0, 0);
        for canonical in self.iter() {
            got += 1;
            used += 4 + canonical.len();
        }
        let left = self.events.len() - used;
        if got != self.count || left != 0 {
            return Err(BlockFault::Framing { expected: self.count, got, left });
        }
        Ok(())
    }

    pub(crate) fn check_last_hash(&self) -> Result<(), BlockFault> {
        let got = self.iter().last().map_or(Hash::ZERO, event_hash);
        if got != self.last_hash {
            return Err(BlockFault::LastHash { seq: self.last(), expected: self.last_hash, got });
        }
        Ok(())
    }
}

/// Splits what stands with its length in front. Stops at the first length that does not fit.
pub(crate) fn frames(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (frame, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        Some(frame)
    })
}

// === impl State ===

impl State {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Inline => 0,
            Self::Object => 1,
            Self::NeverKept => 2,
            Self::Deleted => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Inline),
            1 => Some(Self::Object),
            2 => Some(Self::NeverKept),
            3 => Some(Self::Deleted),
            _ => None,
        }
    }
}

// === impl Record ===

impl Record<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.to_le_bytes());
        out.push(self.state.to_byte());
        // A key has at most 64 bytes and a kept payload far less than 4 GiB.
        out.push(u8::try_from(self.name.len()).unwrap_or_default());
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&u32::try_from(self.bytes.len()).unwrap_or_default().to_le_bytes());
        out.extend_from_slice(self.bytes);
    }
}

/// Reads payload records one after the other; a record that breaks off ends in an error.
pub(crate) fn records(all: &[u8]) -> impl Iterator<Item = Result<Record<'_>, BlockFault>> {
    let mut rest = all;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = all.len() - rest.len();
        let Some((record, after)) = record(rest) else {
            rest = &[];
            return Some(Err(BlockFault::Payloads { at }));
        };
        rest = after;
        Some(Ok(record))
    })
}

fn record(rest: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (index, rest) = rest.split_first_chunk::<4>()?;
    let (&[state, name_length], rest) = rest.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(name_length))?;
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let record = Record {
        index: u32::from_le_bytes(*index),
        state: State::from_byte(state)?,
        name: std::str::from_utf8(name).ok()?,
        salt: *salt,
        bytes,
    };
    Some((record, rest))
}
