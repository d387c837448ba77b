//! Runs as JSON.

use cella_event::{Event, Kind, RunId};
use cella_kernel::{Fact, State, Status};
use cella_ledger::{Filter, Reader};
use cella_luggage::{At, Packed};
use cella_pursuit::{LoadError, known_runs, load, state};
use serde_json::{Value, json};

use crate::told::{Teller, clipped};

/// Runs that one list shows. Stops a list over years from being folded whole; the newest are shown, and that there are more is said.
pub const RUNS_LISTED: usize = 100;

/// Who wants a run: whoever began it, or forked it. Blocking.
pub(crate) fn owner(reader: &Reader, run: &RunId) -> Option<String> {
    let kinds = vec![Kind::RunStarted, Kind::RunForked];
    let filter = Filter { kinds, run: Some(run.clone()), limit: Some(1), ..Filter::default() };
    let first = reader.query(&filter).ok()?.entries.into_iter().next()?;
    first.event.principal.as_ref().map(|principal| principal.as_str().to_owned())
}

/// The newest runs. Blocking.
///
/// # Errors
/// [`LoadError::Read`]. A run that cannot be read stands in the list with the reason.
pub fn list(reader: &Reader, active: impl Fn(&RunId) -> bool) -> Result<Value, LoadError> {
    let known = known_runs(reader, RUNS_LISTED + 1)?;
    let more = known.len() > RUNS_LISTED;
    let runs = known.iter().take(RUNS_LISTED).map(|(run, first)| match state(reader, run, None) {
        Ok(state) => summary(&state, first, active(run)),
        Err(error) => json!({ "run": run.as_str(), "status": "unreadable", "why": error.to_string() }),
    });
    Ok(json!({ "schema": "cella/v1", "runs": runs.collect::<Vec<_>>(), "more": more }))
}

/// One run with its facts. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn show(reader: &Reader, run: &RunId, active: bool) -> Result<Value, LoadError> {
    let facts = load(reader, run)?;
    let state = state(reader, run, None)?;
    let mut value = whole(&state, active);
    value["facts"] = told(&facts).into();
    let kept = cella_luggage::checkpoints(reader, run)?;
    if !kept.is_empty() {
        value["checkpoints"] = kept.into();
    }
    let left = cella_luggage::not_forked(reader, run)?;
    if !left.is_empty() {
        value["not_forked"] = left.into();
    }
    Ok(value)
}

/// Where a run stands, without its facts.
#[must_use]
pub fn whole(state: &State, active: bool) -> Value {
    let counts = state.counts();
    let waiting = state.waiting().map(|w| {
        json!({
            "step": w.step.to_string(),
            "tool": w.tool,
            "arguments": w.arguments,
            "for": if w.in_doubt { "doubt" } else { "approval" },
        })
    });
    let mut value = json!({
        "schema": "cella/v1",
        "run": state.run().as_str(),
        "agent": state.agent().name,
        "task": state.task(),
        "status": status(state, active),
        "last": state.last().0,
        "turns": counts.turns,
        "calls": counts.calls,
        "waiting": waiting.collect::<Vec<_>>(),
    });
    if let Some(parent) = state.parent() {
        value["parent"] = parent.as_str().into();
    }
    if let Some(phase) = state.phase() {
        value["phase"] = phase.into();
    }
    if !state.board().is_empty() {
        value["board"] = json!(state.board());
    }
    if let Some((code, why)) = state.pause() {
        value["paused"] = json!({ "code": code, "why": why });
    }
    if let Some(ending) = state.ending() {
        value["output"] = ending.output.as_str().into();
        if let Some(why) = &ending.why {
            value["why"] = why.as_str().into();
        }
        if let Some(code) = &ending.code {
            value["code"] = code.as_str().into();
        }
    }
    value
}

/// What a fork has of one server.
pub(crate) fn packed(packed: &Packed) -> Value {
    let mut value = json!({ "server": packed.server, "direct": packed.is_direct });
    match &packed.at {
        None => value["shared"] = true.into(),
        Some(At::Host) => {}
        Some(At::Kept(id)) => value["workspace"] = id.as_str().into(),
    }
    value
}

/// Facts in sentences, in order.
#[must_use]
pub fn told(facts: &[Fact]) -> Vec<Value> {
    let mut teller = Teller::default();
    facts.iter().map(|fact| teller.tell(fact)).collect()
}

/// The word for where a run stands. A run that should be going and is not being pursued was interrupted: it can be resumed.
#[must_use]
pub fn status(state: &State, active: bool) -> &'static str {
    match (state.status(), active) {
        (Status::Running, true) => "running",
        (Status::Waiting, _) => "waiting",
        (Status::Running, false) => "interrupted",
        (Status::Paused, _) => "paused",
        (Status::Ended, _) => state.ending().map_or("ended", |ending| ending.status.as_str()),
    }
}

fn summary(state: &State, first: &Event, active: bool) -> Value {
    let counts = state.counts();
    let mut value = json!({
        "run": state.run().as_str(),
        "agent": state.agent().name,
        "task": clipped(state.task()),
        "status": status(state, active),
        "started": first.time.0,
        "turns": counts.turns,
        "calls": counts.calls,
    });
    if let Some(from) = first.body.text("from") {
        value["forked_from"] = from.into();
    }
    if let Some(parent) = state.parent() {
        value["parent"] = parent.as_str().into();
    }
    value
}
