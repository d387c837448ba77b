//! Is the ledger what was written, and is an exported file? Answered as JSON, with everything that is wrong.

use std::{
    fs::File,
    io::BufReader,
    path::Path,
    time::{Duration, Instant},
};

use cella_ledger::{Export, ExportError, FAULTS_LISTED, Fault, Report, verify_export};
use serde_json::{Value, json};

use super::History;
use crate::AskError;

/// How often a check that takes long says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How far a check is: events checked, and events there were when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Events checked.
    pub events: u64,
    /// Events there were when it began.
    pub of: u64,
}

impl History {
    /// Checks the whole chain and every payload that is kept. `progress` is told about once a second how far it is;
    /// returning false ends the check, and the answer says that it is not complete.
    #[must_use]
    pub fn verify(&self, mut progress: impl FnMut(Checked) -> bool) -> Value {
        // A head that cannot be read is a fault that the check itself names.
        let of = self.reader.head().map_or(0, |head| head.seq.0);
        let (mut told, mut complete) = (Instant::now(), true);
        let report = self.reader.verify(|seq| {
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                complete = progress(Checked { events: seq.0, of: of.max(seq.0) });
            }
            complete
        });
        answer(&report, complete)
    }

    /// Checks an exported file: every event, the chain, every payload that is there, and the end.
    ///
    /// # Errors
    /// The file cannot be read. What is wrong in it is part of the answer.
    pub fn verify_file(path: &Path) -> Result<Value, AskError> {
        let unread = |source| AskError::Given { path: path.to_path_buf(), source };
        let mut file = BufReader::new(File::open(path).map_err(unread)?);
        match verify_export(&mut file) {
            Ok(exported) => Ok(json!({
                "schema": "cella/v1",
                "ok": true,
                "complete": true,
                "events": exported.head.seq.0 - exported.after.seq.0,
                "payloads": exported.payloads,
                "head": exported.head.hash.to_string(),
                "seq": exported.head.seq.0,
                "after": { "seq": exported.after.seq.0, "hash": exported.after.hash.to_string() },
                "faults_found": 0,
                "faults": [],
                "proven": [
                    "no event of the file was altered, removed, added or moved, if its head is the one noted elsewhere",
                    "every payload in the file is the one its event commits to",
                ],
                "recorded": Report::RECORDED,
                "trusted": Report::TRUSTED,
            })),
            Err(ExportError::Io(source)) => Err(unread(source)),
            Err(error) => Ok(json!({
                "schema": "cella/v1",
                "ok": false,
                "complete": false,
                "faults_found": 1,
                "faults": [{ "what": error.to_string(), "code": error.code() }],
            })),
        }
    }

    /// Writes every event, with its payloads if wanted, in the exchange form (`spec/event-v1.md`, section 6).
    ///
    /// # Errors
    /// The ledger cannot be read or does not verify, or `out` cannot be written. What was written lacks its last line.
    pub fn export(&self, payloads: bool, mut out: &mut dyn std::io::Write) -> Result<(), AskError> {
        let (first, last) = (cella_event::Seq(1), cella_event::Seq(u64::MAX));
        self.reader.export(Export { first, last, payloads }, &mut out)?;
        Ok(())
    }
}

fn answer(report: &Report, complete: bool) -> Value {
    let head = report.head.unwrap_or(cella_event::Head::GENESIS);
    json!({
        "schema": "cella/v1",
        "ok": complete && report.is_sound(),
        "complete": complete,
        "events": report.events,
        "payloads": report.payloads_checked,
        "payloads_never_kept": report.payloads_never_kept,
        "payloads_deleted": report.payloads_deleted,
        "head": head.hash.to_string(),
        "seq": head.seq.0,
        "clock_stepped_back": report.time_steps_back,
        "faults_found": report.faults_found,
        "faults_listed_at_most": FAULTS_LISTED,
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
        "proven": Report::PROVEN,
        "recorded": Report::RECORDED,
        "trusted": Report::TRUSTED,
    })
}

fn fault(fault: &Fault) -> Value {
    let mut value = json!({ "seq": fault.place().0, "what": fault.to_string() });
    if let Some((expected, got)) = fault.contrast() {
        value["expected"] = json!(expected);
        value["got"] = json!(got);
    }
    value
}

#[cfg(test)]
mod tests;
