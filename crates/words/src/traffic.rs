//! What a program of `cella exec` did outside of its cell, for the report.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use cella_node::confine::{Denial, Record, Sink, Verdict};
use serde_json::{Value, json};

/// Different refusals that are told apart. Stops a program that tries every port from growing this without end; past it
/// they are counted together.
const REFUSALS_APART: usize = 64;

/// Counts connections, and keeps what was refused.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    connections: u64,
    bytes_up: u64,
    bytes_down: u64,
    /// By secret, host and place: how often its value was put there.
    used: BTreeMap<(String, String, String), u64>,
    reflected: u64,
    /// By text: the denial and how often.
    refused: BTreeMap<String, (Denial, u64)>,
    refused_more: u64,
}

impl Sink for Traffic {
    fn told(&self, _cell: &str, record: &Record) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &record.verdict {
            Verdict::Opened { .. } => seen.connections += 1,
            Verdict::Closed { bytes_up, bytes_down, .. } => {
                seen.bytes_up += bytes_up;
                seen.bytes_down += bytes_down;
            }
            Verdict::Used { secret, place, .. } => {
                let host = record.subject.name.as_ref().map_or_else(String::new, ToString::to_string);
                *seen.used.entry((secret.clone(), host, place.clone())).or_default() += record.repeats;
            }
            Verdict::Reflected { times, .. } => seen.reflected += times,
            Verdict::Denied(denial) => seen.refuse(record, denial),
            _ => {}
        }
    }
}

impl Seen {
    fn refuse(&mut self, record: &Record, denial: &Denial) {
        let text = match record.subject.destination {
            Some(to) if record.subject.name.is_none() => format!("{to}: {denial}"),
            _ => denial.to_string(),
        };
        let room = self.refused.len() < REFUSALS_APART;
        match self.refused.get_mut(&text) {
            Some((_, times)) => *times += record.repeats,
            None if room => drop(self.refused.insert(text, (denial.clone(), record.repeats))),
            None => self.refused_more += record.repeats,
        }
    }
}

impl Traffic {
    /// In words.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        if seen.connections > 0 {
            lines.push(format!(
                "  egress    {} connections, {} bytes up, {} bytes down",
                seen.connections, seen.bytes_up, seen.bytes_down
            ));
        }
        for ((secret, host, place), times) in &seen.used {
            lines.push(format!("  secret    {secret} towards {host}, in {place} ({times} times)"));
        }
        if seen.reflected > 0 {
            lines.push(format!("  secret    taken out of answers ({} times)", seen.reflected));
        }
        for (text, (denial, times)) in &seen.refused {
            lines.push(format!(
                "  refused   {text} ({times} times) [{}]\n            fix: {}",
                denial.code(),
                denial.fix()
            ));
        }
        if seen.refused_more > 0 {
            lines.push(format!("  refused   {} more", seen.refused_more));
        }
        lines
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused: Vec<Value> = seen
            .refused
            .iter()
            .map(|(text, (denial, times))| {
                json!({ "code": denial.code(), "why": text, "fix": denial.fix(), "times": times })
            })
            .collect();
        let used: Vec<Value> = seen
            .used
            .iter()
            .map(|((secret, host, place), times)| {
                json!({ "secret": secret, "host": host, "place": place, "times": times })
            })
            .collect();
        json!({
            "secrets_used": used,
            "secrets_taken_out": seen.reflected,
            "connections": seen.connections,
            "bytes_up": seen.bytes_up,
            "bytes_down": seen.bytes_down,
            "refused": refused,
            "refused_more": seen.refused_more,
        })
    }
}
