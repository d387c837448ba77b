//! What can go wrong, by operation.

use cella_event::{RunId, Seq};
use cella_kernel::{Impossible, StepId, Unreadable};
use cella_ledger::{AppendError, ReadError};

/// Why a run cannot be read from its ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is none.
    #[error("CE1520: there is no run {run}")]
    NoSuchRun {
        /// What was asked for.
        run: String,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event of it cannot be read.
    #[error("CE1521: the run {run} cannot be read: {fault}")]
    Unreadable {
        /// The run.
        run: RunId,
        /// Why.
        fault: Unreadable,
    },
    /// Its facts do not follow from each other.
    #[error("CE1522: the run {run} is not one that this version can go on with: {fault}")]
    Impossible {
        /// The run.
        run: RunId,
        /// Where, and why.
        fault: Impossible,
    },
    /// Forks of forks without end.
    #[error("CE1523: the run {run} is a fork of a fork, more than {max} deep")]
    TooDeep {
        /// The run.
        run: RunId,
        /// How deep one may be.
        max: usize,
    },
}

/// Why a run was not begun, or not taken up again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It cannot be put on record.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It is over.
    #[error("CE1524: the run {run} is over")]
    Over {
        /// The run.
        run: RunId,
    },
    /// Two runs cannot share the state at this event.
    #[error("CE1525: at event {at} calls of {run} are under way; it is at rest {}", places(*before, *after))]
    NotAtRest {
        /// The run.
        run: RunId,
        /// Where it was to be left.
        at: Seq,
        /// The last event before it where it is at rest.
        before: Option<Seq>,
        /// The first one after it.
        after: Option<Seq>,
    },
    /// The node is about to end.
    #[error("CE1526: the node is about to end and begins no runs any more")]
    Draining,
    /// No name for it.
    #[error("CE1527: no randomness for the name of a run: {0}")]
    NoRandomness(getrandom::Error),
}

/// Why what somebody decided was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadDecision {
    /// The run cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It cannot be put on record.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Nobody asked.
    #[error("CE1528: {step} of {run} does not wait for this; what waits: {waiting}")]
    NotAsked {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// What does.
        waiting: String,
    },
    /// It is over.
    #[error("CE1524: the run {run} is over")]
    Over {
        /// The run.
        run: RunId,
    },
}

/// Why the pursuit of a run broke off. The run is as it was: it can be taken up again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// Something could not be put on record, so nothing more is done.
    #[error("the run stopped because something could not be put on record: {0}")]
    Append(#[from] AppendError),
    /// The ledger cannot be read.
    #[error("the run stopped because the ledger cannot be read: {0}")]
    Read(String),
    /// What came back from the ledger does not follow.
    #[error("the run stopped: {0}")]
    Impossible(String),
    /// The node ends.
    #[error("the node ends")]
    Draining,
}

fn places(before: Option<Seq>, after: Option<Seq>) -> String {
    let at = |seq: Option<Seq>| seq.map(|seq| seq.to_string());
    match (at(before), at(after)) {
        (Some(before), Some(after)) => format!("at {before} and at {after}"),
        (Some(one), None) | (None, Some(one)) => format!("at {one}"),
        (None, None) => "nowhere yet".to_owned(),
    }
}
