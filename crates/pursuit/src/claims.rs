//! Who pursues which run: never two drivers at one, whoever begins them (a person, another person at the same time, the run that gave the
//! task). Two would make each call twice.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_event::RunId;
use tokio::sync::Notify;

/// The runs that are being pursued. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    inside: Arc<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    taken: Mutex<HashSet<RunId>>,
    freed: Notify,
}

/// The right to pursue a run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    run: RunId,
}

impl Claims {
    /// The right to pursue a run; `None` while somebody has it.
    pub(crate) fn claim(&self, run: &RunId) -> Option<Claim> {
        let free = self.taken().insert(run.clone());
        free.then(|| Claim { claims: self.clone(), run: run.clone() })
    }

    /// The same, when whoever has it is done.
    pub(crate) async fn wait(&self, run: &RunId) -> Claim {
        loop {
            let freed = self.inside.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.claim(run) {
                Some(claim) => return claim,
                None => freed.await,
            }
        }
    }

    /// True while somebody pursues it.
    pub(crate) fn is_taken(&self, run: &RunId) -> bool {
        self.taken().contains(run)
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.inside.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.taken().remove(&self.run);
        self.claims.inside.freed.notify_waiters();
    }
}
