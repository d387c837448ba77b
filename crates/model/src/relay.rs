//! A client's own request, on its way to a provider.

use std::{collections::HashSet, fmt};

use cella_dialogue::{Dialect, Relay, Request};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{Provider, dialect, encode};

/// Tokens of output that are reserved for a request that names no most. Stops a request without a bound from spending what others were
/// promised; a stream that grows past it is broken off, and a whole answer is as long as its model allows.
pub const RELAY_OUTPUT_TOKENS: u64 = 32_768;

/// What a body says that whoever passes it on has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// The model, by the client's name for it.
    pub model: String,
    /// The answer is to come in pieces.
    pub stream: bool,
    /// The last piece is to say what was used (Chat alone; elsewhere it always does).
    pub include_usage: bool,
    /// Most tokens of output, of all answers together.
    pub output_tokens: u64,
}

/// Why a body cannot be passed on: for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotCarried {
    /// The parameter that is in the way, where it is one.
    pub param: Option<String>,
    /// In words.
    pub why: String,
}

/// A body for a provider.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// They are the client's own but for the model's name, so that the answer is in the client's words too.
    pub as_is: bool,
}

// === impl Wants ===

impl Wants {
    /// Reads them.
    ///
    /// # Errors
    /// [`NotCarried`]: the body is no JSON object, or names no model.
    pub fn of(dialect: Dialect, body: &str) -> Result<Self, NotCarried> {
        #[derive(Deserialize)]
        struct Body {
            model: Option<String>,
            #[serde(default)]
            stream: Option<bool>,
            stream_options: Option<StreamOptions>,
            max_tokens: Option<u64>,
            max_completion_tokens: Option<u64>,
            max_output_tokens: Option<u64>,
            n: Option<u64>,
        }
        #[derive(Deserialize)]
        struct StreamOptions {
            #[serde(default)]
            include_usage: Option<bool>,
        }
        let body: Body = serde_json::from_str(body).map_err(|fault| NotCarried {
            param: None,
            why: format!("the request cannot be read: {fault}"),
        })?;
        // Of several the largest: which of them a provider reads is its own affair, and what was reserved has to be enough.
        let most = body.max_completion_tokens.max(body.max_output_tokens).max(body.max_tokens);
        // Zero is no bound that anybody keeps.
        let most = most.filter(|most| *most > 0);
        let each = if dialect == Dialect::Embeddings { 0 } else { most.unwrap_or(RELAY_OUTPUT_TOKENS) };
        Ok(Self {
            model: body.model.filter(|model| !model.is_empty()).ok_or_else(|| NotCarried {
                param: Some("model".into()),
                why: "expected the name of a model or an agent in \"model\"".into(),
            })?,
            stream: body.stream.unwrap_or_default(),
            include_usage: body.stream_options.and_then(|options| options.include_usage).unwrap_or_default(),
            output_tokens: each.saturating_mul(body.n.unwrap_or(1).max(1)),
        })
    }
}

/// Writes a client's body for a provider: as it is but for the model's name where the provider takes such bodies, else translated.
///
/// # Errors
/// [`NotCarried`]: it says something that this provider's wire has no words for.
pub fn relayed(provider: &Provider, model: &str, relay: &Relay, body: &str) -> Result<Relayed, NotCarried> {
    if relay.dialect.is_of(provider.wire) {
        let bytes = renamed(body, model, relay.dialect).map_err(|fault| NotCarried {
            param: None,
            why: format!("the request cannot be read: {fault}"),
        })?;
        return Ok(Relayed { bytes, as_is: true });
    }
    let request = translated(relay.dialect, body)?;
    Ok(Relayed { bytes: encode(provider, model, &request), as_is: false })
}

/// What a client's body says in words that every wire has.
///
/// # Errors
/// [`NotCarried`]: it says more than that.
pub fn translated(dialect: Dialect, body: &str) -> Result<Request, NotCarried> {
    match dialect {
        Dialect::Chat => dialect::chat::read(body),
        Dialect::Responses => dialect::responses::read(body),
        Dialect::Messages | Dialect::Embeddings => Err(NotCarried {
            param: Some("model".into()),
            why: format!(
                "requests to /v1{} go to providers that take them as they are, and this model's does not",
                dialect.path()
            ),
        }),
    }
}

/// The same object, with another model, and each other member byte for byte as it was. A stream of Chat is made to say at its end what
/// was used, which providers leave out unless they are asked.
fn renamed(body: &str, model: &str, dialect: Dialect) -> Result<Vec<u8>, serde_json::Error> {
    let Members(members) = serde_json::from_str(body)?;
    let streams = members.iter().any(|(name, value)| name == "stream" && value.get() == "true");
    let model = serde_json::to_string(model)?;
    let usage = (dialect == Dialect::Chat && streams).then(|| with_usage(&members)).transpose()?;
    let mut out = String::with_capacity(body.len() + 64);
    let mut member = |name: &str, value: &str| -> Result<(), serde_json::Error> {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&serde_json::to_string(name)?);
        out.push(':');
        out.push_str(value);
        Ok(())
    };
    member("model", &model)?;
    for (name, value) in &members {
        match name.as_str() {
            "model" => {}
            "stream_options" if usage.is_some() => {}
            _ => member(name, value.get())?,
        }
    }
    if let Some(usage) = usage {
        member("stream_options", &usage)?;
    }
    out.push('}');
    Ok(out.into_bytes())
}

fn with_usage(members: &[(String, Box<RawValue>)]) -> Result<String, serde_json::Error> {
    let given = members.iter().find(|(name, _)| name == "stream_options");
    let options = given.and_then(|(_, value)| serde_json::from_str(value.get()).ok());
    let mut options: serde_json::Map<String, serde_json::Value> = options.unwrap_or_default();
    options.insert("include_usage".into(), true.into());
    serde_json::to_string(&options)
}

/// The members of an object in their order, each value as it stands.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                // A body may have a million members: no search through all of them for each.
                let mut known = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    // Of two of the same name nobody knows which one is meant: the first, as we read it.
                    if known.insert(name.clone()) {
                        members.push((name, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_passed_on_byte_for_byte_but_for_its_model() {
        let body = r#"{ "messages": [ {"role":"user","content":"ä", "x": 1.0} ], "model":"work/gpt", "logprobs": true }"#;
        let bytes = renamed(body, "gpt", Dialect::Chat).expect("an object");
        assert_eq!(
            String::from_utf8(bytes).expect("text"),
            r#"{"model":"gpt","messages":[ {"role":"user","content":"ä", "x": 1.0} ],"logprobs":true}"#
        );
        let streamed = renamed(r#"{"stream":true,"stream_options":{"a":1},"model":"m"}"#, "m", Dialect::Chat);
        assert_eq!(
            String::from_utf8(streamed.expect("an object")).expect("text"),
            r#"{"model":"m","stream":true,"stream_options":{"a":1,"include_usage":true}}"#
        );
        assert!(renamed("[1]", "m", Dialect::Chat).is_err());
    }

    #[test]
    fn what_a_body_wants_is_read_from_it() {
        let wants =
            Wants::of(Dialect::Chat, r#"{"model":"m","stream":true,"max_tokens":5,"n":3}"#).expect("wants");
        assert_eq!((wants.stream, wants.include_usage, wants.output_tokens), (true, false, 15));
        let body = r#"{"model":"m","max_output_tokens":1,"max_completion_tokens":2,"max_tokens":90}"#;
        assert_eq!(
            Wants::of(Dialect::Chat, body).expect("wants").output_tokens,
            90,
            "a small one hides none"
        );
        let wants = Wants::of(Dialect::Responses, r#"{"model":"m"}"#).expect("wants");
        assert_eq!(wants.output_tokens, RELAY_OUTPUT_TOKENS);
        for bad in ["", "[]", "{}", r#"{"model":""}"#, r#"{"model":7}"#, r#"{"model":"m","n":-1}"#] {
            assert!(Wants::of(Dialect::Chat, bad).is_err(), "{bad}");
        }
    }
}
