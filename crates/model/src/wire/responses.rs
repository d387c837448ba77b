//! `OpenAI` Responses, without state at the provider (`store: false`): reasoning comes back sealed and is sent again as it came.

use cella_dialogue::{
    Answer, Assistant, Failure, FailureClass, Json, Request, Stop, ToolCall, ToolChoice, Turn, Usage,
    Verbatim, Wire,
};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{cut, malformed, number, text, value};
use crate::{
    Delta,
    failure::{failure, of_error},
};

pub(super) const PATH: &str = "/responses";

pub(super) fn encode(model: &str, request: &Request) -> Map<String, Value> {
    let mut input = Vec::new();
    for turn in &request.turns {
        match turn {
            Turn::User { text } => input.push(json!({ "role": "user", "content": text })),
            Turn::Assistant(said) => assistant(said, &mut input),
            Turn::Tools { results } => input.extend(results.iter().map(
                |result| json!({ "type": "function_call_output", "call_id": result.call, "output": result.text }),
            )),
        }
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("input".into(), input.into());
    body.insert("stream".into(), true.into());
    body.insert("store".into(), false.into());
    body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    if !request.instructions.is_empty() {
        body.insert("instructions".into(), request.instructions.as_str().into());
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            // Without a word this API makes every schema strict, which most schemas are not made for.
            let mut function = json!({
                "type": "function", "name": tool.name, "parameters": value(&tool.schema), "strict": false
            });
            if !tool.description.is_empty() {
                function["description"] = tool.description.as_str().into();
            }
            function
        });
        body.insert("tools".into(), tools.collect());
        let choice = match &request.choice {
            ToolChoice::Auto => None,
            ToolChoice::None => Some("none".into()),
            ToolChoice::Required => Some("required".into()),
            ToolChoice::Named(name) => Some(json!({ "type": "function", "name": name })),
        };
        body.extend(choice.map(|choice| ("tool_choice".into(), choice)));
    }
    if let Some(output) = &request.output {
        let format = json!({ "type": "json_schema", "name": output.name, "schema": value(&output.schema) });
        body.insert("text".into(), json!({ "format": format }));
    }
    if let Some(max) = request.max_output {
        body.insert("max_output_tokens".into(), max.into());
    }
    body
}

fn assistant(said: &Assistant, input: &mut Vec<Value>) {
    if let Some(Verbatim { wire: Wire::OpenaiResponses, items }) = &said.verbatim
        && let Value::Array(items) = value(items)
    {
        input.extend(items);
        return;
    }
    if !said.text.is_empty() {
        input.push(json!({ "role": "assistant", "content": said.text }));
    }
    input.extend(said.calls.iter().map(|call| {
        json!({ "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments })
    }));
}

/// A call whose arguments come in.
#[derive(Debug, Default, Clone)]
struct Begun {
    item: String,
    call: String,
    name: String,
}

/// An answer on its way. Everything stands once more in the last event, which is what counts.
#[derive(Debug, Default)]
pub(super) struct Reader {
    calls: Vec<Begun>,
    end: Option<Result<Answer, Failure>>,
}

impl Reader {
    pub(super) fn take(&mut self, data: &Value, raw: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        match text(data, "type") {
            "response.output_text.delta" => deltas.push(Delta::Text(text(data, "delta").to_owned())),
            "response.output_item.added" => {
                if let Some(item) = data.get("item").filter(|item| text(item, "type") == "function_call") {
                    let part = |name| text(item, name).to_owned();
                    self.calls.push(Begun { item: part("id"), call: part("call_id"), name: part("name") });
                }
            }
            "response.function_call_arguments.delta" => {
                let id = text(data, "item_id");
                let at = self.calls.iter().position(|begun| begun.item == id).unwrap_or_default();
                let Begun { call, name, .. } = self.calls.get(at).cloned().unwrap_or_default();
                deltas.push(Delta::Call { at, id: call, name, arguments: text(data, "delta").to_owned() });
            }
            "response.completed" | "response.incomplete" => {
                self.end = Some(ended(data, raw));
            }
            "response.failed" => {
                let error = data.get("response").and_then(|response| response.get("error"));
                self.end = Some(Err(error.map_or_else(|| malformed("a failure without an error"), of_error)));
            }
            "error" => return Err(of_error(data)),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Answer, Failure> {
        self.end.unwrap_or_else(|| Err(cut()))
    }
}

fn ended(data: &Value, raw: &str) -> Result<Answer, Failure> {
    #[derive(Deserialize)]
    struct Event<'e> {
        #[serde(borrow)]
        response: Response<'e>,
    }
    let response = data.get("response").unwrap_or(&Value::Null);
    let event = serde_json::from_str::<Event<'_>>(raw).map_err(|_| malformed("an end without a response"))?;
    read(response, event.response.output)
}

#[derive(Deserialize)]
struct Response<'r> {
    #[serde(borrow)]
    output: &'r RawValue,
}

pub(super) fn whole(body: &Value, raw: &str) -> Result<Answer, Failure> {
    let response =
        serde_json::from_str::<Response<'_>>(raw).map_err(|_| malformed("a body without output"))?;
    read(body, response.output)
}

fn read(response: &Value, output: &RawValue) -> Result<Answer, Failure> {
    let (mut said, mut refusal, mut calls) = (String::new(), String::new(), Vec::new());
    let items = response.get("output").and_then(Value::as_array);
    for item in items.ok_or_else(|| malformed("a response without output"))? {
        match text(item, "type") {
            "message" => {
                for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
                    match text(part, "type") {
                        "output_text" => said.push_str(text(part, "text")),
                        "refusal" => refusal.push_str(text(part, "refusal")),
                        _ => {}
                    }
                }
            }
            "function_call" => calls.push(ToolCall {
                id: text(item, "call_id").to_owned(),
                name: text(item, "name").to_owned(),
                arguments: text(item, "arguments").to_owned(),
            }),
            _ => {}
        }
    }
    let reason =
        response.get("incomplete_details").map(|details| text(details, "reason")).unwrap_or_default();
    let stop = match (text(response, "status"), reason) {
        ("failed", _) => return Err(failure(FailureClass::Server, "the response failed")),
        (_, "content_filter") => Stop::Refused,
        _ if !refusal.is_empty() => Stop::Refused,
        (_, "max_output_tokens") => Stop::Length,
        _ if !calls.is_empty() => Stop::Tools,
        _ => Stop::End,
    };
    let verbatim =
        Json::parse(output.get()).ok().map(|items| Verbatim { wire: Wire::OpenaiResponses, items });
    let usage = Usage {
        input: number(response, &["usage", "input_tokens"]),
        cached_input: number(response, &["usage", "input_tokens_details", "cached_tokens"]),
        cache_write: 0,
        output: number(response, &["usage", "output_tokens"]),
        reasoning: number(response, &["usage", "output_tokens_details", "reasoning_tokens"]),
    };
    let text_said = if said.is_empty() { refusal } else { said };
    let turn = Assistant { text: text_said, calls, verbatim };
    Ok(Answer { turn, stop, usage, model: text(response, "model").to_owned() })
}
