//! The built-in resource that says how every server is doing. For models and their users: what only an operator may see
//! (process ids, stderr, which may hold secrets) is in the admin API.

use cella_mcp::{Object, Raw, raw_json};
use serde::Serialize;

use crate::{Problem, ServerStatus, Stage, Status};

/// Where it is read.
pub const STATUS_URI: &str = "cella://status";

#[derive(Serialize)]
struct Line<'a> {
    server: &'a str,
    stage: Stage,
    status: Status,
    running: bool,
    tools: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a Problem>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

/// Its entry in a list of resources.
pub(super) fn resource() -> Raw {
    let mut object = Object::empty();
    object.set_str("uri", STATUS_URI);
    object.set_str("name", "cella-status");
    object.set_str("title", "Status of the servers behind Cella");
    object.set_str(
        "description",
        "Which MCP servers are there, how they are doing, and what to do about those that fail.",
    );
    object.set_str("mimeType", "application/json");
    object.to_raw()
}

/// Its content, as the result of `resources/read`.
pub(super) fn read(servers: &[ServerStatus]) -> Raw {
    let lines: Vec<Line<'_>> = servers.iter().map(Line::of).collect();
    let mut content = Object::empty();
    content.set_str("uri", STATUS_URI);
    content.set_str("mimeType", "application/json");
    content.set_str("text", &serde_json::to_string_pretty(&lines).unwrap_or_default());
    let mut result = Object::empty();
    result.set_str("resultType", "complete");
    if let Ok(contents) = raw_json(format!("[{}]", content.to_raw().get())) {
        result.set("contents", &contents);
    }
    result.set_i64("ttlMs", 0);
    result.set_str("cacheScope", "private");
    result.to_raw()
}

impl<'a> Line<'a> {
    fn of(server: &'a ServerStatus) -> Self {
        let well = matches!(server.status, Status::Connected | Status::NotTested);
        Self {
            server: &server.name,
            stage: server.stage,
            status: server.status,
            running: server.running,
            tools: server.tools,
            last_error: server.last_error.as_ref().filter(|_| !well),
            notes: &server.notes,
        }
    }
}
