//! The processes of runs that live now, and how what they have changed is kept after each call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use cella_event::{CallId, Draft, Int, Kind, Label, Map, RunId};
use cella_ledger::{Durability, Ledger};
use cella_workspace::{Checkpoint, RecordedError, Watcher, Workspaces};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// A checkpoint that failed, in the event about it.
const FAILED: &str = "CE1546";

/// Of one server, run and principal.
type Key = (Box<str>, Box<str>, Box<str>);

/// The trunks of a node. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Trunks(Arc<Mutex<HashMap<Key, Weak<Trunk>>>>);

/// Where the files of one run at one server are kept from.
#[derive(Debug, Default)]
pub struct Trunk {
    /// Calls share it; a checkpoint wants that none is under way.
    gate: Arc<RwLock<()>>,
    watcher: Mutex<Option<Watcher>>,
}

/// A process that lives; dropping it says that it does not any more.
#[derive(Debug)]
pub struct Held {
    trunk: Arc<Trunk>,
}

// === impl Trunks ===

impl Trunks {
    /// The one of a run of this principal at a server.
    #[must_use]
    pub fn of(&self, server: &str, run: &str, principal: &str) -> Arc<Trunk> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, trunk| trunk.strong_count() > 0);
        let place = all.entry((server.into(), run.into(), principal.into())).or_default();
        place.upgrade().unwrap_or_else(|| {
            let trunk = Arc::new(Trunk::default());
            *place = Arc::downgrade(&trunk);
            trunk
        })
    }
}

// === impl Trunk ===

impl Trunk {
    /// To be held from before the intent of a call until its outcome is on record.
    pub async fn call(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.gate).read_owned().await
    }

    /// A process has begun.
    #[must_use]
    pub fn hold(self: Arc<Self>, watcher: Watcher) -> Held {
        *self.watcher() = Some(watcher);
        Held { trunk: self }
    }

    /// Keeps what the process has changed, and puts it on record, once no call is under way. That goes on when nobody waits
    /// for it any more. Nothing where no process lives: what it left is captured, and that is on record.
    pub async fn keep(self: Arc<Self>, ledger: Ledger, run: RunId, server: Label, call: CallId) {
        let kept = tokio::spawn(async move {
            let _no_call = self.gate.write().await;
            let Some(watcher) = self.watcher().clone() else { return };
            let made = Workspaces::of_node(watcher.store(), ledger.clone()).checkpoint_by(&watcher).await;
            if self.watcher().is_none() {
                // It ended meanwhile: what it left at its end is kept.
                return;
            }
            let draft =
                Draft::new(Kind::CellCheckpointed).run(run).server(server).call(call).body(body(&made));
            if let Err(error) = ledger.append(&draft, &[], Durability::Buffered).await {
                tracing::error!(%error, "a checkpoint could not be put on record");
            }
        });
        if let Err(error) = kept.await {
            tracing::error!(%error, "a checkpoint broke off");
        }
    }

    fn watcher(&self) -> MutexGuard<'_, Option<Watcher>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.trunk.watcher() = None;
    }
}

fn body(made: &Result<Checkpoint, RecordedError>) -> Map {
    match made {
        Ok(made) => {
            let body = Map::new().with("bytes", Int::saturating(made.stored));
            match &made.kept {
                Some(kept) => body.with("workspace", kept.id.clone()).with("delta", kept.digest.to_string()),
                None => body,
            }
        }
        Err(error) => {
            tracing::warn!(%error, code = FAILED, "what a run changed could not be kept");
            Map::new().with("code", FAILED).with("why", error.to_string())
        }
    }
}
