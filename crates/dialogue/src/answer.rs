//! What a model said.

use serde::{Deserialize, Serialize};

use crate::Assistant;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was said.
    pub turn: Assistant,
    /// Why it ended.
    pub stop: Stop,
    /// What it used, by the provider's own count.
    pub usage: Usage,
    /// The model that answered, by the provider's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// All was said.
    End,
    /// Tools are to be called.
    Tools,
    /// It reached the most tokens allowed.
    Length,
    /// The model or its provider would not answer.
    Refused,
}

/// Tokens. Each count includes what stands below it: `input` the cached ones, `output` the reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request, cached ones among them.
    pub input: u64,
    /// Of these, read from the provider's cache.
    #[serde(default)]
    pub cached_input: u64,
    /// Of the input, written to the provider's cache.
    #[serde(default)]
    pub cache_write: u64,
    /// Tokens of the answer, reasoning among them.
    pub output: u64,
    /// Of these, reasoning.
    #[serde(default)]
    pub reasoning: u64,
}

impl Usage {
    /// Input and output together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
