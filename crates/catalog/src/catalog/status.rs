//! The built-in resource that says how every server is doing. For models and their users: what only an operator may see
//! (process ids, all of stderr) is in the admin API. Of a server in trouble the last lines of stderr are shown, because
//! they say why; values that the launcher knows as secrets are masked by then ([`crate::Instance::stderr_tail`]).

use cella_mcp::{Object, Raw, raw_json};
use serde::Serialize;

use crate::{Problem, ServerStatus, Stage, Status};

/// Where it is read.
pub const STATUS_URI: &str = "cella://status";

/// Most lines of stderr that are shown of one server, and most characters of each. Stops a server that floods its stderr
/// from filling a model's context; the rest is cut.
const STDERR_LINES_MAX: usize = 10;
const STDERR_CHARS_MAX: usize = 300;

#[derive(Serialize)]
struct Line<'a> {
    server: &'a str,
    stage: Stage,
    status: Status,
    running: bool,
    tools: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a Problem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stderr: Vec<&'a str>,
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
            stderr: if well { Vec::new() } else { last_words(&server.stderr) },
            notes: &server.notes,
        }
    }
}

fn last_words(stderr: &[String]) -> Vec<&str> {
    let shown = stderr.iter().skip(stderr.len().saturating_sub(STDERR_LINES_MAX));
    shown
        .map(|line| line.char_indices().nth(STDERR_CHARS_MAX).map_or(&**line, |(end, _)| &line[..end]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_stderr_the_last_lines_are_shown_and_long_ones_cut() {
        let lines: Vec<String> = (0..30).map(|n| format!("{n}{}", "é".repeat(400))).collect();
        let shown = last_words(&lines);
        assert_eq!(shown.len(), STDERR_LINES_MAX);
        assert!(shown[0].starts_with("20é") && shown[9].chars().count() == STDERR_CHARS_MAX);
    }
}
