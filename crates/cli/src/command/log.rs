//! `cella log`: reading the ledger, of a running node or straight from its file.

mod export;
mod rebuild;
mod verify;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;

use crate::{
    args::{Global, LogQuery, LogVerb, Target},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target::{self, Reach},
};

/// Where events are read from.
enum Source {
    /// A running node.
    Node(Reach),
    /// The file: works while no node runs.
    File(cella_history::History),
}

pub(crate) async fn run(what: LogVerb, global: &Global, printer: Printer) -> Outcome {
    match what {
        LogVerb::Tail { lines, follow: true, target } => follow(lines, &target, global, printer).await,
        LogVerb::Tail { lines, follow: false, target } => {
            let answer = ask(&target, global, &format!("tail?n={lines}")).await?;
            events(&answer, printer)
        }
        LogVerb::Show { seq, target } => {
            let answer = ask(&target, global, &format!("events/{seq}")).await?;
            show(&answer, printer)
        }
        LogVerb::Query(query) => {
            let answer = ask(&query.target, global, &question(&query)).await?;
            if answer["events"].as_array().is_some_and(Vec::is_empty) {
                printer.note("no events match");
            }
            events(&answer, printer)
        }
        LogVerb::Verify { file, target } => verify::run(file, &target, global, printer).await,
        LogVerb::Export { output, payloads, target } => export::run(output, payloads, &target, global).await,
        LogVerb::Why { call, target } => {
            let answer = ask(&target, global, &format!("why/{}", escape(&call))).await?;
            why(&answer, printer)
        }
        LogVerb::Rebuild { target } => rebuild::run(&target, global, printer).await,
    }
}

/// One event on one line.
pub(crate) fn line(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let mut line = format!("{:>6}  {}  {:<16}", event["seq"].to_string(), text("at"), text("kind"));
    for key in ["server", "tool"] {
        if !text(key).is_empty() {
            line.push_str(if key == "tool" { "." } else { " " });
            line.push_str(text(key));
        }
    }
    for (key, value) in event["body"].as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value: String = value.chars().take(60).collect();
        line.push_str(&format!("  {key}={value}"));
    }
    line
}

fn source(at: &Target, global: &Global) -> Result<Source, Stop> {
    if let Some(reach) = target::running(global, at)? {
        return Ok(Source::Node(reach));
    }
    let places = target::places(global);
    let history = places.history().map_err(Stop::from)?;
    Ok(Source::File(history))
}

pub(super) async fn ask(at: &Target, global: &Global, question: &str) -> Result<Value, Stop> {
    match source(at, global)? {
        Source::Node(reach) => reach.get(&format!("/api/v1/log/{question}")).await,
        Source::File(history) => history.answer(question).await.map_err(Stop::from),
    }
}

fn events(answer: &Value, printer: Printer) -> Outcome {
    if printer.is_json() {
        printer.json(answer);
    } else {
        for event in answer["events"].as_array().into_iter().flatten() {
            printer.line(line(event));
        }
    }
    Ok(Code::Ok)
}

fn show(answer: &Value, printer: Printer) -> Outcome {
    if printer.is_json() {
        printer.json(answer);
        return Ok(Code::Ok);
    }
    printer.line(serde_json::to_string_pretty(&answer["event"]).unwrap_or_default());
    for (name, payload) in answer["payloads"].as_object().into_iter().flatten() {
        printer.line(format!("\n{name}:"));
        printer.line(payload["text"].as_str().or(payload["missing"].as_str()).unwrap_or_default());
    }
    Ok(Code::Ok)
}

fn why(answer: &Value, printer: Printer) -> Outcome {
    if printer.is_json() {
        printer.json(answer);
        return Ok(Code::Ok);
    }
    for sentence in answer["because"].as_array().into_iter().flatten() {
        printer.line(sentence.as_str().unwrap_or_default());
    }
    Ok(Code::Ok)
}

async fn follow(lines: u64, at: &Target, global: &Global, printer: Printer) -> Outcome {
    let reach = target::must_run(global, at)?;
    let answer = reach.request("GET", &format!("/api/v1/log/follow?n={lines}"), Bytes::new()).await?;
    let (mut body, mut rest) = (answer.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        rest.extend_from_slice(frame.data_ref().map_or(&[], |d| &d[..]));
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let text: Vec<u8> = rest.drain(..=end).collect();
            let Ok(event) = serde_json::from_slice::<Value>(&text) else { continue };
            printer.line(if printer.is_json() { event.to_string() } else { line(&event) });
        }
    }
    Err(Stop::new(Code::Unavailable, codes::NOT_RUNNING, "the node has stopped").fix("start it: cella up"))
}

fn broke_off(e: &dyn std::fmt::Display) -> Stop {
    Stop::new(Code::Unavailable, codes::BROKE_OFF, format!("the answer broke off: {e}"))
        .fix("see whether the node still runs: cella status")
}

fn question(query: &LogQuery) -> String {
    let mut parts = vec![format!("n={}", query.limit)];
    parts.extend(query.kind.iter().map(|k| format!("kind={}", escape(k))));
    let fields = [("server", &query.server), ("tool", &query.tool), ("principal", &query.principal)];
    parts.extend(fields.iter().filter_map(|(key, value)| Some(format!("{key}={}", escape(value.as_ref()?)))));
    format!("query?{}", parts.join("&"))
}

/// Percent-encoding of everything that could mean something in a URL.
pub(super) fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
