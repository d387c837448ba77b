//! What a cell has changed so far, kept while it lives on.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use cella_freezer::Freezer;

use crate::{
    Delta, Kept, Layers, State, Sum, WorkspaceError,
    capture::{Budget, When},
    known::{Known, Settled, TICK, before_tick},
    layers::{Pass, draw, now, now_ms},
    store::Record,
    survey::{is_moving, survey},
};

/// How often a cell that cannot be made to stand still is looked at. Stops one that always writes from being read for ever;
/// past it there is no checkpoint ([`WorkspaceError::Restless`]).
const TRIES: u32 = 3;

/// What a checkpoint came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The delta; `None` where everything is as on the host. A second one of the same state is the first.
    pub kept: Option<Kept>,
    /// False when `kept` was there before, or is nothing.
    pub is_new: bool,
    /// The cell stood still meanwhile. Where nothing can make it, its copies were the same before and after.
    pub frozen: bool,
    /// For how long.
    pub still: Duration,
    /// How often it was looked at.
    pub tries: u32,
    /// Bytes of its files that were read.
    pub read: u64,
    /// Bytes of contents that were written.
    pub stored: u64,
}

/// Areas that belong together.
struct Looked {
    pass: Pass,
    /// For how long the cell stood still, if it did.
    still: Option<Duration>,
    tries: u32,
}

impl Layers {
    /// Keeps what the cell has changed so far, as [`Layers::capture`] does at its end, and leaves the layers in use. Files that
    /// did not change since the last checkpoint are not read again. The cell stands still while it is looked at, where that
    /// can be done; where not, what it writes meanwhile is noticed, but a call should not be running. Blocking.
    ///
    /// # Errors
    /// The disk, a layer that cannot be read, or a cell that does not stop writing.
    pub fn checkpoint(&mut self, freezer: &Freezer) -> Result<Checkpoint, WorkspaceError> {
        let shared = self.store.shared().map_err(WorkspaceError::system(self.store.dir()))?;
        let Looked { pass, still, tries } = self.look(freezer)?;
        let Pass { areas, known, read, stored } = pass;
        self.known = known;
        let delta = Delta::new(areas, self.parent.as_ref().map(|parent| parent.delta));
        let (frozen, still) = (still.is_some(), still.unwrap_or_default());
        let answer = |kept, is_new| Checkpoint { kept, is_new, frozen, still, tries, read, stored };
        if delta.is_empty() {
            return Ok(answer(None, false));
        }
        let digest = delta.digest();
        // A cell that has changed nothing yet is what it started from, and that is kept already.
        if let Some(parent) = self.last.is_none().then(|| self.parent_if_same(&delta)).flatten() {
            return Ok(answer(Some(parent), false));
        }
        // Somebody may have discarded it meanwhile.
        let last = self.last.as_deref().and_then(|id| self.store.find(id).ok());
        if let Some(kept) = last.filter(|kept| kept.digest == digest) {
            return Ok(answer(Some(kept), false));
        }
        self.store.objects().sync().map_err(WorkspaceError::system(self.store.dir()))?;
        let id = draw().map_err(WorkspaceError::system(self.store.dir()))?;
        let record = Record {
            about: self.about.clone(),
            from: self.parent.as_ref().map(|parent| parent.id.clone()),
            checkpoint_of: Some(self.id.clone()),
            owed: self.owes,
            captured_ms: now_ms(),
            committed_ms: None,
            state: State::Kept,
            digest,
            sum: Sum::of(&delta),
            roots: self.roots.clone(),
        };
        let kept = self.store.keep(&id, &delta, record)?;
        drop(shared);
        self.last = Some(id);
        Ok(answer(Some(kept), true))
    }

    fn look(&self, freezer: &Freezer) -> Result<Looked, WorkspaceError> {
        let place = self.store.live().join(&self.id);
        let settle = || Settled::after_sync(&place).map_err(WorkspaceError::system(&place));
        let mut budget = self.budget()?;
        // Most of it is read and comes to the disk while the cell still works: it stands still for a moment only.
        let before = settle()?;
        let (known, read, stored) = match self.pass(&self.known, &mut budget.clone(), (before, When::Ahead)) {
            Ok(pass) => (pass.known, pass.read, pass.stored),
            Err(error) => {
                tracing::debug!(%error, id = self.id, "a cell writes while its copies are read ahead");
                (self.known.clone(), 0, 0)
            }
        };
        let began = Instant::now();
        let frozen = match freezer.freeze() {
            Ok(frozen) => frozen,
            Err(error) => {
                tracing::debug!(%error, id = self.id, "a cell does not stand still for its checkpoint");
                let mut looked = self.look_again(&known, before, &budget)?;
                looked.pass.read += read;
                looked.pass.stored += stored;
                return Ok(looked);
            }
        };
        let mut pass = self.pass(&known, &mut budget, (settle()?, When::Alive))?;
        drop(frozen);
        pass.read += read;
        pass.stored += stored;
        Ok(Looked { pass, still: Some(began.elapsed()), tries: 1 })
    }

    /// Looks until nothing changed between two looks.
    fn look_again(
        &self,
        known: &[Known],
        settled: Settled,
        budget: &Budget,
    ) -> Result<Looked, WorkspaceError> {
        let uppers: Vec<PathBuf> = (0..self.roots.len()).map(|at| self.layer(at).join("upper")).collect();
        let survey = || survey(uppers.iter().map(PathBuf::as_path));
        for tries in 1..=TRIES {
            let began = now();
            let before = survey();
            // A change within the same tick as another has no time of its own.
            if !before.as_ref().is_ok_and(|before| before.newest < before_tick(began)) {
                std::thread::sleep(TICK);
                continue;
            }
            let pass = self.pass(known, &mut budget.clone(), (settled, When::Alive));
            match (before, pass, survey()) {
                (Ok(before), Ok(pass), Ok(after)) if before == after => {
                    return Ok(Looked { pass, still: None, tries });
                }
                (_, Err(WorkspaceError::System { path, source }), _) if !is_moving(&source) => {
                    return Err(WorkspaceError::System { path, source });
                }
                _ => {}
            }
        }
        Err(WorkspaceError::Restless { id: self.id.clone(), tries: TRIES })
    }
}
