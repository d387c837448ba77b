//! Watching a run until it is over, paused, or waits for somebody who is not here.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::session::Session;
use crate::{
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt,
};

/// Characters of a line that passes.
const TAIL_CHARS: usize = 76;

pub(super) async fn watch(session: &Session, answer: &Value, printer: Printer) -> Outcome {
    let run = answer["run"].as_str().unwrap_or_default().to_owned();
    if answer["from"].is_string() {
        printer.note(format!("run {run}, forked from {}", answer["from"].as_str().unwrap_or_default()));
        for line in files(answer) {
            printer.note(line);
        }
    } else {
        printer.note(format!("run {run}"));
    }
    let path = format!("/api/v1/runs/{run}/follow?text=1");
    let response = session.reach.request("GET", &path, Bytes::new()).await?;
    let (mut body, mut rest) = (response.into_body(), Vec::new());
    let (mut last, mut said) = (Value::Null, String::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        rest.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let Ok(line) = serde_json::from_slice::<Value>(&line) else { continue };
            if let Some(text) = line["text"].as_str() {
                said.push_str(text);
                printer.passing(&tail(&said));
                continue;
            }
            if !said.is_empty() {
                said.clear();
                printer.passing("");
            }
            if line["fact"].is_object() {
                printer.note(sentence(&line["fact"]));
                continue;
            }
            if let Some(why) = line["broken"].as_str() {
                return Err(Stop::new(Code::Failed, codes::NODE_ENDED, why)
                    .fix(format!("the run has lost nothing; mend that, then: cella resume {run}")));
            }
            last = line["state"].clone();
            if let Some(outcome) = stands(session, &run, &last, printer).await? {
                return Ok(outcome);
            }
        }
    }
    if last["output"].is_string() {
        return Ok(ended(&last, printer));
    }
    Err(Stop::new(Code::Unavailable, codes::NOT_RUNNING, "the node has stopped; the run is as it was")
        .fix(format!("go on: cella resume {run}")))
}

/// The end of what a model is saying, as much as fits on a line.
fn tail(said: &str) -> String {
    let line = said.rsplit('\n').find(|line| !line.trim().is_empty()).unwrap_or_default();
    let from = line.char_indices().rev().nth(TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    line[from..].chars().filter(|c| !c.is_control()).collect()
}

/// What a fork has with it, server by server.
pub(super) fn files(answer: &Value) -> Vec<String> {
    if answer["without_files"] == true {
        return vec!["files: left behind; each server begins with those of the host".to_owned()];
    }
    let line = |one: &Value| {
        let server = one["server"].as_str().unwrap_or_default();
        let direct =
            if one["direct"] == true { "; what it may write on the host itself is not forked" } else { "" };
        match (one["shared"] == true, one["workspace"].as_str()) {
            (true, _) => format!(
                "files of {server}: not forked, it has no copies of the run's own (isolation = \"run\", mode = \"copy\")"
            ),
            (false, Some(workspace)) => format!("files of {server}: as in workspace {workspace}{direct}"),
            (false, None) => format!("files of {server}: as on the host{direct}"),
        }
    };
    answer["files"].as_array().into_iter().flatten().map(line).collect()
}

/// One fact for a person.
pub(super) fn sentence(fact: &Value) -> String {
    let kind = fact["kind"].as_str().unwrap_or_default();
    format!("{:>6}  {kind:<14} {}", fact["seq"].to_string(), fact["text"].as_str().unwrap_or_default())
}

/// What is to be done now that the run stands so; `Some`: the verb is over.
async fn stands(session: &Session, run: &str, state: &Value, printer: Printer) -> Result<Option<Code>, Stop> {
    match state["status"].as_str().unwrap_or_default() {
        "completed" | "failed" | "cancelled" => Ok(Some(ended(state, printer))),
        "paused" => {
            if printer.is_json() {
                printer.json(state);
            } else {
                printer.warn(format!("paused; mend it, then: cella resume {run}"));
            }
            Ok(Some(Code::Degraded))
        }
        "waiting" => {
            let asked = state["waiting"].as_array().cloned().unwrap_or_default();
            if prompt::is_possible()
                && !printer.is_json()
                && asked.iter().all(|call| call["for"] == "approval")
            {
                for call in &asked {
                    approve_or_not(session, run, call).await?;
                }
                return Ok(None);
            }
            waits(run, state, &asked, printer);
            Ok(Some(Code::TimedOut))
        }
        _ => Ok(None),
    }
}

async fn approve_or_not(session: &Session, run: &str, call: &Value) -> Result<(), Stop> {
    let text = |name: &str| call[name].as_str().unwrap_or_default();
    let question = format!("{}: {} {}\nMay it be made?", text("step"), text("tool"), text("arguments"));
    let agreed = tokio::task::spawn_blocking(move || prompt::confirm(&question)).await;
    let agreed = agreed.map_err(|fault| Stop::new(Code::Failed, codes::USAGE, fault))??;
    let order = if agreed { "approve" } else { "deny" };
    session.post(&format!("/{run}/{order}"), &json!({ "step": text("step") })).await?;
    Ok(())
}

fn waits(run: &str, state: &Value, asked: &[Value], printer: Printer) {
    if printer.is_json() {
        printer.json(state);
        return;
    }
    for call in asked {
        let text = |name: &str| call[name].as_str().unwrap_or_default();
        let step = text("step");
        printer.line(format!("{step} {} {}", text("tool"), text("arguments")));
        printer.note(if text("for") == "approval" {
            format!("   waits for approval: cella approve {run} {step}, or cella deny {run} {step}")
        } else {
            format!("   nobody knows whether it was done: cella resolve {run} {step} --happened, --did-not-happen or --give-up")
        });
    }
}

fn ended(state: &Value, printer: Printer) -> Code {
    let completed = state["status"] == "completed";
    if printer.is_json() {
        printer.json(state);
    } else if completed {
        printer.line(state["output"].as_str().unwrap_or_default());
    } else {
        let why = state["why"].as_str().unwrap_or("no reason given");
        let code = state["code"].as_str().map(|code| format!(" [{code}]")).unwrap_or_default();
        printer.warn(format!("{}: {why}{code}", state["status"].as_str().unwrap_or_default()));
    }
    if completed { Code::Ok } else { Code::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_is_said_fits_on_a_line() {
        assert_eq!(tail("one\ntwo"), "two");
        assert_eq!(tail("one\n\n"), "one");
        assert_eq!(tail(""), "");
        assert_eq!(tail("a\u{1b}[2Jb"), "a[2Jb");
        let long = format!("{}ä", "x".repeat(500));
        assert_eq!(tail(&long).chars().count(), TAIL_CHARS);
        assert!(tail(&long).ends_with('ä'));
    }
}
