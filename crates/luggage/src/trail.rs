//! What the files of a run were at an event, from what is on record. Pure: events in, an answer out.

use std::collections::{BTreeMap, BTreeSet};

use cella_event::{Event, Kind, RunId, Seq};

/// In `cell.started`: the run whose process it is, where each run has its own and works in copies.
pub const OF_RUN: &str = "of_run";
/// In `cell.started`: the workspace that it starts from.
pub const FROM: &str = "from";
/// In `cell.started`: it changes directories of the host themselves too.
pub const DIRECT: &str = "direct";
/// In `run.forked`: the files were left behind on purpose.
pub const LEFT: &str = "without_files";

/// What files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// As on the host.
    #[default]
    Host,
    /// As this workspace has them.
    Kept(String),
}

/// What a run did at one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail {
    /// Cells of this run.
    pub(crate) cells: BTreeSet<String>,
    /// The last of them.
    pub(crate) last: Option<String>,
    /// What it started from.
    pub(crate) base: At,
    pub(crate) current: At,
    /// A call has ended in the cell since.
    pub(crate) is_open: bool,
    /// Something else has happened in the same cell before its files were kept.
    pub(crate) is_lost: bool,
    /// The cell also had directories of the host themselves.
    pub(crate) is_direct: bool,
    /// Calls that were begun.
    pub(crate) calls: u64,
    /// Why the last checkpoint failed.
    pub(crate) why: Option<String>,
    /// Nothing says that it has ended, or its end is on record and what it left is not.
    lives: bool,
}

/// What one run did, at each server, and where it comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trails {
    pub(crate) servers: BTreeMap<String, Trail>,
    /// The run that it left, and where; `None` for the files of one that left them behind.
    pub(crate) parent: Option<(RunId, Seq)>,
}

/// The fold, up to an event. What is kept of a state afterwards counts as long as nothing else has happened to it.
pub(crate) fn trails<'e>(run: &RunId, at: Option<Seq>, events: impl Iterator<Item = &'e Event>) -> Trails {
    let mut all = Trails::default();
    let mut resumed = false;
    for event in events {
        let after = at.is_some_and(|at| event.seq > at);
        match event.kind {
            Kind::RunForked if event.body.bool(LEFT) != Some(true) => {
                let from = event.body.text("from").and_then(|from| RunId::new(from.to_owned()).ok());
                let at = event.body.int("at").and_then(|at| u64::try_from(at).ok());
                all.parent = from.zip(at.map(Seq));
            }
            Kind::RunResumed => resumed |= after,
            _ => {
                let Some(server) = event.server.as_ref().map(|server| server.as_str()) else { continue };
                let is_own_cell =
                    event.kind == Kind::CellStarted && event.body.text(OF_RUN) == Some(run.as_str());
                let is_own = event.run.as_ref() == Some(run) || is_own_cell;
                if !all.servers.contains_key(server) && (!is_own || after) {
                    continue;
                }
                let trail = all.servers.entry(server.to_owned()).or_default();
                if after { trail.hears(event, is_own_cell, resumed) } else { trail.takes(event, is_own_cell) }
            }
        }
    }
    all
}

// === impl Trail ===

impl Trail {
    fn takes(&mut self, event: &Event, is_own_cell: bool) {
        match event.kind {
            Kind::CellStarted if is_own_cell => {
                self.last = event.body.text("cell").map(str::to_owned);
                self.cells.extend(self.last.clone());
                self.base = event.body.text(FROM).map_or(At::Host, |from| At::Kept(from.to_owned()));
                self.current = self.base.clone();
                self.is_direct |= event.body.bool(DIRECT) == Some(true);
                (self.is_open, self.lives) = (false, true);
            }
            Kind::CellExited if self.is_of(event) => self.lives = false,
            Kind::CallIntended => self.calls += 1,
            Kind::CallCompleted | Kind::CallFailed | Kind::CallCancelled => self.is_open |= self.lives,
            _ => self.keeps(event),
        }
    }

    /// An event after the one that is asked for.
    fn hears(&mut self, event: &Event, is_own_cell: bool, resumed: bool) {
        match event.kind {
            Kind::CellStarted if is_own_cell => self.is_lost = true,
            Kind::CallIntended if !resumed => self.is_lost = true,
            _ if self.is_open && !self.is_lost => self.keeps(event),
            _ => {}
        }
    }

    fn keeps(&mut self, event: &Event) {
        let kept = event.body.text("workspace").map(|id| At::Kept(id.to_owned()));
        match (&event.kind, kept) {
            (Kind::CellCheckpointed, _) if event.body.text("code").is_some() => {
                self.why = event.body.text("why").map(str::to_owned);
            }
            (Kind::CellCheckpointed, kept) => {
                self.current = kept.unwrap_or_default();
                (self.is_open, self.why) = (false, None);
            }
            (Kind::WorkspaceCaptured, Some(kept)) if self.is_of(event) => {
                self.current = kept;
                (self.is_open, self.why) = (false, None);
                self.lives &= event.body.text("checkpoint_of").is_some();
            }
            _ => {}
        }
    }

    fn is_of(&self, event: &Event) -> bool {
        event.body.text("cell").is_some_and(|cell| self.cells.contains(cell))
    }

    /// Whether the last cell may have left something that is on no record yet.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.is_open || self.lives
    }

    /// Each of its processes was the run's own and worked in copies.
    pub(crate) fn is_apart(&self) -> bool {
        !self.cells.is_empty()
    }
}

#[cfg(test)]
mod tests;
