//! How often tools are called: a bucket of tokens for each limit (RFC 2697 speaks of the same shape), refilled evenly. Pure: the time
//! is told.
//!
//! A node that starts anew begins with full buckets, so that it is laxer by one burst at most.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cella_contract::{Config, Rate, RateConfig, fits_pattern};

/// Buckets at which those that are full again are forgotten, which changes nothing for anybody. Stops the memory from growing with callers
/// of long ago; that it has a bound at all is because principals and patterns are those of a configuration.
const REMEMBERED: usize = 10_000;

/// The rates of a configuration, and how much is left of each. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Paces(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tools: BTreeMap<String, RateConfig>,
    principals: BTreeMap<String, Rate>,
    buckets: HashMap<(String, String), Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    /// When it is full again.
    full: Instant,
}

/// A call that comes too early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooOften {
    /// The limit, in words.
    pub limit: String,
    /// When there is room again.
    pub again: Duration,
}

// === impl Paces ===

impl Paces {
    /// The rates of a configuration; `prefix` stands before the names of its principals.
    #[must_use]
    pub fn of(config: &Config, prefix: &str) -> Self {
        let paces = Self::default();
        paces.set(config, prefix);
        paces
    }

    /// Takes the rates of a configuration; of those that stay what is left stays too.
    pub fn set(&self, config: &Config, prefix: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.tools.clone_from(&config.rates);
        let rates = config.principals.iter();
        state.principals = rates
            .filter_map(|(name, principal)| Some((format!("{prefix}{name}"), principal.rate?)))
            .collect();
    }

    /// Takes a place for a call, or none at all.
    ///
    /// # Errors
    /// [`TooOften`]: nothing was taken.
    pub fn take(&self, principal: &str, server: &str, tool: &str, now: Instant) -> Result<(), TooOften> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = state.limits(principal, &format!("{server}__{tool}"));
        for (key, rate) in &limits {
            let bucket = state.bucket(key, *rate, now);
            if let Err(again) = bucket.room(now) {
                let whose = if key.1.is_empty() { "everybody together" } else { principal };
                let limit = format!("{} in {} s for {} by {whose}", rate.count, rate.per.as_secs(), key.0);
                return Err(TooOften { limit, again });
            }
        }
        for (key, rate) in limits {
            let taken = state.bucket(&key, rate, now).taken(now);
            state.buckets.insert(key, taken);
        }
        if state.buckets.len() > REMEMBERED {
            state.buckets.retain(|_, bucket| bucket.full > now);
        }
        Ok(())
    }
}

impl State {
    /// The limits that a call has to keep: what, by whom (nobody: all together), how many.
    fn limits(&self, principal: &str, name: &str) -> Vec<((String, String), Rate)> {
        let mut limits = Vec::new();
        if let Some(rate) = self.principals.get(principal) {
            limits.push((("any tool".to_owned(), principal.to_owned()), *rate));
        }
        for (pattern, rates) in self.tools.iter().filter(|(pattern, _)| fits_pattern(pattern, name)) {
            limits.extend(rates.all.map(|rate| ((pattern.clone(), String::new()), rate)));
            limits.extend(rates.each.map(|rate| ((pattern.clone(), principal.to_owned()), rate)));
        }
        limits
    }

    fn bucket(&self, key: &(String, String), rate: Rate, now: Instant) -> Bucket {
        let known = self.buckets.get(key).copied().filter(|bucket| bucket.rate == rate);
        known.unwrap_or(Bucket { rate, full: now })
    }
}

impl Bucket {
    /// Time that one call takes.
    fn each(&self) -> Duration {
        self.rate.per / self.rate.count.max(1)
    }

    fn room(&self, now: Instant) -> Result<(), Duration> {
        let wanted = self.full.max(now) + self.each();
        let last = now + self.rate.per;
        // Rounding of the division must not cost the last call of a burst.
        match wanted.checked_duration_since(last) {
            Some(early) if early > Duration::from_micros(1) => Err(early),
            _ => Ok(()),
        }
    }

    fn taken(self, now: Instant) -> Self {
        Self { full: self.full.max(now) + self.each(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paces(text: &str) -> Paces {
        let paces = Paces::default();
        paces.set(&Config::parse("c", text).expect("a configuration").0, "principal:");
        paces
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time() {
        let paces = paces("[rates.\"bank__pay*\"]\nall = \"3/min\"\n");
        let start = Instant::now();
        let take = |seconds: u64| paces.take("ann", "bank", "pay", start + Duration::from_secs(seconds));
        assert!((0..3).all(|_| take(0).is_ok()));
        let refused = take(0).expect_err("too often");
        assert_eq!(refused.again, Duration::from_secs(20));
        assert!(refused.limit.contains("3 in 60 s for bank__pay* by everybody"), "{}", refused.limit);
        assert!(take(20).is_ok() && take(20).is_err() && take(40).is_ok());
        assert!(paces.take("ann", "bank", "balance", start).is_ok(), "another tool has no such limit");
    }

    #[test]
    fn each_has_its_own_and_a_call_that_is_refused_takes_nothing() {
        let text = "[principals.ci]\ntoken = \"env:T\"\nrate = \"5/s\"\n[rates.\"*\"]\nall = \"3/h\"\neach = \"2/h\"\n";
        let (paces, now) = (paces(text), Instant::now());
        let take = |who: &str| paces.take(who, "s", "t", now);
        assert!(take("ann").is_ok() && take("ann").is_ok());
        for _ in 0..10 {
            assert!(take("ann").is_err());
        }
        assert!(take("principal:ci").is_ok(), "what was refused took nothing of what is left for all");
        assert!(take("principal:ci").expect_err("all together").limit.contains("everybody"));
    }
}
