//! The smallest MCP server of both eras: one tool that returns its argument. What it does per call is next to nothing,
//! so what is measured around it is transport.

use std::{borrow::Cow, fmt::Write};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::MODERN;

/// What a request needs to be answered.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// What to send back.
#[derive(Debug)]
pub enum Answer {
    /// A response.
    Reply(String),
    /// The response to `initialize`: a session begins.
    Session(String),
    /// Nothing: it was a notification.
    Nothing,
}

/// A server with so many tools, all of which echo.
#[derive(Clone, Debug)]
pub struct Echo {
    tools: String,
}

impl Echo {
    /// `tools` definitions are written once, up front.
    #[must_use]
    pub fn new(tools: u16) -> Self {
        let mut list = String::new();
        for n in 0..tools {
            let comma = if n == 0 { "" } else { "," };
            let name = if n == 0 { "echo".to_owned() } else { format!("echo_{n}") };
            let _infallible = write!(
                list,
                "{comma}{{\"name\":\"{name}\",\"description\":\"Returns the text it is given, unchanged and at once.\",\
                 \"inputSchema\":{{\"type\":\"object\",\"properties\":{{\"text\":{{\"type\":\"string\"}}}},\"required\":[\"text\"]}}}}"
            );
        }
        Self { tools: list }
    }

    /// Answers one message.
    #[must_use]
    pub fn answer(&self, body: &[u8]) -> Answer {
        let Ok(request) = serde_json::from_slice::<Incoming<'_>>(body) else {
            return Answer::Reply(error("null", -32700, "Parse error"));
        };
        let (Some(id), Some(method)) = (request.id.map(RawValue::get), request.method.as_deref()) else {
            return Answer::Nothing;
        };
        let params = request.params.map_or("{}", RawValue::get);
        let modern = params.contains("io.modelcontextprotocol/protocolVersion");
        let complete = if modern { "\"resultType\":\"complete\"," } else { "" };
        let cached = if modern { ",\"ttlMs\":600000,\"cacheScope\":\"public\"" } else { "" };
        match method {
            "tools/call" => {
                let text = serde_json::from_str::<CallParams<'_>>(params).ok();
                let text = text.and_then(|p| p.arguments).and_then(|a| a.text).map_or("\"\"", RawValue::get);
                Answer::Reply(result(
                    id,
                    &format!("{complete}\"content\":[{{\"type\":\"text\",\"text\":{text}}}]"),
                ))
            }
            "tools/list" => {
                Answer::Reply(result(id, &format!("{complete}\"tools\":[{}]{cached}", self.tools)))
            }
            "server/discover" if modern => Answer::Reply(result(
                id,
                &format!(
                    "{complete}\"supportedVersions\":[\"{MODERN}\"],\"capabilities\":{{\"tools\":{{}}}},\
                     \"serverInfo\":{{\"name\":\"echo\",\"version\":\"1\"}}{cached}"
                ),
            )),
            "initialize" => Answer::Session(result(
                id,
                &format!(
                    "\"protocolVersion\":\"{}\",\"capabilities\":{{\"tools\":{{}}}},\
                     \"serverInfo\":{{\"name\":\"echo\",\"version\":\"1\"}}",
                    crate::wire::LEGACY
                ),
            )),
            "ping" => Answer::Reply(result(id, "")),
            _ => Answer::Reply(error(id, -32601, "Method not found")),
        }
    }
}

fn result(id: &str, members: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{{members}}}}}")
}

fn error(id: &str, code: i32, message: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":\"{message}\"}}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> String {
        match Echo::new(2).answer(body.as_bytes()) {
            Answer::Reply(text) | Answer::Session(text) => text,
            Answer::Nothing => String::new(),
        }
    }

    #[test]
    fn a_call_returns_its_text_as_written() {
        let text = reply(
            r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo","arguments":{"text":"\u00e9"}}}"#,
        );
        assert_eq!(
            text,
            r#"{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"\u00e9"}]}}"#
        );
    }

    #[test]
    fn a_notification_gets_no_answer() {
        assert_eq!(reply(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), "");
    }

    #[test]
    fn a_list_is_valid_json() {
        let list: serde_json::Value =
            serde_json::from_str(&reply(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)).expect("JSON");
        assert_eq!(list["result"]["tools"].as_array().map(Vec::len), Some(2));
    }
}
