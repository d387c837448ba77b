//! So many per second, and as many at once.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A bucket that fills at its rate and holds one second's worth.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    state: Mutex<(f64, Instant)>,
}

// === impl Rate ===

impl Rate {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, state: Mutex::new((f64::from(per_second), Instant::now())) }
    }

    /// The rate.
    pub(crate) fn most(&self) -> u32 {
        self.per_second
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *state;
        let gained = now.saturating_duration_since(since).as_secs_f64() * f64::from(self.per_second);
        let left = (left + gained).min(f64::from(self.per_second));
        let taken = left >= 1.0;
        *state = (if taken { left - 1.0 } else { left }, now);
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Rate;

    #[test]
    fn past_the_rate_nothing_is_given_until_time_goes_by() {
        let (rate, start) = (Rate::new(10), Instant::now());
        assert_eq!((0..100).filter(|_| rate.take(start)).count(), 10);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| rate.take(later)).count(), 5);
    }
}
