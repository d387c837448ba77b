//! Anthropic Messages. The stable part of the request is marked for the provider's cache; thinking comes back with its signature
//! and is sent again as it came.

use cella_dialogue::{
    Answer, Assistant, Failure, Json, Request, Stop, ToolCall, ToolChoice, Turn, Usage, Verbatim, Wire,
};
use serde_json::{Map, Value, json};

use super::{cut, malformed, number, text, value};
use crate::{Delta, failure::of_error};

pub(super) const PATH: &str = "/messages";

/// Tokens of an answer where the agent does not say: this wire wants a number.
const MAX_TOKENS: u64 = 8_192;

/// Blocks of one answer. Stops a broken provider from filling memory with empty ones; more make the answer malformed.
const BLOCKS_MAX: usize = 1_024;

pub(super) fn encode(model: &str, request: &Request) -> Map<String, Value> {
    let mut messages = Vec::new();
    for turn in &request.turns {
        match turn {
            Turn::User { text } => {
                messages.push(json!({ "role": "user", "content": [{ "type": "text", "text": text }] }));
            }
            Turn::Assistant(said) => {
                messages.push(json!({ "role": "assistant", "content": assistant(said) }))
            }
            Turn::Tools { results } => {
                let results = results.iter().map(|result| {
                    let mut block = json!({
                        "type": "tool_result", "tool_use_id": result.call, "content": result.text
                    });
                    if result.is_error {
                        block["is_error"] = true.into();
                    }
                    block
                });
                messages.push(json!({ "role": "user", "content": results.collect::<Vec<_>>() }));
            }
        }
    }
    // The dialogue only grows, so what is sent now is the beginning of what is sent next.
    let last = messages.last_mut().and_then(|message| message["content"].as_array_mut()?.last_mut());
    if let Some(block) = last {
        block["cache_control"] = cached();
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages.into());
    body.insert("max_tokens".into(), request.max_output.unwrap_or(MAX_TOKENS).into());
    body.insert("stream".into(), true.into());
    if !request.instructions.is_empty() {
        let system = json!([{ "type": "text", "text": request.instructions, "cache_control": cached() }]);
        body.insert("system".into(), system);
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let mut entry = json!({ "name": tool.name, "input_schema": value(&tool.schema) });
            if !tool.description.is_empty() {
                entry["description"] = tool.description.as_str().into();
            }
            entry
        });
        let mut tools: Vec<Value> = tools.collect();
        if let (Some(last), true) = (tools.last_mut(), request.instructions.is_empty()) {
            last["cache_control"] = cached();
        }
        body.insert("tools".into(), tools.into());
        let choice = match &request.choice {
            ToolChoice::Auto => None,
            ToolChoice::None => Some(json!({ "type": "none" })),
            ToolChoice::Required => Some(json!({ "type": "any" })),
            ToolChoice::Named(name) => Some(json!({ "type": "tool", "name": name })),
        };
        body.extend(choice.map(|choice| ("tool_choice".into(), choice)));
    }
    if let Some(output) = &request.output {
        let format = json!({ "type": "json_schema", "schema": value(&output.schema) });
        body.insert("output_config".into(), json!({ "format": format }));
    }
    body
}

fn cached() -> Value {
    json!({ "type": "ephemeral" })
}

fn assistant(said: &Assistant) -> Vec<Value> {
    if let Some(Verbatim { wire: Wire::AnthropicMessages, items }) = &said.verbatim
        && let Value::Array(blocks) = value(items)
    {
        return blocks;
    }
    let mut blocks = Vec::new();
    if !said.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": said.text }));
    }
    blocks.extend(said.calls.iter().map(|call| {
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input(&call.arguments) })
    }));
    if blocks.is_empty() {
        // This wire takes no empty message.
        blocks.push(json!({ "type": "text", "text": "(nothing)" }));
    }
    blocks
}

/// Arguments as this wire has them: an object. What is none is shown to the model as it wrote it.
fn input(arguments: &str) -> Value {
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) if value.is_object() => value,
        _ if arguments.trim().is_empty() => json!({}),
        _ => json!({ "not_json": arguments }),
    }
}

/// An answer on its way.
#[derive(Debug, Default)]
pub(super) struct Reader {
    blocks: Vec<Value>,
    /// The JSON of each block's `input`, which comes in pieces.
    inputs: Vec<String>,
    stop: Option<String>,
    usage: Usage,
    model: String,
    over: bool,
}

impl Reader {
    pub(super) fn take(&mut self, data: &Value, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let at = usize::try_from(number(data, &["index"])).unwrap_or(usize::MAX);
        match text(data, "type") {
            "message_start" => {
                let message = data.get("message").unwrap_or(&Value::Null);
                text(message, "model").clone_into(&mut self.model);
                self.count(message);
            }
            "content_block_start" => {
                if at > self.blocks.len() || at >= BLOCKS_MAX {
                    return Err(malformed("a block out of order"));
                }
                self.blocks.truncate(at);
                self.inputs.truncate(at);
                self.blocks.push(data.get("content_block").cloned().unwrap_or_default());
                self.inputs.push(String::new());
            }
            "content_block_delta" => self.delta(at, data.get("delta").unwrap_or(&Value::Null), deltas)?,
            "message_delta" => {
                let stop =
                    data.get("delta").and_then(|delta| delta.get("stop_reason")).and_then(Value::as_str);
                self.stop = stop.map(str::to_owned).or_else(|| self.stop.take());
                self.count(data);
            }
            "message_stop" => self.over = true,
            "error" => return Err(of_error(data)),
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, at: usize, delta: &Value, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let (Some(block), Some(input)) = (self.blocks.get_mut(at), self.inputs.get_mut(at)) else {
            return Err(malformed("a part of no block"));
        };
        let mut grow = |field: &str| {
            let more = text(delta, field);
            let grown = format!("{}{more}", text(block, field));
            if let Some(block) = block.as_object_mut() {
                block.insert(field.to_owned(), grown.into());
            }
        };
        match text(delta, "type") {
            "text_delta" => {
                grow("text");
                deltas.push(Delta::Text(text(delta, "text").to_owned()));
            }
            "thinking_delta" => {
                grow("thinking");
                deltas.push(Delta::Reasoning(text(delta, "thinking").len()));
            }
            "signature_delta" => grow("signature"),
            "input_json_delta" => {
                let part = text(delta, "partial_json");
                input.push_str(part);
                let (id, name) = (text(block, "id").to_owned(), text(block, "name").to_owned());
                deltas.push(Delta::Call { at, id, name, arguments: part.to_owned() });
            }
            _ => {}
        }
        Ok(())
    }

    /// Later counts are the whole so far; what is missing in one is as it was.
    fn count(&mut self, of: &Value) {
        let Some(usage) = of.get("usage").filter(|usage| usage.is_object()) else { return };
        let read = usage_of(usage);
        self.usage = Usage {
            input: self.usage.input.max(read.input),
            cached_input: self.usage.cached_input.max(read.cached_input),
            cache_write: self.usage.cache_write.max(read.cache_write),
            output: self.usage.output.max(read.output),
            reasoning: 0,
        };
    }

    pub(super) fn finish(mut self) -> Result<Answer, Failure> {
        let Some(stop) = self.stop.filter(|_| self.over) else { return Err(cut()) };
        let mut arguments = Vec::with_capacity(self.inputs.len());
        for (block, json) in self.blocks.iter_mut().zip(self.inputs) {
            if json.is_empty() {
                arguments.push(block.get("input").map_or_else(String::new, Value::to_string));
                continue;
            }
            block["input"] = input(&json);
            arguments.push(json);
        }
        Ok(answer(&self.blocks, &arguments, &stop, self.usage, self.model))
    }
}

pub(super) fn whole(body: &Value) -> Result<Answer, Failure> {
    let Some(blocks) = body.get("content").and_then(Value::as_array) else {
        return Err(malformed("a body without content"));
    };
    let arguments: Vec<String> =
        blocks.iter().map(|block| block.get("input").map_or_else(String::new, Value::to_string)).collect();
    let usage = body.get("usage").map(usage_of).unwrap_or_default();
    Ok(answer(blocks, &arguments, text(body, "stop_reason"), usage, text(body, "model").to_owned()))
}

fn answer(blocks: &[Value], arguments: &[String], stop: &str, usage: Usage, model: String) -> Answer {
    let (mut said, mut calls) = (String::new(), Vec::new());
    for (block, arguments) in blocks.iter().zip(arguments) {
        match text(block, "type") {
            "text" => said.push_str(text(block, "text")),
            "tool_use" => calls.push(ToolCall {
                id: text(block, "id").to_owned(),
                name: text(block, "name").to_owned(),
                arguments: arguments.clone(),
            }),
            _ => {}
        }
    }
    let stop = match stop {
        "refusal" => Stop::Refused,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        _ if !calls.is_empty() => Stop::Tools,
        _ => Stop::End,
    };
    let verbatim = Json::of(&blocks).ok().map(|items| Verbatim { wire: Wire::AnthropicMessages, items });
    Answer { turn: Assistant { text: said, calls, verbatim }, stop, usage, model }
}

/// This wire counts cached tokens beside the others.
fn usage_of(usage: &Value) -> Usage {
    let cached_input = number(usage, &["cache_read_input_tokens"]);
    let cache_write = number(usage, &["cache_creation_input_tokens"]);
    Usage {
        input: number(usage, &["input_tokens"]) + cached_input + cache_write,
        cached_input,
        cache_write,
        output: number(usage, &["output_tokens"]),
        reasoning: 0,
    }
}
