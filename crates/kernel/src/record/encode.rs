//! From a fact to what is appended.

use cella_event::{Draft, Int, Kind, Label, Map, RunId};
use serde::Serialize;

use crate::{Ending, Forked, Started, Verdict, What};

/// Version of the kernel whose facts these are. A later kernel that would decide otherwise has another number. Of 1: a fork kept
/// approvals, and texts from outside had no bound.
const KERNEL_VERSION: u32 = 2;

/// An event to be appended, with its payloads in the order of their names.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The event. Whoever appends it may add to its body what else is known.
    pub draft: Draft,
    /// Payloads: name and text.
    pub payloads: Vec<(&'static str, String)>,
}

/// Writes a fact of a run; `None` for the facts of tool calls, which whoever makes the call puts on record.
#[must_use]
pub fn encode(run: &RunId, what: &What) -> Option<Recorded> {
    let mut payloads = Vec::new();
    let (kind, body) = body(what, &mut payloads)?;
    let mut draft = Draft::new(kind).run(run.clone()).body(body);
    if let What::ApprovalGranted { by, .. }
    | What::ApprovalDenied { by, .. }
    | What::Resolved { by, .. }
    | What::CancelAsked { by } = what
    {
        draft = draft.principal(Label::clipped(by));
    }
    Some(Recorded { draft, payloads })
}

fn body(what: &What, payloads: &mut Vec<(&'static str, String)>) -> Option<(Kind, Map)> {
    let body = Map::new();
    Some(match what {
        What::Started(started) => (Kind::RunStarted, begun(started, payloads)),
        What::Resumed => (Kind::RunResumed, body),
        What::ToolsFound(tools) => {
            payloads.push(("tools", json(tools)));
            (Kind::RunTools, body.with("count", count(tools.len())))
        }
        What::Woken { until } => {
            (Kind::RunWoken, body.with("until", Int::saturating(until.0.unsigned_abs())))
        }
        What::CancelAsked { .. } => (Kind::RunCancelAsked, body),
        What::Paused { code, why } => {
            (Kind::RunPaused, body.with("code", code.clone()).with("why", why.clone()))
        }
        What::Ended(ending) => (Kind::RunEnded, ended(ending, payloads)),
        What::Forked(forked) => (Kind::RunForked, left(forked, payloads)),
        What::Asked { ask, target, digest } => {
            let body = body
                .with("ask", ask.0)
                .with("digest", digest.to_string())
                .with("model", target.model.clone())
                .with("provider", target.provider.clone());
            (Kind::ModelIntended, body)
        }
        What::Answered { ask, answer, misfit } => {
            payloads.push(("answer", json(answer)));
            let mut body = body.with("ask", ask.0);
            if let Some(misfit) = misfit {
                body = body.with("misfit", misfit.clone());
            }
            (Kind::ModelCompleted, body)
        }
        What::Unanswered { ask, failure } => {
            let mut body = body
                .with("ask", ask.0)
                .with("class", failure.class.as_str())
                .with("why", failure.message.clone());
            if let Some(status) = failure.status {
                body = body.with("status", u32::from(status));
            }
            if let Some(ms) = failure.retry_after_ms {
                body = body.with("retry_after_ms", Int::saturating(ms));
            }
            (Kind::ModelFailed, body)
        }
        What::OverBudget { why } => (Kind::BudgetRefused, body.with("why", why.clone())),
        _ => return of_step(what, payloads),
    })
}

/// What is on record of one step, but for its calls.
fn of_step(what: &What, payloads: &mut Vec<(&'static str, String)>) -> Option<(Kind, Map)> {
    let body = |step: &crate::StepId| Map::new().with("step", step.to_string());
    Some(match what {
        What::ApprovalAsked { step } => (Kind::ApprovalAsked, body(step)),
        What::ApprovalGranted { step, .. } => (Kind::ApprovalGranted, body(step)),
        What::ApprovalDenied { step, why, .. } => (Kind::ApprovalDenied, body(step).with("why", why.clone())),
        What::DoubtAsked { step } => (Kind::DoubtAsked, body(step)),
        What::Resolved { step, verdict, .. } => {
            let word = match verdict {
                Verdict::Happened { result } => {
                    payloads.push(("result", result.clone()));
                    "happened"
                }
                Verdict::NotHappened => "not_happened",
                Verdict::GivenUp => "given_up",
            };
            (Kind::DoubtResolved, body(step).with("verdict", word))
        }
        What::BoardSet { step, key, value } => {
            payloads.push(("value", value.clone()));
            (Kind::BoardSet, body(step).with("key", key.clone()))
        }
        What::PhaseEntered { step, phase } => (Kind::PhaseEntered, body(step).with("phase", phase.clone())),
        What::ChildStarted { step, run } => {
            (Kind::ChildStarted, body(step).with("child", run.as_str().to_owned()))
        }
        What::ChildEnded { step, output, failed } => {
            payloads.push(("output", output.clone()));
            (Kind::ChildEnded, body(step).with("failed", *failed))
        }
        _ => return None,
    })
}

fn begun(started: &Started, payloads: &mut Vec<(&'static str, String)>) -> Map {
    payloads.push(("agent", json(&started.agent)));
    if !started.earlier.is_empty() {
        payloads.push(("earlier", json(&started.earlier)));
    }
    payloads.push(("task", started.task.clone()));
    let mut body = Map::new().with("agent", clipped(&started.agent.name)).with("kernel", KERNEL_VERSION);
    if let Some(account) = &started.account {
        body = body.with("account", account.clone());
    }
    if let Some(parent) = &started.parent {
        body = body.with("parent", parent.as_str().to_owned());
    }
    body
}

fn ended(ending: &Ending, payloads: &mut Vec<(&'static str, String)>) -> Map {
    let mut body = Map::new().with("status", ending.status.as_str());
    if let Some(code) = &ending.code {
        body = body.with("code", code.clone());
    }
    if let Some(why) = &ending.why {
        body = body.with("why", why.clone());
    }
    payloads.push(("output", ending.output.clone()));
    body
}

fn left(forked: &Forked, payloads: &mut Vec<(&'static str, String)>) -> Map {
    if let Some(agent) = &forked.agent {
        payloads.push(("agent", json(agent)));
    }
    if let Some(say) = &forked.say {
        payloads.push(("say", say.clone()));
    }
    let mut body = forked.note.clone();
    body = body.with("at", Int::saturating(forked.at.0));
    body.with("from", forked.from.as_str().to_owned())
}

/// Our own types have text keys only; see `digest`.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn count(number: usize) -> Int {
    Int::saturating(number as u64)
}

fn clipped(name: &str) -> String {
    Label::clipped(name).as_str().to_owned()
}
