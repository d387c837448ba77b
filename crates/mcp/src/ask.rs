//! What a server may ask of a client (elicitation, sampling, roots), and which capability the client must have declared.

mod profile;

use serde_json::value::RawValue;

pub use profile::AskProfile;

use crate::{Raw, object, raw, text};

/// Asks the user, `elicitation/create`.
pub const ELICIT: &str = "elicitation/create";
/// Asks the client's model, `sampling/createMessage`.
pub const SAMPLE: &str = "sampling/createMessage";
/// Asks for the client's directories, `roots/list`.
pub const ROOTS: &str = "roots/list";

/// The capability a client must declare to be asked this, as a `ClientCapabilities` object; `None` for a method that
/// servers may not ask at all.
///
/// Context inclusion in sampling is not required: the specification only advises against it (client/sampling).
#[must_use]
pub fn required_capability(method: &str, params: Option<&RawValue>) -> Option<Raw> {
    Need::of(method, params).map(|need| raw::copied(need.capability()))
}

/// True when a client with these capabilities may be asked this.
#[must_use]
pub fn has_capability(capabilities: &RawValue, method: &str, params: Option<&RawValue>) -> bool {
    Need::of(method, params).is_some_and(|need| need.met_by(capabilities.get()))
}

#[derive(Clone, Copy)]
enum Need {
    Form,
    Url,
    Sampling,
    SamplingWithTools,
    Roots,
}

impl Need {
    fn of(method: &str, params: Option<&RawValue>) -> Option<Self> {
        let params = params.map_or("{}", RawValue::get);
        match method {
            ELICIT => {
                let mode = object::member_text(params, "mode").and_then(text::unescape);
                match mode.as_deref() {
                    None | Some("form") => Some(Self::Form),
                    Some("url") => Some(Self::Url),
                    Some(_) => None,
                }
            }
            SAMPLE => {
                let given = |key| object::member_text(params, key).is_some_and(|v| v != "null");
                Some(if given("tools") || given("toolChoice") {
                    Self::SamplingWithTools
                } else {
                    Self::Sampling
                })
            }
            ROOTS => Some(Self::Roots),
            _ => None,
        }
    }

    const fn capability(self) -> &'static str {
        match self {
            Self::Form => "{\"elicitation\":{}}",
            Self::Url => "{\"elicitation\":{\"url\":{}}}",
            Self::Sampling => "{\"sampling\":{}}",
            Self::SamplingWithTools => "{\"sampling\":{\"tools\":{}}}",
            Self::Roots => "{\"roots\":{}}",
        }
    }

    fn met_by(self, capabilities: &str) -> bool {
        let declared = |key| object::member_text(capabilities, key).filter(|v| v.starts_with('{'));
        let part = |of: &str, key| object::member_text(of, key).is_some_and(|v| v.starts_with('{'));
        match self {
            // Neither mode named means form only (client/elicitation, Capabilities).
            Self::Form => declared("elicitation").is_some_and(|e| part(e, "form") || !part(e, "url")),
            Self::Url => declared("elicitation").is_some_and(|e| part(e, "url")),
            Self::Sampling => declared("sampling").is_some(),
            Self::SamplingWithTools => declared("sampling").is_some_and(|s| part(s, "tools")),
            Self::Roots => declared("roots").is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
