//! Who hears a run's answers while they come in. What is heard is not on record and may be heard in part: the record is the ledger's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_dialogue::{Answer, Failure};
use cella_event::RunId;
use cella_model::Delta;
use tokio::sync::mpsc;

/// Something that was heard of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Heard {
    /// An event of the provider's own, in the words of a client's own request.
    Event {
        /// Its name; empty where it has none.
        name: String,
        /// What it holds.
        data: String,
    },
    /// A piece of an answer.
    Delta(Delta),
    /// An attempt is over.
    Over {
        /// What came of it.
        result: Result<Answer, Failure>,
        /// What the provider sent, where it was in the words of a client's own request; else empty.
        raw: Vec<u8>,
    },
}

/// Everybody who listens. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ears(Arc<Mutex<HashMap<RunId, Vec<mpsc::UnboundedSender<Heard>>>>>);

/// One who listens, until it is dropped.
#[derive(Debug)]
pub struct Ear {
    run: RunId,
    ears: Ears,
    heard: mpsc::UnboundedReceiver<Heard>,
}

// === impl Ears ===

impl Ears {
    /// Listens to a run, which may not have begun yet. What waits to be heard is bounded by the longest answer of a model.
    #[must_use]
    pub fn listen(&self, run: &RunId) -> Ear {
        let (sender, heard) = mpsc::unbounded_channel();
        self.lock().entry(run.clone()).or_default().push(sender);
        Ear { run: run.clone(), ears: self.clone(), heard }
    }

    pub(crate) fn is_heard(&self, run: &RunId) -> bool {
        self.lock().contains_key(run)
    }

    pub(crate) fn tell(&self, run: &RunId, heard: &Heard) {
        if let Some(ears) = self.lock().get(run) {
            for ear in ears {
                let _gone_or_hears_it = ear.send(heard.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Vec<mpsc::UnboundedSender<Heard>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Ear ===

impl Ear {
    /// What comes next. Never ends by itself: that a run is over is to be seen from the run.
    pub async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    /// What was heard already and not yet taken.
    pub fn waiting(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.heard.close();
        let mut ears = self.ears.lock();
        if let Some(of_run) = ears.get_mut(&self.run) {
            of_run.retain(|sender| !sender.is_closed());
            if of_run.is_empty() {
                ears.remove(&self.run);
            }
        }
    }
}
