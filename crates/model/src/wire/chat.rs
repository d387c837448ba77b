//! `OpenAI` Chat Completions, and what is compatible with it.

use cella_dialogue::{Answer, Assistant, Failure, Request, Stop, ToolCall, ToolChoice, Turn, Usage};
use serde_json::{Map, Value, json};

use super::{cut, malformed, number, text, value};
use crate::{Delta, Provider};

pub(super) const PATH: &str = "/chat/completions";

/// Tool calls of one answer. Stops a broken provider from filling memory with empty ones; more make the answer malformed.
const CALLS_MAX: usize = 1_024;

pub(super) fn encode(provider: &Provider, model: &str, request: &Request) -> Map<String, Value> {
    let mut messages = Vec::new();
    if !request.instructions.is_empty() {
        messages.push(json!({ "role": "system", "content": request.instructions }));
    }
    for turn in &request.turns {
        match turn {
            Turn::User { text } => messages.push(json!({ "role": "user", "content": text })),
            Turn::Assistant(said) => messages.push(assistant(said)),
            Turn::Tools { results } => messages.extend(results.iter().map(
                |result| json!({ "role": "tool", "tool_call_id": result.call, "content": result.text }),
            )),
        }
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({ "include_usage": true }));
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let mut function = json!({ "name": tool.name, "parameters": value(&tool.schema) });
            if !tool.description.is_empty() {
                function["description"] = tool.description.as_str().into();
            }
            json!({ "type": "function", "function": function })
        });
        body.insert("tools".into(), tools.collect());
        let choice = match &request.choice {
            ToolChoice::Auto => None,
            ToolChoice::None => Some("none".into()),
            ToolChoice::Required => Some("required".into()),
            ToolChoice::Named(name) => Some(json!({ "type": "function", "function": { "name": name } })),
        };
        body.extend(choice.map(|choice| ("tool_choice".into(), choice)));
    }
    if let Some(output) = &request.output {
        let schema = json!({ "name": output.name, "schema": value(&output.schema) });
        body.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": schema }));
    }
    if let Some(max) = request.max_output {
        // OpenAI's newer models refuse the older name; compatible servers do not know the newer one yet.
        let name = if provider.is_openai() { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.into(), max.into());
    }
    body
}

fn assistant(said: &Assistant) -> Value {
    let content = if said.text.is_empty() { Value::Null } else { said.text.as_str().into() };
    let mut message = json!({ "role": "assistant", "content": content });
    if !said.calls.is_empty() {
        let calls = said.calls.iter().map(|call| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        });
        message["tool_calls"] = calls.collect();
    }
    message
}

/// An answer on its way.
#[derive(Debug, Default)]
pub(super) struct Reader {
    text: String,
    refusal: String,
    calls: Vec<ToolCall>,
    finish: Option<String>,
    usage: Usage,
    model: String,
    broken: bool,
}

impl Reader {
    pub(super) fn take(&mut self, data: &Value, deltas: &mut Vec<Delta>) {
        if self.model.is_empty() {
            text(data, "model").clone_into(&mut self.model);
        }
        if let Some(usage) = data.get("usage").filter(|usage| usage.is_object()) {
            self.usage = usage_of(usage);
        }
        let Some(choice) = data.get("choices").and_then(|choices| choices.get(0)) else { return };
        if let Some(delta) = choice.get("delta") {
            let said = text(delta, "content");
            if !said.is_empty() {
                self.text.push_str(said);
                deltas.push(Delta::Text(said.to_owned()));
            }
            self.refusal.push_str(text(delta, "refusal"));
            for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                self.call(call, deltas);
            }
        }
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(finish.to_owned());
        }
    }

    fn call(&mut self, part: &Value, deltas: &mut Vec<Delta>) {
        let last = self.calls.len();
        // Some servers leave the index out and send each call whole.
        let at =
            part.get("index").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok()).unwrap_or(last);
        if at >= CALLS_MAX {
            self.broken = true;
            return;
        }
        while self.calls.len() <= at {
            self.calls.push(ToolCall { id: String::new(), name: String::new(), arguments: String::new() });
        }
        let call = &mut self.calls[at];
        let function = part.get("function").unwrap_or(&Value::Null);
        call.id.push_str(text(part, "id"));
        call.name.push_str(text(function, "name"));
        let arguments = text(function, "arguments");
        call.arguments.push_str(arguments);
        deltas.push(Delta::Call {
            at,
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: arguments.to_owned(),
        });
    }

    pub(super) fn finish(self) -> Result<Answer, Failure> {
        if self.broken {
            return Err(malformed("more tool calls than anybody wants"));
        }
        let finish = self.finish.ok_or_else(cut)?;
        let text = if self.text.is_empty() { self.refusal.clone() } else { self.text };
        Ok(answer(text, self.calls, &finish, !self.refusal.is_empty(), self.usage, self.model))
    }
}

pub(super) fn whole(body: &Value) -> Result<Answer, Failure> {
    let choice = body.get("choices").and_then(|choices| choices.get(0));
    let message = choice.and_then(|choice| choice.get("message"));
    let (Some(choice), Some(message)) = (choice, message) else {
        return Err(malformed("a body without choices"));
    };
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten().map(|call| {
        let function = call.get("function").unwrap_or(&Value::Null);
        ToolCall {
            id: text(call, "id").to_owned(),
            name: text(function, "name").to_owned(),
            arguments: text(function, "arguments").to_owned(),
        }
    });
    let refusal = text(message, "refusal");
    let said = if text(message, "content").is_empty() { refusal } else { text(message, "content") };
    let usage = body.get("usage").map(usage_of).unwrap_or_default();
    let finish = text(choice, "finish_reason");
    let model = text(body, "model").to_owned();
    Ok(answer(said.to_owned(), calls.collect(), finish, !refusal.is_empty(), usage, model))
}

fn answer(
    text: String,
    mut calls: Vec<ToolCall>,
    finish: &str,
    refused: bool,
    usage: Usage,
    model: String,
) -> Answer {
    for (at, call) in calls.iter_mut().enumerate().filter(|(_, call)| call.id.is_empty()) {
        call.id = format!("call_{at}");
    }
    let stop = match finish {
        "content_filter" => Stop::Refused,
        _ if refused => Stop::Refused,
        _ if !calls.is_empty() => Stop::Tools,
        "length" => Stop::Length,
        _ => Stop::End,
    };
    Answer { turn: Assistant { text, calls, verbatim: None }, stop, usage, model }
}

fn usage_of(usage: &Value) -> Usage {
    Usage {
        input: number(usage, &["prompt_tokens"]),
        cached_input: number(usage, &["prompt_tokens_details", "cached_tokens"]),
        cache_write: 0,
        output: number(usage, &["completion_tokens"]),
        reasoning: number(usage, &["completion_tokens_details", "reasoning_tokens"]),
    }
}
