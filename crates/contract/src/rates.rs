//! How often a tool was called: one moment per tool, no timers, no history.

use std::{collections::BTreeMap, time::Duration};

use crate::Rate;

/// Tools of one server that are counted. Stops invented tool names under `[tools."*"]` from growing memory; past it
/// another tool has to wait until one of those counted has been left alone for its period.
const TOOLS_MAX: usize = 4096;

/// Calls counted per tool, by the generic cell rate algorithm (ITU-T I.371): a rate of 10 per second allows ten calls at
/// once, and then one more each tenth of a second.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// For each tool the moment at which all of its allowance is back.
    full_at: BTreeMap<Box<str>, Duration>,
}

impl Rates {
    /// Counts a call, or says how long to wait.
    pub(crate) fn take(&mut self, tool: &str, rate: Rate, now: Duration) -> Result<(), Duration> {
        let step = rate.per() / rate.count().get();
        let full_at = self.full_at.get(tool).copied().unwrap_or(now).max(now);
        let next = full_at.saturating_add(step);
        // Rounding of the step must not cost the last call of a full period.
        let ahead = next.saturating_sub(now);
        if ahead > rate.per() {
            return Err(ahead.saturating_sub(rate.per()).max(Duration::from_millis(1)));
        }
        if let Some(known) = self.full_at.get_mut(tool) {
            *known = next;
            return Ok(());
        }
        if self.full_at.len() >= TOOLS_MAX {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= TOOLS_MAX {
            return Err(rate.per());
        }
        self.full_at.insert(tool.into(), next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rate(count: u32, per: Duration) -> Rate {
        NonZeroU32::new(count).and_then(|count| Rate::new(count, per)).expect("a rate")
    }

    #[test]
    fn a_burst_up_to_the_rate_is_allowed_and_then_one_call_per_step() {
        let (mut rates, three) = (Rates::default(), rate(3, Duration::from_secs(1)));
        let at = Duration::from_millis;
        for _ in 0..3 {
            assert_eq!(rates.take("t", three, at(0)), Ok(()));
        }
        let wait = rates.take("t", three, at(0)).expect_err("a fourth");
        assert!(wait > at(332) && wait < at(335), "{wait:?}");
        assert_eq!(rates.take("other", three, at(0)), Ok(()));
        assert_eq!(rates.take("t", three, at(334)), Ok(()));
        assert!(rates.take("t", three, at(335)).is_err());
        for _ in 0..3 {
            assert_eq!(rates.take("t", three, at(10_000)), Ok(()));
        }
    }

    #[test]
    fn invented_names_do_not_grow_memory() {
        let (mut rates, hourly) = (Rates::default(), rate(1, Duration::from_secs(3600)));
        for name in 0..TOOLS_MAX {
            assert_eq!(rates.take(&name.to_string(), hourly, Duration::ZERO), Ok(()));
        }
        assert!(rates.take("one more", hourly, Duration::ZERO).is_err());
        assert_eq!(rates.take("one more", hourly, Duration::from_secs(7200)), Ok(()));
        assert_eq!(rates.full_at.len(), 1);
    }
}
