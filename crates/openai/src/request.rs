//! What a client wants: read from its request before anything is done.

use cella_dialogue::{Dialect, Relay, Request, Turn};
use cella_event::RunId;
use cella_model::{NotCarried, Wants, translated};
use http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::fault::Fault;

/// Headers that belong to a body, and go with it to a provider that takes it as it is.
const OWN_HEADERS: [&str; 3] = ["anthropic-version", "anthropic-beta", "openai-beta"];

/// Longest value of one of these. They stand in the run's first event.
const HEADER_BYTES_MAX: usize = 1_024;

/// A client's request.
pub(crate) struct Asked {
    pub(crate) dialect: Dialect,
    pub(crate) body: String,
    pub(crate) wants: Wants,
    pub(crate) relay: Relay,
    /// What the run spends from.
    pub(crate) account: Option<String>,
    /// Under what name the client would know the same request again.
    pub(crate) key: Option<String>,
    /// The client says that it tries once more.
    pub(crate) is_retry: bool,
}

/// A task for an agent, in the client's words.
pub(crate) struct Task {
    pub(crate) task: String,
    pub(crate) earlier: Vec<Turn>,
    pub(crate) request: Request,
    /// The run that this goes on with.
    pub(crate) after: Option<String>,
}

// === impl Asked ===

impl Asked {
    pub(crate) fn read(dialect: Dialect, headers: &HeaderMap, body: &[u8]) -> Result<Self, Fault> {
        let body = std::str::from_utf8(body).map_err(|_| NotCarried {
            param: None,
            why: "the request cannot be read: it is no UTF-8".into(),
        })?;
        let wants = Wants::of(dialect, body)?;
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty() && value.len() <= HEADER_BYTES_MAX).then(|| value.to_owned())
        };
        let own = OWN_HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?)));
        Ok(Self {
            dialect,
            relay: Relay { dialect, headers: own.collect() },
            body: body.to_owned(),
            wants,
            account: text("x-cella-account"),
            key: text("idempotency-key"),
            is_retry: text("x-stainless-retry-count").is_some_and(|count| count != "0"),
        })
    }

    /// The name of the run that this request and its repetitions by the same client have.
    pub(crate) fn run_of_key(&self, principal: &str) -> Option<RunId> {
        let key = self.key.as_ref()?;
        let mut digest = Sha256::new();
        for part in ["cella/door-run/v1", principal, key] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        let digits: String = digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        RunId::new(format!("r-{digits}")).ok()
    }

    /// The same for requests without a key: what is asked, and by whom.
    pub(crate) fn digest(&self, principal: &str) -> [u8; 32] {
        let digest =
            Sha256::new().chain_update(principal).chain_update([0]).chain_update(self.dialect.as_str());
        digest.chain_update([0]).chain_update(&self.body).finalize().into()
    }

    /// The task that is in it for an agent.
    pub(crate) fn task(&self) -> Result<Task, Fault> {
        let mut body: Value = serde_json::from_str(&self.body).map_err(|fault| NotCarried {
            param: None,
            why: format!("the request cannot be read: {fault}"),
        })?;
        let after = body.as_object_mut().and_then(|body| body.remove("previous_response_id"));
        let after = after.and_then(|id| Some(id.as_str()?.trim_start_matches("resp_").to_owned()));
        let mut request = translated(self.dialect, &body.to_string())?;
        if !request.tools.is_empty() {
            let why =
                "an agent has the tools of its file; for tools of your own name a model (PROVIDER/MODEL)"
                    .into();
            return Err(Fault::Agent { param: "tools", why });
        }
        let mut turns = std::mem::take(&mut request.turns);
        match turns.pop() {
            Some(Turn::User { text }) if !text.trim().is_empty() => {
                if after.is_some() && !turns.is_empty() {
                    let why = "what was said before stands in the run that this goes on with: send the new message alone";
                    return Err(Fault::Agent { param: "input", why: why.into() });
                }
                Ok(Task { task: text, earlier: turns, request, after })
            }
            _ => {
                let why = "the last message must be the user's: it is the agent's task".into();
                Err(Fault::Agent {
                    param: if self.dialect == Dialect::Chat { "messages" } else { "input" },
                    why,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)], body: &str) -> Asked {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        Asked::read(Dialect::Chat, &map, body.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
    }

    const TALK: &str = r#"{"model":"clerk","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"a"},
        {"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#;

    #[test]
    fn the_last_word_is_the_task_and_the_rest_was_said_earlier() {
        let task = asked(&[], TALK).task().unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(
            (task.task.as_str(), task.earlier.len(), task.request.instructions.as_str()),
            ("c", 2, "Be brief.")
        );
        let tools = TALK.replace("]}", r#"],"tools":[{"type":"function","function":{"name":"f"}}]}"#);
        assert!(matches!(asked(&[], &tools).task(), Err(Fault::Agent { param: "tools", .. })));
        let unfinished = r#"{"model":"clerk","messages":[{"role":"assistant","content":"b"}]}"#;
        assert!(matches!(asked(&[], unfinished).task(), Err(Fault::Agent { param: "messages", .. })));
    }

    #[test]
    fn a_key_names_one_run_of_one_client() {
        let one = asked(&[("idempotency-key", "k1")], TALK);
        assert_eq!(
            one.run_of_key("ann"),
            asked(&[("idempotency-key", "k1")], "{\"model\":\"m\"}").run_of_key("ann")
        );
        assert_ne!(one.run_of_key("ann"), one.run_of_key("bob"));
        assert_eq!(asked(&[("idempotency-key", " ")], TALK).run_of_key("ann"), None);
        assert!(asked(&[("x-stainless-retry-count", "1")], TALK).is_retry);
        assert!(!asked(&[("x-stainless-retry-count", "0")], TALK).is_retry);
    }

    #[test]
    fn only_headers_of_the_body_go_with_it() {
        let asked =
            asked(&[("authorization", "Bearer secret"), ("anthropic-beta", "b1"), ("x-other", "o")], TALK);
        assert_eq!(asked.relay.headers, [("anthropic-beta".to_owned(), "b1".to_owned())]);
    }
}
