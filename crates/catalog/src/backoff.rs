//! When may a server that failed be started again?
//!
//! The first failure after good work costs no wait: a crash in the middle of the day is repaired by the next call. Failures
//! in a row wait twice as long each time, so that a server that dies at once does not take the machine with it.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait after failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the second failure in a row.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
    /// Part of the wait by which it is made longer or shorter at random, in percent: servers that fell together do not
    /// come back together.
    pub jitter_percent: u32,
}

/// Failures in a row of which the server counts as caught in a crash loop: status `error`, with the reason.
pub const CRASH_LOOP_AFTER: u32 = 5;
/// An instance that lived this long, or answered a call, did good work: the next failure is a first one again.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(10);

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(200), max: Duration::from_secs(60), jitter_percent: 25 }
    }
}

impl Backoff {
    /// The wait after so many failures in a row; `random` is any 64 bits.
    #[must_use]
    pub fn wait(&self, failures: u32, random: u64) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else { return Duration::ZERO };
        let full = self.base.saturating_mul(1 << doublings.min(20)).min(self.max);
        let span = full.as_millis() as u64 * u64::from(self.jitter_percent.min(100)) / 100;
        let shift = random.checked_rem(2 * span + 1).unwrap_or(0);
        full.saturating_sub(Duration::from_millis(span)) + Duration::from_millis(shift)
    }
}

/// The failures of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    in_a_row: u32,
    total: u32,
    not_before: Option<Instant>,
}

impl Failures {
    /// One more failure.
    pub(crate) fn failed(&mut self, backoff: &Backoff, now: Instant, random: u64) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.total = self.total.saturating_add(1);
        self.not_before = Some(now + backoff.wait(self.in_a_row, random));
    }

    /// The server did good work.
    pub(crate) fn worked(&mut self) {
        self.in_a_row = 0;
        self.not_before = None;
    }

    /// How long a start has to wait from `now` on; `None` when it may go ahead.
    #[must_use]
    pub(crate) fn wait_from(&self, now: Instant) -> Option<Duration> {
        self.not_before.map(|at| at.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Failures since the last good work.
    #[must_use]
    pub(crate) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Failures in all.
    #[must_use]
    pub(crate) fn total(&self) -> u32 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    #[test]
    fn the_first_failure_after_good_work_costs_no_wait() {
        let mut failures = Failures::default();
        let now = Instant::now();
        failures.failed(&Backoff::default(), now, 7);
        assert_eq!(failures.wait_from(now), None);
        failures.failed(&Backoff::default(), now, 7);
        assert!(failures.wait_from(now).is_some());
        failures.worked();
        assert_eq!(failures.wait_from(now), None);
        assert_eq!(failures.total(), 2);
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let plain = Backoff { jitter_percent: 0, ..Backoff::default() };
        assert_eq!(plain.wait(2, 9), Duration::from_millis(200));
        assert_eq!(plain.wait(3, 9), Duration::from_millis(400));
        assert_eq!(plain.wait(u32::MAX, 9), Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_part(failures in 2u32..40, random: u64) {
            let jittered = Backoff::default();
            let plain = Backoff { jitter_percent: 0, ..jittered }.wait(failures, 0);
            let wait = jittered.wait(failures, random);
            prop_assert!(wait >= plain.mul_f64(0.74) && wait <= plain.mul_f64(1.26));
        }
    }
}
