//! Why a model said nothing that can be used.

use serde::{Deserialize, Serialize};

/// One failed attempt. What is retried, after how long and with whom is decided by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub class: FailureClass,
    /// The HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the provider asks to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// In the provider's words, clipped.
    pub message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// 429, or the wire's own word for it: later.
    RateLimited,
    /// 503, 529: later, or somebody else.
    Overloaded,
    /// Any other 5xx.
    Server,
    /// The first token did not come in time.
    FirstToken,
    /// The answer did not end in time, or stood still.
    Stalled,
    /// The stream broke off.
    Cut,
    /// Not what the wire says: no JSON, another content type, an impossible event.
    Malformed,
    /// No connection.
    Unreachable,
    /// 401, 403, or no key: nobody should try this provider again.
    Auth,
    /// The account has no credit left.
    Quota,
    /// No such model.
    NoSuchModel,
    /// More input than the model takes.
    TooLong,
    /// 400 and other refusals of the request itself: the same request fails everywhere.
    BadRequest,
    /// The budget was used up while the answer came in, and the stream was cut by Cella.
    OverBudget,
    /// Somebody gave the run up while the answer came in.
    Cancelled,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 15] = [
        Self::RateLimited,
        Self::Overloaded,
        Self::Server,
        Self::FirstToken,
        Self::Stalled,
        Self::Cut,
        Self::Malformed,
        Self::Unreachable,
        Self::Auth,
        Self::Quota,
        Self::NoSuchModel,
        Self::TooLong,
        Self::BadRequest,
        Self::OverBudget,
        Self::Cancelled,
    ];

    /// The word in manifests and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
            Self::FirstToken => "first_token",
            Self::Stalled => "stalled",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::Unreachable => "unreachable",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::NoSuchModel => "no_such_model",
            Self::TooLong => "too_long",
            Self::BadRequest => "bad_request",
            Self::OverBudget => "over_budget",
            Self::Cancelled => "cancelled",
        }
    }

    /// The class of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// The same request may succeed with the same provider a little later.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::Server
                | Self::FirstToken
                | Self::Stalled
                | Self::Cut
                | Self::Malformed
                | Self::Unreachable
        )
    }

    /// Another provider or model may succeed where this one did not.
    #[must_use]
    pub const fn another_may_do(self) -> bool {
        self.may_pass() || matches!(self, Self::Auth | Self::Quota | Self::NoSuchModel | Self::TooLong)
    }
}
