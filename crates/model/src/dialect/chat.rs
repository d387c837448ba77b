//! Chat Completions, as clients write them.

use std::collections::HashMap;

use cella_dialogue::{Assistant, OutputSchema, Request, ToolCall, ToolChoice, ToolResult, ToolSpec, Turn};
use serde_json::{Map, Value};

use super::{extra, json, no, object, rest, said, text};
use crate::NotCarried;

pub(crate) fn read(body: &str) -> Result<Request, NotCarried> {
    let mut body = object(body)?;
    let Some(Value::Array(messages)) = body.remove("messages") else {
        return Err(no("messages", "expected a list of messages"));
    };
    let (instructions, turns) = talk(&messages)?;
    let tools = match body.remove("tools") {
        Some(Value::Array(tools)) => tools.iter().map(tool).collect::<Result<_, _>>()?,
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return Err(no("tools", "expected a list of tools")),
    };
    let choice = choice(body.remove("tool_choice").as_ref())?;
    let output = output(body.remove("response_format").as_ref())?;
    let mut most = |name: &str| body.remove(name).and_then(|value| value.as_u64());
    let (newer, older) = (most("max_completion_tokens"), most("max_tokens"));
    if body.remove("n").is_some_and(|n| !n.is_null() && n != 1) {
        return Err(no("n", "this model's provider gives one answer at a time"));
    }
    let mut more = Map::new();
    rest(body, &mut more)?;
    Ok(Request {
        instructions,
        tools,
        turns,
        choice,
        output,
        max_output: newer.or(older),
        extra: extra(&more),
        relay: None,
    })
}

fn talk(messages: &[Value]) -> Result<(String, Vec<Turn>), NotCarried> {
    let (mut instructions, mut turns) = (String::new(), Vec::new());
    let mut names: HashMap<String, String> = HashMap::new();
    for (at, message) in messages.iter().enumerate() {
        let param = format!("messages[{at}].content");
        let content = said(message.get("content").unwrap_or(&Value::Null), &["text", "refusal"], &param)?;
        match text(message, "role") {
            "system" | "developer" if turns.is_empty() => {
                if !instructions.is_empty() {
                    instructions.push_str("\n\n");
                }
                instructions.push_str(&content);
            }
            // What other wires have no place for later on is said in the user's place.
            "system" | "developer" | "user" => turns.push(Turn::User { text: content }),
            "assistant" => {
                let mut calls = Vec::new();
                for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                    let function = call.get("function").ok_or_else(|| {
                        no(&format!("messages[{at}].tool_calls"), "expected calls of functions")
                    })?;
                    let (id, name) = (text(call, "id").to_owned(), text(function, "name").to_owned());
                    names.insert(id.clone(), name.clone());
                    calls.push(ToolCall { id, name, arguments: text(function, "arguments").to_owned() });
                }
                turns.push(Turn::Assistant(Assistant { text: content, calls, verbatim: None }));
            }
            "tool" => {
                let call = text(message, "tool_call_id").to_owned();
                let name = names.get(&call).cloned().unwrap_or_default();
                result(&mut turns, ToolResult { call, name, text: content, is_error: false });
            }
            other => return Err(no(&format!("messages[{at}].role"), format!("unknown role {other:?}"))),
        }
    }
    Ok((instructions, turns))
}

/// Results that follow each other belong to one turn.
pub(super) fn result(turns: &mut Vec<Turn>, result: ToolResult) {
    if let Some(Turn::Tools { results }) = turns.last_mut() {
        results.push(result);
    } else {
        turns.push(Turn::Tools { results: vec![result] });
    }
}

fn tool(tool: &Value) -> Result<ToolSpec, NotCarried> {
    let function = tool.get("function").filter(|_| text(tool, "type") == "function");
    let function = function.ok_or_else(|| {
        no(
            "tools",
            format!("a tool of type {:?} cannot be passed on to this model's provider", text(tool, "type")),
        )
    })?;
    Ok(spec(function))
}

pub(super) fn spec(function: &Value) -> ToolSpec {
    let schema = function.get("parameters").filter(|schema| schema.is_object());
    ToolSpec {
        name: text(function, "name").to_owned(),
        description: text(function, "description").to_owned(),
        schema: schema.map_or_else(cella_dialogue::Json::empty_object, json),
    }
}

fn choice(choice: Option<&Value>) -> Result<ToolChoice, NotCarried> {
    match choice {
        None | Some(Value::Null) => Ok(ToolChoice::Auto),
        Some(Value::String(word)) => word_of_choice(word),
        Some(named) => match named.get("function").map(|function| text(function, "name")) {
            Some(name) if !name.is_empty() => Ok(ToolChoice::Named(name.to_owned())),
            _ => Err(no("tool_choice", "expected auto, none, required or a function")),
        },
    }
}

pub(super) fn word_of_choice(word: &str) -> Result<ToolChoice, NotCarried> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(no("tool_choice", "expected auto, none, required or a function")),
    }
}

fn output(format: Option<&Value>) -> Result<Option<OutputSchema>, NotCarried> {
    let Some(format) = format.filter(|format| !format.is_null()) else { return Ok(None) };
    match (text(format, "type"), format.get("json_schema")) {
        ("text", _) => Ok(None),
        ("json_schema", Some(schema)) => Ok(Some(shape(schema))),
        (kind, _) => Err(no(
            "response_format",
            format!("the type {kind:?} cannot be passed on to this model's provider"),
        )),
    }
}

pub(super) fn shape(schema: &Value) -> OutputSchema {
    OutputSchema {
        name: text(schema, "name").to_owned(),
        schema: json(schema.get("schema").unwrap_or(&Value::Bool(true))),
    }
}
