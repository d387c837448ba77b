//! Guests that wait for a cell like the last one. Each is given out once; none comes back.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    plan::Plan,
    pristine::Pristine,
    site::Site,
    snapshot::{Shape, Store},
};
use crate::tools;

/// Guests that wait, for all kinds together. Stops many contracts from holding the machine's memory, of which each waiting
/// guest has some 200 MiB; past it the one that has waited longest goes.
const WAITING_MAX: usize = 8;

/// Guests that wait.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// For each kind.
    most: usize,
    /// The longest waiting first. `None` is one that is being made.
    waiting: Mutex<Vec<(Shape, Option<Pristine>)>>,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default() }
    }

    /// One of this kind, if one waits.
    pub(super) fn take(&self, kind: &Shape) -> Option<Pristine> {
        let mut waiting = self.lock();
        while let Some(at) = waiting.iter().position(|(of, guest)| of == kind && guest.is_some()) {
            // One that died while it waited is no use.
            if let Some(guest) = waiting.remove(at).1.filter_mut(Pristine::is_there) {
                return Some(guest);
            }
        }
        None
    }

    /// Has as many made as are to wait. Only from a snapshot: a guest that would have to boot for it costs more than it saves.
    pub(super) fn fill(self: &Arc<Self>, plan: &Arc<Plan>, store: &Store) {
        for _ in 0..self.missing(&plan.kind) {
            let (pool, plan, store) = (Arc::downgrade(self), Arc::clone(plan), store.clone());
            tokio::spawn(async move {
                let made = make(&plan, &store).await;
                // A pool that is gone wants no guest any more.
                if let Some(pool) = pool.upgrade() {
                    pool.put(&plan.kind, made);
                }
            });
        }
    }

    /// How many are to be made; they count as waiting from here on.
    fn missing(&self, kind: &Shape) -> usize {
        let mut waiting = self.lock();
        let there = waiting.iter().filter(|(of, _)| of == kind).count();
        let missing = self.most.min(WAITING_MAX).saturating_sub(there);
        waiting.extend((0..missing).map(|_| (kind.clone(), None)));
        missing
    }

    fn put(&self, kind: &Shape, made: Option<Pristine>) {
        let mut waiting = self.lock();
        if let Some(at) = waiting.iter().position(|(of, guest)| of == kind && guest.is_none()) {
            waiting.remove(at);
        }
        waiting.extend(made.map(|guest| (kind.clone(), Some(guest))));
        let too_many = waiting.len().saturating_sub(WAITING_MAX);
        waiting.drain(..too_many);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Shape, Option<Pristine>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === free functions ===

async fn make(plan: &Arc<Plan>, store: &Store) -> Option<Pristine> {
    let of = Arc::clone(plan);
    let site = tokio::task::spawn_blocking(move || Site::new(&of, of.groups(&tools::next_name()))).await;
    let made = match site.ok()? {
        Ok(site) => Pristine::make(plan, site, Some(store)).await,
        Err(error) => Err(error),
    };
    made.inspect_err(|error| tracing::warn!(%error, "no guest could be made to wait for a cell")).ok()
}

/// `Option::filter` with a look that changes what it looks at.
trait FilterMut<T> {
    fn filter_mut(self, holds: impl FnOnce(&mut T) -> bool) -> Option<T>;
}

impl<T> FilterMut<T> for Option<T> {
    fn filter_mut(self, holds: impl FnOnce(&mut T) -> bool) -> Option<T> {
        let mut value = self?;
        holds(&mut value).then_some(value)
    }
}
