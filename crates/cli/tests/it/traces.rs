//! Spans of calls at a collector, and calls that go on when there is none.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    time::Duration,
};

use cella_testkit::Collector;

use super::home::{Home, Node};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn up(home: &Home, endpoint: &str) -> Node {
    let mut command = home.command(&["up", "--json"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    Node::start(command)
}

/// One call by a client that carries a trace along.
fn traced_call(home: &Home) {
    let mut child = home
        .command(&["stdio", "--server", "time"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut ask = |text: String| {
        writeln!(to, "{text}").unwrap();
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        line
    };
    let hello =
        r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
    ask(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{hello}}}"#));
    let meta = format!(r#"{{"traceparent":"00-{TRACE}-{PARENT}-01"}}"#);
    let params = format!(r#"{{"name":"get_current_time","arguments":{{"timezone":"UTC"}},"_meta":{meta}}}"#);
    let answer = ask(format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{params}}}"#));
    assert!(answer.contains("day_of_week"), "{answer}");
    drop(to);
    child.wait().unwrap();
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_call_is_a_span_in_the_trace_of_its_caller() {
    let home = Home::with_config();
    let collector = Collector::answering("200 OK").unwrap();
    let _node = up(&home, &collector.url);
    traced_call(&home);
    let body = collector.next(Duration::from_secs(20)).expect("a batch").body;
    for part in [
        &b"tools/call get_current_time"[..],
        b"mcp.method.name",
        b"gen_ai.tool.name",
        b"execute_tool",
        b"mcp.protocol.version",
        b"jsonrpc.request.id",
        b"network.transport",
        b"unix",
        b"service.name",
        &bytes(TRACE),
        &bytes(PARENT),
    ] {
        assert!(holds(&body, part), "no {:?} in the batch", String::from_utf8_lossy(part));
    }
    assert!(!holds(&body, b"timezone"), "arguments stand in the span");
    let recorded = home.cella(&["log", "query", "--kind", "call.intended", "--json"]);
    assert!(recorded.out.contains(TRACE) && recorded.out.contains(PARENT), "{recorded:?}");
}

#[test]
fn the_last_spans_are_exported_when_the_node_ends() {
    let home = Home::with_config();
    let collector = Collector::answering("200 OK").unwrap();
    let mut command = home.command(&["up", "--json"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let node = Node::start(command);
    let refused = home.cella(&["call", "time", "get_current_time", "{\"timezone\":\"Nowhere\"}"]);
    assert_eq!(refused.status, 1);
    assert_eq!(node.stop(), 0);
    let body = collector.next(Duration::from_secs(20)).expect("the last batch").body;
    assert!(holds(&body, b"error.type") && holds(&body, b"tool_error"));
}

#[test]
fn a_collector_that_is_away_fails_no_call_and_delays_no_end() {
    let home = Home::with_config();
    let node = up(&home, "http://127.0.0.1:1");
    for _ in 0..3 {
        let run = home.cella(&["call", "time", "get_current_time", "{\"timezone\":\"UTC\"}"]);
        assert_eq!(run.status, 0, "{run:?}");
    }
    assert_eq!(node.stop(), 0);
}

#[test]
fn what_cannot_be_exported_as_asked_is_said_at_the_start() {
    let home = Home::with_config();
    let mut command = home.command(&["up"]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let run = super::home::Ended::of(&mut command);
    assert_eq!((run.status, run.code()), (1, "CE4115"), "{run:?}");
}
