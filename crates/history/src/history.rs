//! Questions about the ledger, answered as JSON: for the admin door and for `cella log` without a node.

mod rebuild;
mod verify;
mod why;

use std::path::{Path, PathBuf};

use cella_event::{CallId, Kind, Label, Micros, Seq};
use cella_ledger::{Entry, Filter, Reader, StoredPayload};
use serde_json::{Value, json};

pub use self::verify::Checked;
use crate::AskError;

/// Events a question may return at most. Stops one question from filling memory; export has no such limit.
const ANSWER_EVENTS_MAX: u64 = 10_000;

/// Payload bytes shown of one event; past it the text is cut and says so.
const PAYLOAD_SHOWN_BYTES: usize = 256 * 1024;

/// Likeness from which on a kind counts as a slip of the fingers.
const KIND_SLIP: f64 = 0.6;

/// Reads one ledger.
#[derive(Clone, Debug)]
pub struct History {
    reader: Reader,
    /// Where the ledger and its projections are.
    dir: PathBuf,
}

// === impl History ===

impl History {
    /// Over the ledger in `dir`, which `reader` reads.
    #[must_use]
    pub fn new(dir: PathBuf, reader: Reader) -> Self {
        Self { reader, dir }
    }

    /// Opens the ledger in that directory, whether a node writes it or not.
    ///
    /// # Errors
    /// There is no ledger, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, AskError> {
        let dir = dir.to_path_buf();
        if !dir.is_dir() {
            return Err(AskError::NoLedger { path: dir });
        }
        Ok(Self { reader: Reader::open(&dir)?, dir })
    }

    /// Its ledger, for those who ask otherwise.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Answers `tail?n=20`, `events/7`, `query?kind=call.refused&n=100`, `verify`, `why/CALL`.
    ///
    /// # Errors
    /// The question is none, or the ledger cannot be read.
    pub async fn answer(&self, question: &str) -> Result<Value, AskError> {
        let (history, question) = (self.clone(), question.to_owned());
        let answered = tokio::task::spawn_blocking(move || history.answer_now(&question)).await;
        answered.unwrap_or_else(|e| Err(AskError::Question(format!("the question was not answered: {e}"))))
    }

    fn answer_now(&self, question: &str) -> Result<Value, AskError> {
        let (what, query) = question.split_once('?').map_or((question, None), |(w, q)| (w, Some(q)));
        match what.split_once('/').unwrap_or((what, "")) {
            ("tail", "") => self.tail(number(query, "n").unwrap_or(20)),
            ("events", seq) => self.show(seq),
            ("query", "") => self.query(query),
            ("verify", "") => Ok(self.verify(|_| true)),
            ("why", call) => why::answer(self, &decoded(call)),
            _ => Err(AskError::Question(format!("`{what}` is no question about the ledger"))),
        }
    }

    fn tail(&self, count: u64) -> Result<Value, AskError> {
        let head = self.reader.head()?.seq.0;
        let first = Seq(head.saturating_sub(count.min(ANSWER_EVENTS_MAX)) + 1);
        let events = self
            .reader
            .range(first, Seq(head))
            .map(|e| e.map(|e| event(&e)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(json!({ "schema": "cella/v1", "events": events, "head": head }))
    }

    fn show(&self, seq: &str) -> Result<Value, AskError> {
        let wrong = || AskError::NoEvent(format!("there is no event `{seq}`"));
        let number: u64 = seq.parse().map_err(|_| wrong())?;
        let entry = self.reader.get(Seq(number))?.ok_or_else(wrong)?;
        Ok(json!({
            "schema": "cella/v1",
            "event": event(&entry),
            "payloads": self.payloads(&entry, PAYLOAD_SHOWN_BYTES),
        }))
    }

    fn query(&self, query: Option<&str>) -> Result<Value, AskError> {
        let mut filter = Filter { newest_first: false, ..Filter::default() };
        let limit = number(query, "n").unwrap_or(100).min(ANSWER_EVENTS_MAX);
        filter.limit = Some(usize::try_from(limit).unwrap_or(usize::MAX));
        filter.newest_first = true;
        for (key, value) in pairs(query) {
            let label = || Label::new(value.as_str()).map_err(|e| AskError::Question(format!("{key}: {e}")));
            match key {
                "n" => {}
                "kind" => {
                    let kind = Kind::parse(&value).map_err(|_| no_kind(&value))?;
                    filter.kinds.push(kind);
                }
                "server" => filter.server = Some(label()?),
                "tool" => filter.tool = Some(label()?),
                "principal" => filter.principal = Some(label()?),
                "call" => filter.call = Some(call_id(&value)?),
                other => return Err(AskError::Question(format!("`{other}` cannot be asked for"))),
            }
        }
        let found = self.reader.query(&filter)?;
        // A kind that this version does not know may be one of a later version; if it never happened, it is a slip.
        let unknown = filter.kinds.iter().find(|kind| matches!(kind, Kind::Other(_)));
        if let Some(kind) = unknown.filter(|_| found.entries.is_empty()) {
            return Err(no_kind(kind.as_str()));
        }
        let events: Vec<Value> = found.entries.iter().rev().map(event).collect();
        Ok(json!({ "schema": "cella/v1", "events": events, "more": found.more }))
    }

    fn payloads(&self, entry: &Entry, most: usize) -> Value {
        let shown = entry.event.payloads.iter().map(|payload| {
            let name = payload.name.as_str().to_owned();
            let value = match self.reader.payload(entry.event.seq, &name) {
                Ok(StoredPayload::Kept { salt, bytes }) => {
                    let cut = bytes.len().min(most);
                    let salt: String = salt.iter().map(|b| format!("{b:02x}")).collect();
                    json!({ "text": String::from_utf8_lossy(&bytes[..cut]), "bytes": bytes.len(), "cut": cut < bytes.len(), "salt": salt })
                }
                Ok(StoredPayload::DigestOnly { .. }) => json!({ "missing": "only the digest was kept, by policy" }),
                Ok(_) => json!({ "missing": "deleted on purpose; the digest stays" }),
                Err(error) => json!({ "missing": error.to_string() }),
            };
            (name, value)
        });
        Value::Object(shown.collect())
    }
}

/// An event for people and scripts: its canonical members, its hash, and its time in RFC 3339.
#[must_use]
pub fn event(entry: &Entry) -> Value {
    let mut value = canonical(entry);
    value["at"] = json!(at(entry.event.time));
    value["hash"] = json!(entry.hash.to_string());
    value
}

/// The number under a key of a query string.
#[must_use]
pub fn number(query: Option<&str>, key: &str) -> Option<u64> {
    pairs(query).find(|(k, _)| *k == key)?.1.parse().ok()
}

fn canonical(entry: &Entry) -> Value {
    serde_json::from_slice(&entry.canonical).unwrap_or_default()
}

fn at(time: Micros) -> String {
    jiff::Timestamp::from_microsecond(time.0).map_or_else(|_| time.0.to_string(), |t| t.to_string())
}

fn no_kind(asked: &str) -> AskError {
    let near = Kind::KNOWN
        .iter()
        .map(|kind| (strsim::normalized_damerau_levenshtein(asked, kind.as_str()), kind.as_str()))
        .filter(|(likeness, _)| *likeness >= KIND_SLIP)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name);
    AskError::NoKind { asked: asked.to_owned(), near }
}

fn call_id(text: &str) -> Result<CallId, AskError> {
    CallId::new(text).map_err(|e| AskError::Question(format!("`{text}` is no call: {e}")))
}

fn pairs<'a>(query: Option<&'a str>) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    let parts = query.unwrap_or_default().split('&').filter(|p| !p.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(key, value)| (key, decoded(value)))
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let byte = hex.and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
