//! Names of things within one run.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One call that the model wanted: `s1`, `s2`, ... in the order of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepId(pub u32);

/// One question to the model, from 1. All attempts to have it answered carry the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AskId(pub u32);

/// What a call is for, within its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// It is what the model wanted.
    Do,
    /// It takes back what may have been done.
    Undo,
    /// It asks whether it was done.
    Probe,
}

/// A text that names no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a step such as s3")]
pub struct NotAStep;

// === impl StepId ===

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl FromStr for StepId {
    type Err = NotAStep;

    fn from_str(text: &str) -> Result<Self, NotAStep> {
        let digits = text.strip_prefix('s').filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse().ok()).map(Self).ok_or(NotAStep)
    }
}

impl Part {
    /// The word in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Undo => "undo",
            Self::Probe => "probe",
        }
    }

    /// The part of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Do, Self::Undo, Self::Probe].into_iter().find(|part| part.as_str() == word)
    }
}
