//! An answer in a client's protocol, whole or in pieces.

mod chat;
mod responses;

use std::time::{SystemTime, UNIX_EPOCH};

use cella_dialogue::{Answer, Dialect, Usage};
use cella_model::Delta;
use serde_json::Value;

/// Writes one answer. Of Anthropic's protocol nothing is written here: those answers go out as they came.
pub(crate) enum Render {
    Chat(chat::Render),
    Responses(Box<responses::Render>),
}

// === impl Render ===

impl Render {
    pub(crate) fn new(dialect: Dialect, run: &str, model: &str, include_usage: bool) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match dialect {
            Dialect::Responses => Self::Responses(Box::new(responses::Render::new(run, model, now))),
            _ => Self::Chat(chat::Render::new(run, model, now, include_usage)),
        }
    }

    /// A piece. Text or a call that the client has not seen.
    pub(crate) fn delta(&mut self, delta: &Delta) -> String {
        match self {
            Self::Chat(render) => render.delta(delta),
            Self::Responses(render) => render.delta(delta),
        }
    }

    /// What of the whole has not been said in pieces, and the end.
    pub(crate) fn end(&mut self, answer: &Answer) -> String {
        match self {
            Self::Chat(render) => render.end(answer),
            Self::Responses(render) => render.end(answer),
        }
    }

    /// All at once.
    pub(crate) fn whole(&self, answer: &Answer) -> Value {
        match self {
            Self::Chat(render) => render.whole(answer),
            Self::Responses(render) => render.whole(answer),
        }
    }
}

/// What of a whole text is left to say when its beginning was said in pieces.
fn left<'t>(whole: &'t str, said: &str) -> &'t str {
    if said.is_empty() { whole } else { whole.strip_prefix(said).unwrap_or_default() }
}

/// More of one that grows.
fn sum(a: Usage, b: Usage) -> Usage {
    Usage {
        input: a.input + b.input,
        cached_input: a.cached_input + b.cached_input,
        cache_write: a.cache_write + b.cache_write,
        output: a.output + b.output,
        reasoning: a.reasoning + b.reasoning,
    }
}

pub(crate) fn total(usages: impl Iterator<Item = Usage>) -> Usage {
    usages.fold(Usage::default(), sum)
}

#[cfg(test)]
mod tests;
