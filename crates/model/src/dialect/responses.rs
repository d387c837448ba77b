//! Responses, as clients write them.

use std::collections::HashMap;

use cella_dialogue::{Assistant, OutputSchema, Request, ToolCall, ToolChoice, ToolResult, Turn};
use serde_json::{Map, Value};

use super::{
    chat::{result, shape, spec, word_of_choice},
    extra, no, object, rest, said, text,
};
use crate::NotCarried;

/// What a message's parts may be.
const PARTS: [&str; 4] = ["input_text", "output_text", "text", "refusal"];

/// Parameters that speak of state or of sealed reasoning, which only their own provider has.
const OWN: [&str; 4] = ["include", "truncation", "background", "top_logprobs"];

pub(crate) fn read(body: &str) -> Result<Request, NotCarried> {
    let mut body = object(body)?;
    let (mut instructions, turns) = match body.remove("input") {
        Some(Value::String(text)) => (String::new(), vec![Turn::User { text }]),
        Some(Value::Array(items)) => talk(&items)?,
        _ => return Err(no("input", "expected text or a list of items")),
    };
    if let Some(Value::String(first)) = body.remove("instructions") {
        let then = std::mem::take(&mut instructions);
        instructions = if then.is_empty() { first } else { format!("{first}\n\n{then}") };
    }
    let mut tools = Vec::new();
    for tool in body.remove("tools").as_ref().and_then(Value::as_array).into_iter().flatten() {
        if text(tool, "type") != "function" {
            let kind = text(tool, "type");
            return Err(no(
                "tools",
                format!("a tool of type {kind:?} cannot be passed on to this model's provider"),
            ));
        }
        tools.push(spec(tool));
    }
    let choice = match body.remove("tool_choice") {
        None | Some(Value::Null) => ToolChoice::Auto,
        Some(Value::String(word)) => word_of_choice(&word)?,
        Some(named) if text(&named, "type") == "function" => {
            ToolChoice::Named(text(&named, "name").to_owned())
        }
        Some(_) => return Err(no("tool_choice", "expected auto, none, required or a function")),
    };
    let output = output(body.remove("text").as_ref())?;
    let max_output = body.remove("max_output_tokens").and_then(|value| value.as_u64());
    for name in OWN {
        let said = body.remove(name).filter(|value| !is_nothing(value) && *value != "disabled");
        if said.is_some() && name == "background" {
            return Err(no(name, "this model's provider answers at once or not at all"));
        }
    }
    // How hard to think is said in other words elsewhere.
    if body.get("reasoning").is_some_and(is_nothing) {
        body.remove("reasoning");
    }
    let mut more = Map::new();
    rest(body, &mut more)?;
    Ok(Request { instructions, tools, turns, choice, output, max_output, extra: extra(&more), relay: None })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.values().all(is_nothing),
        _ => false,
    }
}

fn talk(items: &[Value]) -> Result<(String, Vec<Turn>), NotCarried> {
    let (mut instructions, mut turns) = (String::new(), Vec::new());
    let mut names: HashMap<String, String> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        let param = format!("input[{at}]");
        match text(item, "type") {
            "message" | "" => {
                let content =
                    said(item.get("content").unwrap_or(&Value::Null), &PARTS, &format!("{param}.content"))?;
                match text(item, "role") {
                    "system" | "developer" if turns.is_empty() => {
                        if !instructions.is_empty() {
                            instructions.push_str("\n\n");
                        }
                        instructions.push_str(&content);
                    }
                    "assistant" => spoken(&mut turns, |said| said.text.push_str(&content)),
                    "user" | "system" | "developer" => turns.push(Turn::User { text: content }),
                    other => return Err(no(&format!("{param}.role"), format!("unknown role {other:?}"))),
                }
            }
            "function_call" => {
                let (id, name) = (text(item, "call_id").to_owned(), text(item, "name").to_owned());
                names.insert(id.clone(), name.clone());
                let arguments = text(item, "arguments").to_owned();
                spoken(&mut turns, |said| said.calls.push(ToolCall { id, name, arguments }));
            }
            "function_call_output" => {
                let call = text(item, "call_id").to_owned();
                let name = names.get(&call).cloned().unwrap_or_default();
                let output = item.get("output").unwrap_or(&Value::Null);
                let text = said(output, &PARTS, &format!("{param}.output"))?;
                result(&mut turns, ToolResult { call, name, text, is_error: false });
            }
            // Sealed for the provider that wrote it.
            "reasoning" => {}
            other => {
                let why = format!("an item of type {other:?} cannot be passed on to this model's provider");
                return Err(no(&param, why));
            }
        }
    }
    Ok((instructions, turns))
}

/// The model's turn: what it says in several items without an answer between is one.
fn spoken(turns: &mut Vec<Turn>, say: impl FnOnce(&mut Assistant)) {
    if !matches!(turns.last(), Some(Turn::Assistant(_))) {
        turns.push(Turn::Assistant(Assistant::default()));
    }
    if let Some(Turn::Assistant(said)) = turns.last_mut() {
        say(said);
    }
}

fn output(text_of: Option<&Value>) -> Result<Option<OutputSchema>, NotCarried> {
    let Some(format) = text_of.and_then(|text| text.get("format")) else { return Ok(None) };
    match text(format, "type") {
        "text" => Ok(None),
        "json_schema" => Ok(Some(shape(format))),
        kind => Err(no("text", format!("the format {kind:?} cannot be passed on to this model's provider"))),
    }
}
