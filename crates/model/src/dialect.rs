//! What clients write, read into the words that every wire has. What a provider of another wire could not be told is refused by name
//! rather than left out: an answer to another question is worse than none.

pub(crate) mod chat;
pub(crate) mod responses;

use cella_dialogue::Json;
use serde_json::{Map, Value};

use crate::NotCarried;

/// Parameters that change nothing about the answer, or say what happens anyway.
const WITHOUT_EFFECT: [&str; 12] = [
    "user",
    "metadata",
    "store",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "stream",
    "stream_options",
    "service_tier",
    "model",
    "parallel_tool_calls",
    "verbosity",
];

/// Parameters that all wires have under the same name.
const EVERYWHERE: [&str; 2] = ["temperature", "top_p"];

fn no(param: &str, why: impl Into<String>) -> NotCarried {
    NotCarried { param: Some(param.into()), why: why.into() }
}

fn object(body: &str) -> Result<Map<String, Value>, NotCarried> {
    serde_json::from_str(body)
        .map_err(|fault| NotCarried { param: None, why: format!("the request cannot be read: {fault}") })
}

/// Parameters that are left when the known ones are taken out: those that go anywhere, or why not.
fn rest(body: Map<String, Value>, extra: &mut Map<String, Value>) -> Result<(), NotCarried> {
    for (name, value) in body {
        // What is null was not said.
        if value.is_null() || WITHOUT_EFFECT.contains(&name.as_str()) {
            continue;
        }
        if !EVERYWHERE.contains(&name.as_str()) {
            let why =
                format!("{name} cannot be passed on to this model's provider, which speaks another protocol");
            return Err(no(&name, why));
        }
        extra.insert(name, value);
    }
    Ok(())
}

fn json(value: &Value) -> Json {
    Json::of(value).unwrap_or_else(|_| Json::empty_object())
}

fn extra(map: &Map<String, Value>) -> Option<Json> {
    (!map.is_empty()).then(|| Json::of(map).ok()).flatten()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Text that is a string, or a list of parts of the given types.
fn said(content: &Value, types: &[&str], param: &str) -> Result<String, NotCarried> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let mut all = String::new();
            for part in parts {
                let kind = text(part, "type");
                if !types.contains(&kind) {
                    let why = format!("a part of type {kind:?} cannot be passed on to this model's provider");
                    return Err(no(param, why));
                }
                all.push_str(if kind == "refusal" { text(part, "refusal") } else { text(part, "text") });
            }
            Ok(all)
        }
        _ => Err(no(param, "expected text or a list of parts")),
    }
}

#[cfg(test)]
mod tests {
    use cella_dialogue::{Dialect, ToolChoice, Turn};

    use crate::translated;

    #[test]
    fn a_chat_becomes_a_request_of_any_wire() {
        let body = r#"{"model":"m","messages":[
            {"role":"developer","content":"Be brief."},
            {"role":"user","content":[{"type":"text","text":"Hi "},{"type":"text","text":"there"}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
                {"id":"c2","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"one"},
            {"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"two"}]},
            {"role":"user","content":"go on"}],
            "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],
            "tool_choice":{"type":"function","function":{"name":"f"}},"temperature":0.5,"max_completion_tokens":9,"user":"u","n":1,
            "response_format":{"type":"json_schema","json_schema":{"name":"o","schema":{"type":"object"}}}}"#;
        let request = translated(Dialect::Chat, body).expect("a request");
        assert_eq!(request.instructions, "Be brief.");
        assert_eq!(request.turns[0], Turn::User { text: "Hi there".into() });
        let Turn::Tools { results } = &request.turns[2] else { panic!("{:?}", request.turns[2]) };
        assert_eq!(
            (results[1].call.as_str(), results[1].name.as_str(), results[1].text.as_str()),
            ("c2", "f", "two")
        );
        assert_eq!(request.choice, ToolChoice::Named("f".into()));
        assert_eq!(request.max_output, Some(9));
        assert_eq!(request.extra.expect("more").text(), r#"{"temperature":0.5}"#);
        assert_eq!(request.output.expect("a shape").name, "o");
    }

    #[test]
    fn responses_become_a_request_of_any_wire() {
        let body = r#"{"model":"m","instructions":"Be brief.","input":[
            {"role":"user","content":[{"type":"input_text","text":"Hi"}]},
            {"type":"reasoning","id":"r1","summary":[]},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":"one"},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Done.","annotations":[]}]}],
            "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],"tool_choice":"required",
            "text":{"format":{"type":"text"}},"max_output_tokens":7,"include":[],"reasoning":{"effort":null}}"#;
        let request = translated(Dialect::Responses, body).expect("a request");
        assert_eq!(request.turns.len(), 4);
        assert_eq!((request.choice, request.max_output), (ToolChoice::Required, Some(7)));
        assert!(request.output.is_none());
        let short = translated(Dialect::Responses, r#"{"model":"m","input":"Hi"}"#).expect("a request");
        assert_eq!(short.turns, [Turn::User { text: "Hi".into() }]);
    }

    #[test]
    fn what_another_wire_has_no_words_for_is_refused_by_name() {
        let refused =
            |dialect, body: &str| translated(dialect, body).expect_err(body).param.unwrap_or_default();
        let chat =
            |more: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{more}}}"#);
        assert_eq!(refused(Dialect::Chat, &chat(r#","logprobs":true"#)), "logprobs");
        assert_eq!(refused(Dialect::Chat, &chat(r#","n":2"#)), "n");
        assert_eq!(refused(Dialect::Chat, &chat(r#","tools":[{"type":"custom"}]"#)), "tools");
        let image = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}"#;
        assert_eq!(refused(Dialect::Chat, image), "messages[0].content");
        assert_eq!(
            refused(Dialect::Responses, r#"{"model":"m","input":"x","previous_response_id":"resp_1"}"#),
            "previous_response_id"
        );
        assert_eq!(
            refused(Dialect::Responses, r#"{"model":"m","input":"x","tools":[{"type":"web_search"}]}"#),
            "tools"
        );
        assert_eq!(refused(Dialect::Responses, r#"{"model":"m"}"#), "input");
        assert_eq!(refused(Dialect::Messages, "{}"), "model");
    }
}
