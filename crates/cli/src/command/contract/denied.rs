//! What a server's cell was refused, and what would allow it.

use cella_node::{
    Loaded,
    observe::{Refused, denied},
};
use serde_json::{Value, json};

use crate::{
    args::{Global, Target},
    codes,
    command::log,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

/// Newest refusals that are counted. The ledger answers no longer question.
const EVENTS_MAX: u64 = 10_000;
/// How far back is lately.
const LATELY_HOURS: i64 = 7 * 24;

pub(super) async fn run(server: &str, loaded: &Option<Loaded>, global: &Global, printer: Printer) -> Outcome {
    if !loaded.as_ref().is_some_and(|loaded| loaded.config.servers.contains_key(server)) {
        return Err(Stop::new(Code::Config, codes::SERVER_NAME, format!("there is no server `{server}`"))
            .fix("see which there are: cella ls"));
    }
    let found = denied(&events(server, global).await?);
    if printer.is_json() {
        let denied: Vec<Value> = found.iter().map(|refused| as_json(server, refused)).collect();
        printer.json(&json!({ "schema": "cella/v1", "server": server, "denied": denied }));
    } else if found.is_empty() {
        printer.line(format!("the cell of {server} was refused nothing"));
        let unseen = loaded.as_ref().and_then(|loaded| loaded.servers.get(server));
        if unseen.is_some_and(|served| served.contract.egress.is_empty()) {
            printer.note("its contract grants no host: what it tries in vain is refused by the kernel and on no record");
        }
    } else {
        found.iter().for_each(|refused| show(server, refused, printer));
    }
    Ok(Code::Ok)
}

/// What was refused in the last days; nothing where there is no ledger yet.
pub(super) async fn lately(server: &str, global: &Global) -> Vec<Refused> {
    let mut events = events(server, global).await.unwrap_or_default();
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(LATELY_HOURS);
    let recent = |event: &Value| event["at"].as_str()?.parse::<jiff::Timestamp>().ok();
    events.retain(|event| recent(event).is_some_and(|at| at >= since));
    denied(&events)
}

async fn events(server: &str, global: &Global) -> Result<Vec<Value>, Stop> {
    let question = format!("query?n={EVENTS_MAX}&kind=cell.denied&server={}", log::escape(server));
    let mut answer = log::ask(&Target::default(), global, &question).await?;
    Ok(answer["events"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// One refusal and its remedy.
pub(super) fn show(server: &str, refused: &Refused, printer: Printer) {
    let since = refused.first.get(..10).unwrap_or(&refused.first);
    let times = if refused.times == 1 { "once".to_owned() } else { format!("{} times", refused.times) };
    printer.line(format!(
        "since {since} it tried {} {times} [{}]: {}",
        what(refused),
        refused.code,
        refused.why
    ));
    if let Some(fix) = fix(server, refused) {
        printer.line(format!("    if it is meant: {fix}"));
    }
}

fn what(refused: &Refused) -> String {
    let host = refused.host.as_deref().unwrap_or("something that has no name");
    refused.port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn fix(server: &str, refused: &Refused) -> Option<String> {
    refused.grant().map(|grant| format!("cella contract allow {server} {grant}"))
}

pub(super) fn as_json(server: &str, refused: &Refused) -> Value {
    json!({
        "host": refused.host,
        "port": refused.port,
        "code": refused.code,
        "why": refused.why,
        "times": refused.times,
        "first": refused.first,
        "last": refused.last,
        "grant": refused.grant(),
        "fix": fix(server, refused),
    })
}
