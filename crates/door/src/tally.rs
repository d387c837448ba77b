//! How many of something are alive, and when there are none: what a drain waits for.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep_until},
};

/// Counts guards.
#[derive(Debug)]
pub(super) struct Tally {
    count: AtomicUsize,
    none: Notify,
    /// When the last guard went.
    left: Mutex<Instant>,
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

    /// Completes when nothing has been counted for so long.
    pub(super) async fn idle(&self, time: Duration) {
        loop {
            self.none().await;
            let due = *self.left.lock().unwrap_or_else(PoisonError::into_inner) + time;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
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

impl Default for Tally {
    fn default() -> Self {
        Self { count: AtomicUsize::new(0), none: Notify::new(), left: Mutex::new(Instant::now()) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, SeqCst) == 1 {
            *self.0.left.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            self.0.none.notify_waiters();
        }
    }
}
