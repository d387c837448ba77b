//! The performer's end of the steps of one call, with a place kept for the last one.

use tokio::sync::mpsc::{self, OwnedPermit, error::TrySendError};

use cella_transport::{Answer, Step};

/// Where the steps of one call go. However slowly the asker reads, its answer finds a place.
#[derive(Debug)]
pub(super) struct StepSink {
    steps: mpsc::Sender<Step>,
    last: Option<OwnedPermit<Step>>,
}

/// A step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// The asker reads too slowly.
    Full,
    /// The asker is gone.
    Gone,
}

impl StepSink {
    pub(super) fn new(steps: mpsc::Sender<Step>) -> Self {
        let last = steps.clone().try_reserve_owned().ok();
        Self { steps, last }
    }

    /// Hands over a step if there is room.
    pub(super) fn offer(&self, step: Step) -> Result<(), NotTaken> {
        self.steps.try_send(step).map_err(|e| match e {
            TrySendError::Full(_) => NotTaken::Full,
            TrySendError::Closed(_) => NotTaken::Gone,
        })
    }

    /// Waits for room, then hands over a step.
    pub(super) async fn push(&self, step: Step) -> Result<(), NotTaken> {
        self.steps.send(step).await.map_err(|_| NotTaken::Gone)
    }

    /// Hands over the last step.
    pub(super) fn finish(&mut self, answer: Answer) {
        if let Some(place) = self.last.take() {
            place.send(Step::Done(answer));
        }
    }
}
