//! Why a call went as it did, in sentences, from its events alone.

use cella_event::{Event, Kind};
use cella_ledger::{Entry, Filter};
use serde_json::{Value, json};

use super::{History, call_id, event};
use crate::AskError;

/// Answers for a call id, or for the number of one of its events.
pub(super) fn answer(history: &History, asked: &str) -> Result<Value, AskError> {
    let call = match asked.parse::<u64>() {
        Ok(seq) => {
            let entry = history.reader.get(cella_event::Seq(seq))?;
            let entry = entry.ok_or_else(|| AskError::NoEvent(format!("there is no event {seq}")))?;
            entry.event.call.ok_or_else(|| AskError::NoEvent(format!("event {seq} belongs to no call")))?
        }
        Err(_) => call_id(asked)?,
    };
    let found = history.reader.query(&Filter { call: Some(call.clone()), ..Filter::default() })?;
    if found.entries.is_empty() {
        return Err(AskError::NoEvent(format!("there is no call `{call}`")));
    }
    let mut because: Vec<String> = found.entries.iter().filter_map(sentence).collect();
    because.extend(open_end(&found.entries));
    let events: Vec<Value> = found.entries.iter().map(event).collect();
    Ok(json!({ "schema": "cella/v1", "call": call.as_str(), "because": because, "events": events }))
}

fn sentence(entry: &Entry) -> Option<String> {
    let event = &entry.event;
    let seq = event.seq;
    let body = |key: &str| event.body.text(key).unwrap_or("?").to_owned();
    let who = event.principal.as_ref().map_or("somebody", |p| p.as_str());
    let took =
        event.body.int("took_us").map_or_else(String::new, |us| format!(" after {:.1} ms", us_to_ms(us)));
    Some(match event.kind {
        Kind::CallIntended => format!(
            "event {seq}: {who} asked for {} on {} ({}). The contract {} allowed it; it was treated as `{}`{}.",
            target(event),
            server(event),
            body("method"),
            short(&body("contract")),
            body("effect"),
            if event.body.text("idempotency_key").is_some() {
                ", and the intent was on disk before the call"
            } else {
                ""
            },
        ),
        Kind::CallRefused => format!(
            "event {seq}: {who} asked for {} on {}. It was refused before the server heard of it: {}. [{}]",
            target(event),
            server(event),
            body("rule"),
            body("code")
        ),
        Kind::CallAsked => {
            format!("event {seq}: the server asked the client for something ({}).", body("method"))
        }
        Kind::CallAnswered => format!(
            "event {seq}: the client answered{}.",
            if event.body.bool("ok") == Some(true) { "" } else { " with an error" }
        ),
        Kind::CallCompleted if event.body.bool("is_error") == Some(true) => {
            format!(
                "event {seq}: the tool ran and reported an error{took}. The text is in the payload `result`."
            )
        }
        Kind::CallCompleted => format!("event {seq}: the server answered{took}."),
        Kind::CallFailed => format!(
            "event {seq}: it failed{took}: {}",
            event.body.text("why").map_or_else(
                || format!(
                    "the server answered with error {}",
                    event.body.int("rpc_code").unwrap_or_default()
                ),
                str::to_owned
            )
        ),
        Kind::CallCancelled => format!(
            "event {seq}: the client gave the call up{took}; the server was told, and may have acted."
        ),
        _ => return None,
    })
}

/// An intent without an outcome: the node died, or the call still runs.
fn open_end(entries: &[Entry]) -> Option<String> {
    let over = entries.iter().any(|e| {
        matches!(
            e.event.kind,
            Kind::CallCompleted | Kind::CallFailed | Kind::CallCancelled | Kind::CallRefused
        )
    });
    (!over).then(|| {
        "There is no outcome: the call still runs, or the node ended before it came. It is in doubt."
            .to_owned()
    })
}

fn target(event: &Event) -> String {
    event.tool.as_ref().map_or_else(|| "something".to_owned(), |t| format!("`{}`", t.as_str()))
}

fn server(event: &Event) -> String {
    event.server.as_ref().map_or_else(|| "a server".to_owned(), |s| format!("`{}`", s.as_str()))
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn us_to_ms(us: i64) -> f64 {
    let us = i32::try_from(us).unwrap_or(i32::MAX);
    f64::from(us) / 1000.0
}
