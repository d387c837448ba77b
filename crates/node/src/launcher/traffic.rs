//! What a server's cell does outside becomes events: one before a connection is made, one at its end, one for each refusal.

use std::time::Duration;

use cella_egress::{Denial, Ending, Record, Subject, Verdict};
use cella_event::{Draft, Int, Kind, Label, Map};

use crate::{confine::Sink, record::Recorder};

/// Writes the traffic of one server's cell into the ledger.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) recorder: Recorder,
    pub(super) server: Label,
}

impl Sink for Traffic {
    fn told(&self, cell: &str, record: &Record) {
        self.recorder.note_soon(draft(cell, record).server(self.server.clone()));
    }
}

fn draft(cell: &str, record: &Record) -> Draft {
    let body = subject(Map::new().with("cell", cell.to_owned()), &record.subject);
    match &record.verdict {
        Verdict::Opened { connection } => {
            Draft::new(Kind::CellConnected).body(body.with("connection", Int::saturating(*connection)))
        }
        Verdict::Closed { connection, ending, bytes_up, bytes_down, duration } => {
            let body = body
                .with("connection", Int::saturating(*connection))
                .with("bytes_up", Int::saturating(*bytes_up))
                .with("bytes_down", Int::saturating(*bytes_down))
                .with("took_us", micros(*duration));
            Draft::new(Kind::CellDisconnected).body(ended(body, ending))
        }
        Verdict::Denied(denial) => {
            let body = refused(body, denial).with("times", Int::saturating(record.repeats));
            Draft::new(Kind::CellDenied).body(body)
        }
        Verdict::Used { connection, secret, place, method, path } => {
            let body = body
                .with("connection", Int::saturating(*connection))
                .with("secret", secret.clone())
                .with("place", place.clone())
                .with("method", method.clone())
                .with("path", path.clone());
            Draft::new(Kind::CellSecretUsed).body(body)
        }
        Verdict::Reflected { connection, times } => {
            let body =
                body.with("connection", Int::saturating(*connection)).with("times", Int::saturating(*times));
            Draft::new(Kind::CellSecretReflected).body(body)
        }
        // a verdict of a later version of the broker still has its place in the record
        other => Draft::new(Kind::CellDenied).body(body.with("what", format!("{other:?}"))),
    }
}

fn subject(body: Map, subject: &Subject) -> Map {
    let Subject { name, destination, resolved } = subject;
    let mut body = body;
    if let Some(name) = name {
        body = body.with("host", name.to_string());
    }
    if let Some(destination) = destination {
        body = body.with("to", destination.to_string());
    }
    match resolved {
        Some(resolved) => body.with("address", resolved.to_string()),
        None => body,
    }
}

fn ended(body: Map, ending: &Ending) -> Map {
    match ending {
        Ending::Finished => body.with("how", "finished"),
        Ending::Unreachable { cause } => body.with("how", "unreachable").with("why", cause.clone()),
        Ending::Broken => body.with("how", "broken off"),
        Ending::Idle => body.with("how", "idle for too long"),
        Ending::Denied(denial) => refused(body.with("how", "refused"), denial),
        Ending::CellEnded => body.with("how", "the cell ended"),
        other => body.with("how", format!("{other:?}")),
    }
}

fn refused(body: Map, denial: &Denial) -> Map {
    body.with("code", denial.code()).with("why", denial.to_string())
}

fn micros(time: Duration) -> Int {
    Int::saturating(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
