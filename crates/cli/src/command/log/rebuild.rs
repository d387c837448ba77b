//! `cella log rebuild`: by the running node where there is one, else straight on the files.

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{Source, broke_off, source};
use crate::{
    args::{Global, Target},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target::Reach,
};

pub(super) async fn run(at: &Target, global: &Global, printer: Printer) -> Outcome {
    let answer = match source(at, global)? {
        Source::Node(reach) => by_node(&reach, printer).await?,
        Source::File(history) => history.rebuild(&mut |folded, of| show(folded, of, printer))?,
    };
    if printer.is_json() {
        printer.json(&answer);
        return Ok(Code::Ok);
    }
    for table in answer["tables"].as_array().into_iter().flatten() {
        let text = |key: &str| table[key].as_str().unwrap_or_default();
        let digest = text("digest").get(..16).unwrap_or_default();
        printer.line(format!("{:<10} {:>9} rows  {digest}", text("answers"), table["rows"].to_string()));
    }
    printer.done(format!("built again from {} events in {} ms", answer["events"], answer["took_ms"]));
    match answer["identical"].as_bool() {
        Some(true) => printer.note("  identical to the tables that were dropped"),
        Some(false) => printer.warn("the tables that were dropped had been changed by somebody"),
        None => {}
    }
    Ok(Code::Ok)
}

async fn by_node(reach: &Reach, printer: Printer) -> Result<Value, Stop> {
    let mut body = reach.request("POST", "/api/v1/log/rebuild", Bytes::new()).await?.into_body();
    let mut held = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| broke_off(&e))?;
        held.extend_from_slice(frame.data_ref().map_or(&[], |d| &d[..]));
        while let Some(end) = held.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            let line: Value = serde_json::from_slice(&line).map_err(|e| broke_off(&e))?;
            if let Some(folded) = line["folded"].as_u64() {
                show(folded, line["of"].as_u64().unwrap_or_default(), printer);
            } else if line["error"].is_object() {
                return Err(failed(&line["error"]));
            } else {
                return Ok(line);
            }
        }
    }
    Err(broke_off(&"no answer came"))
}

fn failed(error: &Value) -> Stop {
    let text = |key: &str| error[key].as_str();
    let stop = Stop::new(
        Code::Failed,
        text("code").unwrap_or(codes::BROKE_OFF),
        text("message").unwrap_or("the tables were not built"),
    );
    match text("fix") {
        Some(fix) => stop.fix(fix),
        None => stop,
    }
}

fn show(folded: u64, of: u64, printer: Printer) {
    printer.passing(&format!("  {folded} of {of} events"));
}
