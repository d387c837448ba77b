//! `cella log verify`: is the ledger, or an exported file, what was written?

use std::path::PathBuf;

use bytes::Bytes;
use cella_history::{Checked, History};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{Source, source};
use crate::{
    args::{Global, Target},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target::Reach,
};

pub(super) async fn run(file: Option<PathBuf>, at: &Target, global: &Global, printer: Printer) -> Outcome {
    let report = match file {
        Some(file) => blocking(move || History::verify_file(&file)).await??,
        None => match source(at, global)? {
            Source::Node(reach) => of_node(&reach, printer).await?,
            Source::File(history) => blocking(move || history.verify(|at| told(at, printer))).await?,
        },
    };
    let good = report["ok"] == true;
    if printer.is_json() {
        printer.json(&report);
    } else {
        print(&report, good, printer);
    }
    Ok(if good { Code::Ok } else { Code::Failed })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Stop::new(Code::Failed, codes::BROKE_OFF, format!("the check broke off: {e}")))
}

/// The node checks its own ledger: it knows what it acknowledged. Its answer comes after lines that say how far it is.
async fn of_node(reach: &Reach, printer: Printer) -> Result<Value, Stop> {
    let answer = reach.request("GET", "/api/v1/log/verify?progress=1", Bytes::new()).await?;
    let (mut body, mut held) = (answer.into_body(), Vec::new());
    let broken = |what: &dyn std::fmt::Display| {
        Stop::new(Code::Unavailable, codes::BROKE_OFF, format!("the check broke off: {what}"))
            .fix("see whether the node still runs: cella status")
    };
    let mut last = None;
    while let Some(frame) = body.frame().await {
        held.extend_from_slice(frame.map_err(|e| broken(&e))?.data_ref().map_or(&[], |d| &d[..]));
        while let Some(end) = held.iter().position(|b| *b == b'\n') {
            let text: Vec<u8> = held.drain(..=end).collect();
            let value: Value = serde_json::from_slice(&text).map_err(|e| broken(&e))?;
            let progress = &value["progress"];
            match (progress["events"].as_u64(), progress["of"].as_u64()) {
                (Some(events), Some(of)) => _ = told(Checked { events, of }, printer),
                _ => last = Some(value),
            }
        }
    }
    last.ok_or_else(|| broken(&"the node has stopped"))
}

fn told(Checked { events, of }: Checked, printer: Printer) -> bool {
    printer.note(format!("  {events} of {of} events checked"));
    true
}

fn print(report: &Value, good: bool, printer: Printer) {
    if good {
        let head = report["head"].as_str().unwrap_or("-");
        printer
            .line(format!("ok: {} events, {} payloads, head {head}", report["events"], report["payloads"]));
        if report["after"]["seq"].as_u64().is_some_and(|seq| seq > 0) {
            let (seq, hash) = (&report["after"]["seq"], report["after"]["hash"].as_str().unwrap_or("-"));
            printer.line(format!("the file begins after event {seq}, whose hash must be {hash}"));
        }
        for word in ["proven", "recorded", "trusted"] {
            for claim in report[word].as_array().into_iter().flatten() {
                printer.line(format!("{word}: {}", claim.as_str().unwrap_or_default()));
            }
        }
        return;
    }
    let faults = report["faults"].as_array().map_or(&[][..], Vec::as_slice);
    for fault in faults {
        printer.line(fault["what"].as_str().unwrap_or_default());
    }
    let found = report["faults_found"].as_u64().unwrap_or_default();
    let unlisted = found.saturating_sub(faults.len() as u64);
    if unlisted > 0 {
        printer.line(format!("and {unlisted} more"));
    }
    printer.line(match (found, report["complete"] == true) {
        (0, _) => "NOT checked to the end".to_owned(),
        (_, true) => "NOT ok: this is not what was written".to_owned(),
        (_, false) => "NOT ok: this is not what was written; what follows was not checked".to_owned(),
    });
}
