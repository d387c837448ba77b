//! What every storage behind a ledger owes it.

use std::{fmt, sync::Arc};

use cella_event::{Head, Micros, Seq};

use crate::{Block, StoreError};

/// The writing half of a storage. One exists per ledger; the ledger's writer thread owns it. `kit::run_all` holds an
/// implementation to these obligations:
///
/// 1. **Durable.** When `append` returns `Ok`, the block survives the loss of power.
/// 2. **Whole.** After any failure or crash a block is there with all its events and payloads, or not at all.
/// 3. **Next.** A block that does not follow the stored head (sequence and hash) is refused with
///    [`StoreError::NotNext`] and changes nothing.
/// 4. **Again.** Appending the very block that is the head already returns `Ok` and changes nothing: after a failure
///    whose outcome is unknown the writer repeats itself.
/// 5. **Same bytes.** What a [`Source`] returns is what was appended, byte for byte.
/// 6. **Visible.** After `append` returned, every `Source` of the storage sees the block; before, none does.
/// 7. **Recoverable.** After a failure for want of space, `append` succeeds once there is space, without reopening.
/// 8. **Deletable.** `replace_payloads` changes the payloads of one block and nothing of its events; after `scrub` the
///    old bytes are not readable in the storage any more.
/// 9. **Set aside.** `set_aside` makes the block before the last the head again, and keeps the last for inspection.
pub trait Store: Send + fmt::Debug {
    /// Adds one block.
    ///
    /// # Errors
    /// [`StoreError`]; obligations 2 and 4 say what may have happened.
    fn append(&mut self, block: &Block) -> Result<(), StoreError>;

    /// Puts other payload records in the place of a block's.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    fn replace_payloads(&mut self, first: Seq, payloads: &[u8]) -> Result<(), StoreError>;

    /// Overwrites what `replace_payloads` replaced.
    ///
    /// # Errors
    /// [`StoreError`]; old bytes may still be readable then.
    fn scrub(&mut self) -> Result<(), StoreError>;

    /// Takes the last block, which starts at `first`, out of the chain. Used on opening only.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    fn set_aside(&mut self, first: Seq, reason: &str) -> Result<(), StoreError>;

    /// Housekeeping after acknowledgements went out; may do nothing.
    fn tidy(&mut self) {}

    /// The reading half.
    fn source(&self) -> Arc<dyn Source>;
}

/// The reading half of a storage: concurrent, and never in the writer's way.
pub trait Source: Send + Sync + fmt::Debug {
    /// The last event as the last block's columns say; [`Head::GENESIS`] when there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn head(&self) -> Result<Head, StoreError>;

    /// Forward, the first block that starts at `from` or later; backward, the last that starts at `from` or earlier;
    /// among those with an event in the span by their columns. Payloads are left out. The block that holds an event is
    /// found backward from it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn block(&self, from: Seq, direction: Direction, span: Span) -> Result<Option<Block>, StoreError>;

    /// The payload records of the block that starts at `first`; empty when it has none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn payloads(&self, first: Seq) -> Result<Vec<u8>, StoreError>;
}

/// Which way to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards later events.
    #[default]
    Forward,
    /// Towards earlier events.
    Backward,
}

/// A stretch of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub since: Micros,
    /// Its end.
    pub until: Micros,
}

// === impl Span ===

impl Span {
    /// All of time.
    pub const ALL: Self = Self { since: Micros(i64::MIN), until: Micros(i64::MAX) };
}
