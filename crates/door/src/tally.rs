//! How many of something are alive, and when there are none: what a drain waits for.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::sync::Notify;

/// Counts guards.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: AtomicUsize,
    none: Notify,
}

/// Counted while it lives.
#[derive(Debug)]
pub(super) struct Counted(Arc<Tally>);

impl Tally {
    /// One more, unless there are `max` already.
    pub(super) fn enter(self: &Arc<Self>, max: usize) -> Option<Counted> {
        let more = |n: usize| (n < max).then_some(n + 1);
        self.count.fetch_update(SeqCst, SeqCst, more).ok().map(|_| Counted(self.clone()))
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// Completes when nothing is counted.
    pub(super) async fn none(&self) {
        loop {
            let mut none = pin!(self.none.notified());
            none.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}
