//! Which model is asked, and what when it fails. A pure function of the policy, the run's name and the failures so far:
//! the same run asks the same models again on replay.

use cella_dialogue::{Failure, FailureClass};
use cella_event::{Micros, RunId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest wait that a provider may ask for, in microseconds. Stops one from holding a run for hours; past it the next model is
/// asked, or the run pauses and says how long it was asked to wait.
pub const WAIT_US_MAX: i64 = 120_000_000;

/// The first wait where a provider names none, in microseconds; each further one is twice as long.
const WAIT_US: i64 = 500_000;

/// Longest wait of our own choice, in microseconds.
const OWN_WAIT_US_MAX: i64 = 30_000_000;

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The model, by the provider's name for it.
    pub model: String,
}

/// What an agent says about its models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPolicy {
    /// Who is asked first.
    pub primary: Target,
    /// Who is asked when it fails, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    /// A share of runs that ask somebody else first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Further attempts with the same model, where they may help.
    pub retries: u32,
    /// How long one attempt may take.
    #[serde(default)]
    pub deadlines: Deadlines,
}

/// How long one attempt may take, in microseconds; `None`: as long as whoever asks is used to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// To the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    /// Of silence within the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between_tokens_us: Option<u64>,
    /// Of all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_us: Option<u64>,
}

/// Who is asked instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// Who.
    pub target: Target,
    /// After failures of these classes; empty: all where another may do better.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<FailureClass>,
}

/// A share of runs for a model on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Who is asked first in these runs.
    pub target: Target,
    /// How many of a hundred runs; which ones is decided by their names.
    pub percent: u8,
}

/// One attempt and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who was asked.
    pub target: Target,
    /// Why there is no answer; `None` while it is open.
    pub failure: Option<Failure>,
    /// When the failure was recorded.
    pub at: Micros,
}

/// What to do about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask, and not before this time where there is one.
    Ask {
        /// Whom.
        target: Target,
        /// Not before.
        not_before: Option<Micros>,
    },
    /// Nobody is left to ask.
    GiveUp,
}

// === impl ModelPolicy ===

impl ModelPolicy {
    /// The policy of one model and nothing else.
    #[must_use]
    pub const fn only(primary: Target) -> Self {
        let deadlines = Deadlines { first_token_us: None, between_tokens_us: None, total_us: None };
        Self { primary, fallbacks: Vec::new(), canary: None, retries: 2, deadlines }
    }

    /// Who is asked next. `sticky` is who answered in this run before.
    #[must_use]
    pub fn next(&self, run: &RunId, sticky: Option<&Target>, attempts: &[Attempt]) -> Next {
        let first = sticky.unwrap_or_else(|| self.first(run));
        let Some(last) = attempts.last() else {
            return Next::Ask { target: first.clone(), not_before: None };
        };
        let Some(failure) = &last.failure else {
            // It is open: whoever asks now is wrong about the state, and nothing is asked twice.
            return Next::GiveUp;
        };
        let same = attempts.iter().rev().take_while(|a| a.target == last.target).count();
        let wait = wait(failure, same);
        let again = failure.class.may_pass() && same <= self.retries as usize && wait <= WAIT_US_MAX;
        if again {
            let not_before = (wait > 0).then(|| Micros(last.at.0.saturating_add(wait)));
            return Next::Ask { target: last.target.clone(), not_before };
        }
        let tried = |target: &Target| attempts.iter().any(|a| a.target == *target);
        let fits = |fallback: &&Fallback| {
            !tried(&fallback.target)
                && if fallback.on.is_empty() {
                    failure.class.another_may_do()
                } else {
                    fallback.on.contains(&failure.class)
                }
        };
        // Who answered before may fail now; then the one that the agent prefers has another chance too.
        let preferred = Fallback { target: self.first(run).clone(), on: Vec::new() };
        let next = std::iter::once(&preferred).chain(&self.fallbacks).find(fits);
        next.map_or(Next::GiveUp, |found| Next::Ask { target: found.target.clone(), not_before: None })
    }

    fn first(&self, run: &RunId) -> &Target {
        match &self.canary {
            Some(canary) if share(run) < u32::from(canary.percent) => &canary.target,
            _ => &self.primary,
        }
    }
}

/// Where a run stands among a hundred: the same for everybody who knows its name.
fn share(run: &RunId) -> u32 {
    let digest = Sha256::digest(run.as_str().as_bytes());
    let number = digest.iter().take(4).fold(0u32, |n, byte| (n << 8) | u32::from(*byte));
    number % 100
}

/// How long to wait before the same model is asked again, in microseconds.
fn wait(failure: &Failure, same: usize) -> i64 {
    if let Some(asked) = failure.retry_after_ms {
        return i64::try_from(asked).unwrap_or(i64::MAX).saturating_mul(1_000);
    }
    match failure.class {
        // The time was long enough already.
        FailureClass::FirstToken | FailureClass::Stalled => 0,
        _ => {
            let doublings = u32::try_from(same.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
            (WAIT_US << doublings).min(OWN_WAIT_US_MAX)
        }
    }
}

#[cfg(test)]
mod tests;
