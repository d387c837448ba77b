//! What a link saw that led to nothing: counted, so that it is not silent.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Counters of one link.
#[derive(Debug, Default)]
pub(super) struct Tally {
    noise_run: AtomicU32,
    noise: AtomicU64,
    strays: AtomicU64,
    dropped: AtomicU64,
}

/// What a link saw that led to nothing, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lines or events that were no messages.
    pub noise: u64,
    /// Responses and progress for no call in flight: late, repeated or invented.
    pub strays: u64,
    /// Notifications of calls whose asker read too slowly.
    pub dropped_notifications: u64,
    /// Events that the owner of the link never saw.
    pub dropped_events: u64,
}

impl Tally {
    /// A message was understood.
    pub(super) fn heard(&self) {
        if self.noise_run.load(Ordering::Relaxed) != 0 {
            self.noise_run.store(0, Ordering::Relaxed);
        }
    }

    /// Something was not; the length of the run so far.
    pub(super) fn noise(&self) -> u32 {
        self.noise.fetch_add(1, Ordering::Relaxed);
        self.noise_run.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn stray(&self) {
        self.strays.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counters(&self, dropped_events: u64) -> Counters {
        Counters {
            noise: self.noise.load(Ordering::Relaxed),
            strays: self.strays.load(Ordering::Relaxed),
            dropped_notifications: self.dropped.load(Ordering::Relaxed),
            dropped_events,
        }
    }
}
