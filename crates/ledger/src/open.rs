//! Opening a ledger: who else has it, is its end whole, is anything missing that had been acknowledged.

use std::{fs, path::Path};

use cella_event::{Head, Seq};

use crate::{
    BlockFault, Direction, OpenError, Options, Span, Store, StoreError,
    lock::Lock,
    mark::Mark,
    objects::{Objects, sync_dir},
};

/// What was found on opening.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The last event, after repairs.
    pub head: Head,
    /// True when the ledger was made.
    pub created: bool,
    /// A damaged block at the end that was taken out of the chain and kept aside.
    pub cut: Option<Cut>,
    /// The last acknowledged event, when it is missing and the caller accepted that.
    pub lost: Option<Head>,
}

/// A block taken out of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its first event.
    pub first: Seq,
    /// Its last event.
    pub last: Seq,
    /// What is wrong with it.
    pub fault: BlockFault,
}

/// The parts of an open ledger.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Box<dyn Store>,
    pub(crate) mark: Mark,
    pub(crate) opened: Opened,
}

/// Checks a storage against the mark of its directory. The caller holds the lock.
pub(crate) fn check(options: &Options, mut store: Box<dyn Store>) -> Result<Parts, OpenError> {
    let dir = &options.dir;
    let mark = Mark::open(dir)?;
    Objects::new(dir).prepare()?;
    sync_dir(dir)?;
    let acknowledged = mark.read();
    let cut = cut_damaged_end(&mut *store, acknowledged, options.accept_loss)?;
    let head = store.source().head()?;
    let lost =
        acknowledged.filter(|mark| mark.seq > head.seq || (mark.seq == head.seq && mark.hash != head.hash));
    if let Some(expected) = lost
        && !options.accept_loss
    {
        return Err(OpenError::Lost { found: head.seq, expected });
    }
    let created = head == Head::GENESIS && lost.is_none();
    Ok(Parts { store, mark, opened: Opened { head, created, cut, lost } })
}

/// Makes the directory and takes the lock.
pub(crate) fn begin(options: &Options) -> Result<Lock, OpenError> {
    make_dir(&options.dir)?;
    Lock::take(&options.dir)
}

/// Checks the last block. A damaged one is cut without asking only when none of its events was acknowledged.
fn cut_damaged_end(
    store: &mut dyn Store,
    acknowledged: Option<Head>,
    accept_loss: bool,
) -> Result<Option<Cut>, OpenError> {
    let source = store.source();
    let last = |from| source.block(from, Direction::Backward, Span::ALL);
    let Some(block) = last(Seq(i64::MAX.unsigned_abs()))? else { return Ok(None) };
    let before = match block.first {
        Seq(0 | 1) => Head::GENESIS,
        Seq(first) => last(Seq(first - 1))?.map_or(Head::GENESIS, |block| block.head()),
    };
    let Err(fault) = block.check_framing().and_then(|()| block.check(before)) else { return Ok(None) };
    let (first, last) = (block.first, block.last());
    if acknowledged.is_some_and(|mark| mark.seq >= first) && !accept_loss {
        return Err(OpenError::Damaged { first, last, fault });
    }
    store.set_aside(first, &fault.to_string())?;
    Ok(Some(Cut { first, last, fault }))
}

fn make_dir(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt as _;

    if dir.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::file("creating", dir))
}
