//! Responses: `response`, and its events.

use cella_dialogue::{Answer, Stop, Usage};
use cella_model::Delta;
use serde_json::{Value, json};

use super::left;
use crate::speech::event;

pub(crate) struct Render {
    id: String,
    model: String,
    created: u64,
    sequence: u64,
    begun: bool,
    /// Items in the order in which they began.
    items: Vec<Item>,
}

enum Item {
    Text { text: String },
    Call { at: usize, id: String, name: String, arguments: String },
}

impl Render {
    pub(super) fn new(run: &str, model: &str, created: u64) -> Self {
        let (id, model) = (format!("resp_{run}"), model.to_owned());
        Self { id, model, created, sequence: 0, begun: false, items: Vec::new() }
    }

    pub(super) fn delta(&mut self, delta: &Delta) -> String {
        let mut out = self.begin();
        match delta {
            Delta::Text(text) => self.text(text, &mut out),
            Delta::Reasoning(_) => {}
            Delta::Call { at, id, name, arguments } => self.call(*at, id, name, arguments, &mut out),
        }
        out
    }

    fn begin(&mut self) -> String {
        if std::mem::replace(&mut self.begun, true) {
            return String::new();
        }
        let response = self.response("in_progress", &json!([]));
        let mut out = self.event("response.created", json!({ "response": response }));
        out.push_str(&self.event("response.in_progress", json!({ "response": response })));
        out
    }

    fn text(&mut self, text: &str, out: &mut String) {
        let known = self.items.iter().position(|item| matches!(item, Item::Text { .. }));
        let at = known.unwrap_or_else(|| {
            let at = self.items.len();
            self.items.push(Item::Text { text: String::new() });
            let item = self.item(at, "in_progress", false);
            out.push_str(
                &self.event("response.output_item.added", json!({ "output_index": at, "item": item })),
            );
            let part = json!({ "type": "output_text", "text": "", "annotations": [] });
            out.push_str(&self.of_part("response.content_part.added", at, ("part", part)));
            at
        });
        if let Item::Text { text: all } = &mut self.items[at] {
            all.push_str(text);
        }
        let mut delta = self.place(at);
        delta["delta"] = text.into();
        delta["logprobs"] = json!([]);
        out.push_str(&self.event("response.output_text.delta", delta));
    }

    fn call(&mut self, place: usize, id: &str, name: &str, arguments: &str, out: &mut String) {
        let known = self.items.iter().position(|item| matches!(item, Item::Call { at, .. } if *at == place));
        let at = known.unwrap_or_else(|| {
            let at = self.items.len();
            let id = if id.is_empty() { format!("call_{at}") } else { id.to_owned() };
            self.items.push(Item::Call { at: place, id, name: name.to_owned(), arguments: String::new() });
            let item = self.item(at, "in_progress", false);
            out.push_str(
                &self.event("response.output_item.added", json!({ "output_index": at, "item": item })),
            );
            at
        });
        if let Item::Call { arguments: all, .. } = &mut self.items[at] {
            all.push_str(arguments);
        }
        let delta = json!({ "output_index": at, "item_id": self.item_id(at), "delta": arguments });
        out.push_str(&self.event("response.function_call_arguments.delta", delta));
    }

    pub(super) fn end(&mut self, answer: &Answer) -> String {
        let mut out = self.begin();
        let said: String = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Text { text } => Some(text.as_str()),
                Item::Call { .. } => None,
            })
            .collect();
        let rest = left(&answer.turn.text, &said).to_owned();
        if !rest.is_empty() {
            self.text(&rest, &mut out);
        }
        for call in &answer.turn.calls {
            let said = self.items.iter().find_map(|item| match item {
                Item::Call { at, id, arguments, .. } if *id == call.id => Some((*at, arguments.clone())),
                _ => None,
            });
            // Past every place that a provider gives.
            let (at, said) = said.unwrap_or_else(|| (usize::MAX - self.items.len(), String::new()));
            let rest = left(&call.arguments, &said).to_owned();
            if !rest.is_empty() || said.is_empty() {
                self.call(at, &call.id, &call.name, &rest, &mut out);
            }
        }
        for at in 0..self.items.len() {
            self.done(at, &mut out);
        }
        let items: Vec<Value> = (0..self.items.len()).map(|at| self.item(at, "completed", true)).collect();
        let response = self.ended(answer, &items.into());
        let name = if answer.stop == Stop::Length { "response.incomplete" } else { "response.completed" };
        out.push_str(&self.event(name, json!({ "response": response })));
        out
    }

    fn done(&mut self, at: usize, out: &mut String) {
        match &self.items[at] {
            Item::Text { text } => {
                let text = text.clone();
                let mut done = self.place(at);
                done["text"] = text.as_str().into();
                done["logprobs"] = json!([]);
                out.push_str(&self.event("response.output_text.done", done));
                let part = json!({ "type": "output_text", "text": text, "annotations": [] });
                out.push_str(&self.of_part("response.content_part.done", at, ("part", part)));
            }
            Item::Call { name, arguments, .. } => {
                let done = json!({
                    "output_index": at, "item_id": self.item_id(at), "name": name, "arguments": arguments,
                });
                out.push_str(&self.event("response.function_call_arguments.done", done));
            }
        }
        let item = self.item(at, "completed", true);
        out.push_str(&self.event("response.output_item.done", json!({ "output_index": at, "item": item })));
    }

    pub(super) fn whole(&self, answer: &Answer) -> Value {
        let mut said = Self::new("", &self.model, self.created);
        said.id.clone_from(&self.id);
        if !answer.turn.text.is_empty() {
            said.items.push(Item::Text { text: answer.turn.text.clone() });
        }
        said.items.extend(answer.turn.calls.iter().enumerate().map(|(at, call)| Item::Call {
            at,
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        }));
        let items: Vec<Value> = (0..said.items.len()).map(|at| said.item(at, "completed", true)).collect();
        said.ended(answer, &items.into())
    }

    fn ended(&self, answer: &Answer, output: &Value) -> Value {
        let (status, reason) = match answer.stop {
            Stop::Length => ("incomplete", Some("max_output_tokens")),
            Stop::Refused => ("incomplete", Some("content_filter")),
            Stop::End | Stop::Tools => ("completed", None),
        };
        let mut response = self.response(status, output);
        response["usage"] = usage(answer.usage);
        if let Some(reason) = reason {
            response["incomplete_details"] = json!({ "reason": reason });
        }
        response
    }

    fn response(&self, status: &str, output: &Value) -> Value {
        json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": status, "model": self.model,
            "output": output, "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
            "parallel_tool_calls": true, "temperature": null, "top_p": null, "tool_choice": "auto", "tools": [],
            "usage": null,
        })
    }

    fn item_id(&self, at: usize) -> String {
        let kind = if matches!(self.items[at], Item::Text { .. }) { "msg" } else { "fc" };
        format!("{kind}_{}_{at}", self.id.trim_start_matches("resp_"))
    }

    fn item(&self, at: usize, status: &str, filled: bool) -> Value {
        let id = self.item_id(at);
        match &self.items[at] {
            Item::Text { text } => {
                let part = json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
                let content = if filled { json!([part]) } else { json!([]) };
                json!({ "id": id, "type": "message", "role": "assistant", "status": status, "content": content })
            }
            Item::Call { id: call, name, arguments, .. } => {
                let arguments = if filled { arguments.as_str() } else { "" };
                json!({
                    "id": id, "type": "function_call", "status": status, "call_id": call, "name": name,
                    "arguments": arguments,
                })
            }
        }
    }

    fn place(&self, at: usize) -> Value {
        json!({ "output_index": at, "content_index": 0, "item_id": self.item_id(at) })
    }

    fn of_part(&mut self, name: &str, at: usize, (field, value): (&str, Value)) -> String {
        let mut body = self.place(at);
        body[field] = value;
        self.event(name, body)
    }

    fn event(&mut self, name: &str, mut body: Value) -> String {
        body["type"] = name.into();
        body["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        event(name, &body.to_string())
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.total(),
        "input_tokens_details": { "cached_tokens": usage.cached_input },
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
    })
}
