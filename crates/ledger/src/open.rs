//! Opening a ledger: who else has it, is its end whole, is anything missing that had been acknowledged.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use cella_event::{Head, Seq};

use crate::{
    Block, BlockFault, Direction, OpenError, Options, Source, Span, Store,
    lock::Lock,
    mark::Mark,
    objects::{Objects, sync_dir},
    private::make_dir,
};

/// A file by which a human says that acknowledged events may be given up. It counts for one start.
const CONSENT_FILE: &str = "ledger.accept-loss";

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
    /// Somebody had said that acknowledged events may be given up: by the options, or by the file. Whether any were is
    /// said by `lost`.
    pub loss_accepted: bool,
}

/// Blocks taken out of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its first event.
    pub first: Seq,
    /// Its last event.
    pub last: Seq,
    /// What is wrong with the first of them.
    pub fault: BlockFault,
}

/// The parts of an open ledger.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Box<dyn Store>,
    pub(crate) mark: Mark,
    pub(crate) opened: Opened,
    /// To be removed once what was accepted is on record.
    pub(crate) consent: Option<PathBuf>,
}

/// Checks a storage against the mark of its directory. The caller holds the lock.
pub(crate) fn check(options: &Options, mut store: Box<dyn Store>) -> Result<Parts, OpenError> {
    let dir = &options.dir;
    let mark = Mark::open(dir)?;
    Objects::new(dir).prepare()?;
    sync_dir(dir)?;
    let acknowledged = mark.read();
    let consent = Some(dir.join(CONSENT_FILE)).filter(|file| file.exists());
    let loss_accepted = options.accept_loss || consent.is_some();
    let cut = cut_damaged_end(&mut *store, acknowledged, loss_accepted)?;
    let head = store.source().head()?;
    let lost =
        acknowledged.filter(|mark| mark.seq > head.seq || (mark.seq == head.seq && mark.hash != head.hash));
    if let Some(expected) = lost
        && !loss_accepted
    {
        return Err(OpenError::Lost { found: head.seq, expected });
    }
    let created = head == Head::GENESIS && lost.is_none();
    let opened = Opened { head, created, cut, lost, loss_accepted };
    Ok(Parts { store, mark, opened, consent })
}

/// Makes the directory and takes the lock.
pub(crate) fn begin(options: &Options) -> Result<Lock, OpenError> {
    make_dir(&options.dir)?;
    Lock::take(&options.dir)
}

/// Withdraws the consent, so that it does not cover a later loss.
pub(crate) fn use_up(consent: &Path) {
    match fs::remove_file(consent) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::error!(%error, file = %consent.display(), "remove this file: the next loss would pass without a question");
        }
        _ => {}
    }
}

/// Takes damaged blocks off the end until one is sound. Without consent only what nobody relies on goes: nothing that
/// was acknowledged, and no more than one block when it is not known what was.
fn cut_damaged_end(
    store: &mut dyn Store,
    acknowledged: Option<Head>,
    loss_accepted: bool,
) -> Result<Option<Cut>, OpenError> {
    let damaged = damaged_end(&*store.source())?;
    let Some(all) = damaged.iter().cloned().reduce(|later, cut| Cut { last: later.last, ..cut }) else {
        return Ok(None);
    };
    let relied_on = acknowledged.map_or(damaged.len() > 1, |mark| mark.seq >= all.first);
    if relied_on && !loss_accepted {
        return Err(OpenError::Damaged { first: all.first, last: all.last, fault: all.fault });
    }
    for Cut { first, fault, .. } in &damaged {
        store.set_aside(*first, &fault.to_string())?;
    }
    Ok(Some(all))
}

/// The blocks at the end that do not verify, the last first.
fn damaged_end(source: &dyn Source) -> Result<Vec<Cut>, OpenError> {
    let last = |from| source.block(from, Direction::Backward, Span::ALL);
    let mut damaged = Vec::new();
    let mut block = last(Seq(i64::MAX.unsigned_abs()))?;
    while let Some(checked) = block {
        let previous = last(Seq(checked.first.0.saturating_sub(1)))?.filter(|p| p.first < checked.first);
        let before = previous.as_ref().map_or(Head::GENESIS, Block::head);
        match checked.check_framing().and_then(|()| checked.check(before)) {
            Ok(()) => break,
            Err(fault) => damaged.push(Cut { first: checked.first, last: checked.last(), fault }),
        }
        block = previous;
    }
    Ok(damaged)
}
