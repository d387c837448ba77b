//! Chat Completions: `chat.completion`, and its chunks.

use cella_dialogue::{Answer, Stop, Usage};
use cella_model::Delta;
use serde_json::{Value, json};

use super::left;
use crate::speech::event;

pub(crate) struct Render {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    begun: bool,
    text: String,
    calls: Vec<Call>,
}

/// A call of which something was said.
struct Call {
    at: usize,
    id: String,
    arguments: String,
}

impl Render {
    pub(super) fn new(run: &str, model: &str, created: u64, include_usage: bool) -> Self {
        Self {
            id: format!("chatcmpl-{run}"),
            model: model.to_owned(),
            created,
            include_usage,
            begun: false,
            text: String::new(),
            calls: Vec::new(),
        }
    }

    pub(super) fn delta(&mut self, delta: &Delta) -> String {
        match delta {
            Delta::Text(text) => {
                self.text.push_str(text);
                self.chunk(json!({ "content": text }))
            }
            Delta::Reasoning(_) => String::new(),
            Delta::Call { at, id, name, arguments } => self.call(*at, id, name, arguments),
        }
    }

    fn call(&mut self, at: usize, id: &str, name: &str, arguments: &str) -> String {
        if let Some(index) = self.calls.iter().position(|call| call.at == at) {
            self.calls[index].arguments.push_str(arguments);
            let function = json!({ "arguments": arguments });
            return self.chunk(json!({ "tool_calls": [{ "index": index, "function": function }] }));
        }
        let index = self.calls.len();
        // Some providers have no names for calls.
        let id = if id.is_empty() { format!("call_{index}") } else { id.to_owned() };
        self.calls.push(Call { at, id: id.clone(), arguments: arguments.to_owned() });
        let function = json!({ "name": name, "arguments": arguments });
        self.chunk(
            json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] }),
        )
    }

    pub(super) fn end(&mut self, answer: &Answer) -> String {
        let mut out = String::new();
        let rest = left(&answer.turn.text, &self.text).to_owned();
        if !rest.is_empty() {
            out.push_str(&self.delta(&Delta::Text(rest)));
        }
        for call in &answer.turn.calls {
            match self.calls.iter().find(|said| said.id == call.id) {
                Some(said) => {
                    let rest = left(&call.arguments, &said.arguments).to_owned();
                    if !rest.is_empty() {
                        let at = said.at;
                        out.push_str(&self.call(at, &call.id, &call.name, &rest));
                    }
                }
                // Past every place that a provider gives.
                None => {
                    let at = usize::MAX - self.calls.len();
                    out.push_str(&self.call(at, &call.id, &call.name, &call.arguments));
                }
            }
        }
        if !self.begun {
            out.push_str(&self.chunk(json!({ "content": "" })));
        }
        let choice = json!({ "index": 0, "delta": {}, "finish_reason": finish(answer), "logprobs": null });
        out.push_str(&self.event(&json!([choice]), None));
        if self.include_usage {
            out.push_str(&self.event(&json!([]), Some(answer.usage)));
        }
        out.push_str("data: [DONE]\n\n");
        out
    }

    pub(super) fn whole(&self, answer: &Answer) -> Value {
        let turn = &answer.turn;
        let refused = answer.stop == Stop::Refused;
        let text = |show: bool| if show && !turn.text.is_empty() { json!(turn.text) } else { Value::Null };
        let mut message = json!({ "role": "assistant", "content": text(!refused), "refusal": text(refused) });
        if !turn.calls.is_empty() {
            let calls = turn.calls.iter().map(|call| {
                let function = json!({ "name": call.name, "arguments": call.arguments });
                json!({ "id": call.id, "type": "function", "function": function })
            });
            message["tool_calls"] = calls.collect();
        }
        let choice =
            json!({ "index": 0, "message": message, "finish_reason": finish(answer), "logprobs": null });
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [choice], "usage": usage(answer.usage),
        })
    }

    fn chunk(&mut self, mut delta: Value) -> String {
        if !std::mem::replace(&mut self.begun, true) {
            delta["role"] = "assistant".into();
        }
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": null, "logprobs": null });
        self.event(&json!([choice]), None)
    }

    fn event(&self, choices: &Value, used: Option<Usage>) -> String {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = used.map_or(Value::Null, usage);
        }
        event("", &chunk.to_string())
    }
}

fn finish(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::End => "stop",
        Stop::Tools => "tool_calls",
        Stop::Length => "length",
        Stop::Refused => "content_filter",
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.total(),
        "prompt_tokens_details": { "cached_tokens": usage.cached_input },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
    })
}
