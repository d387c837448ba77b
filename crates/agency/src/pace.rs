//! How fast one provider may be asked. Pure: the time is told.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use cella_contract::Rate;

/// The questions of the last while.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    sent: VecDeque<Instant>,
}

impl Pace {
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { rate, sent: VecDeque::new() }
    }

    /// Takes a place now, or says after how long to come again.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        while self.sent.front().is_some_and(|first| now.duration_since(*first) >= self.rate.per) {
            self.sent.pop_front();
        }
        match self.sent.front() {
            Some(first) if self.sent.len() >= self.rate.count as usize => {
                Err(self.rate.per.saturating_sub(now.duration_since(*first)))
            }
            _ => {
                self.sent.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_rate_in_any_window() {
        let per = Duration::from_secs(60);
        let mut pace = Pace::new(Rate { count: 2, per });
        let start = Instant::now();
        assert_eq!(pace.take(start), Ok(()));
        assert_eq!(pace.take(start + Duration::from_secs(10)), Ok(()));
        assert_eq!(pace.take(start + Duration::from_secs(20)), Err(Duration::from_secs(40)));
        assert_eq!(pace.take(start + per), Ok(()));
        assert_eq!(pace.take(start + per), Err(Duration::from_secs(10)));
    }
}
