//! Facts of a run in sentences, for people and scripts.

use cella_dialogue::Stop;
use cella_kernel::{EndStatus, Fact, Part, StepId, Verdict, What, result_text};
use serde_json::{Value, json};

/// Longest text of a sentence, in bytes. Stops one answer from filling the screen; the ledger has all of it.
const TEXT_BYTES_MAX: usize = 300;

/// Tells the facts of one run, in order: it counts the steps that answers begin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Teller {
    steps: u32,
}

impl Teller {
    /// One fact as JSON: its place, time, kind and sentence, and the step it is about.
    pub fn tell(&mut self, fact: &Fact) -> Value {
        let (kind, text) = self.sentence(&fact.what);
        let mut value = json!({ "seq": fact.seq.0, "time": fact.time.0, "kind": kind, "text": text });
        if let Some(step) = step_of(&fact.what) {
            value["step"] = step.to_string().into();
        }
        value
    }

    fn sentence(&mut self, what: &What) -> (&'static str, String) {
        match what {
            What::Started(started) => {
                ("started", format!("{} begins: {}", started.agent.name, clipped(&started.task)))
            }
            What::Resumed => ("resumed", "taken up again; what was under way is in doubt".into()),
            What::ToolsFound(tools) => ("tools", format!("{} more tools", tools.len())),
            What::Asked { ask, target, .. } => {
                ("asked", format!("question {} to {}/{}", ask.0, target.provider, target.model))
            }
            What::Answered { answer, misfit, .. } => ("answered", self.answer(answer, misfit.as_deref())),
            What::Unanswered { failure, .. } => (
                "unanswered",
                format!("no answer ({}): {}", failure.class.as_str(), clipped(&failure.message)),
            ),
            What::Woken { .. } => ("woken", "waited long enough".into()),
            What::OverBudget { why } => ("over_budget", format!("the budget does not allow it: {why}")),
            What::CancelAsked { by } => ("cancel_asked", format!("{by} wants it to end")),
            What::Paused { code, why } => ("paused", format!("paused: {} [{code}]", clipped(why))),
            What::Ended(ending) => {
                let status = ending.status.as_str();
                let why = match (&ending.status, &ending.why, &ending.code) {
                    (EndStatus::Completed, _, _) => clipped(&ending.output),
                    (_, Some(why), Some(code)) => format!("{} [{code}]", clipped(why)),
                    (_, Some(why), None) => clipped(why),
                    (_, None, _) => "no reason given".into(),
                };
                ("ended", format!("{status}: {why}"))
            }
            What::Forked(forked) => ("forked", format!("leaves {} after event {}", forked.from, forked.at)),
            _ => of_step(what),
        }
    }

    fn answer(&mut self, answer: &cella_dialogue::Answer, misfit: Option<&str>) -> String {
        let mut parts = Vec::new();
        if !answer.turn.text.is_empty() {
            parts.push(clipped(&answer.turn.text));
        }
        for call in &answer.turn.calls {
            self.steps += 1;
            parts.push(format!("wants {} {} {}", StepId(self.steps), call.name, clipped(&call.arguments)));
        }
        match (answer.stop, misfit) {
            (Stop::Refused, _) => parts.push("(refused)".into()),
            (Stop::Length, _) => parts.push("(cut off)".into()),
            (_, Some(misfit)) => parts.push(format!("(wrong shape: {misfit})")),
            _ => {}
        }
        parts.join("; ")
    }
}

fn of_step(what: &What) -> (&'static str, String) {
    match what {
        What::Intended(call) => {
            let part = match call.part {
                Part::Do => "",
                Part::Undo => ", to take it back",
                Part::Probe => ", to ask whether it was done",
            };
            let arguments = call.arguments.as_ref().map_or("", |a| a.text());
            let effect = call.effect.as_str();
            let (step, server, tool) = (call.step, &call.server, &call.tool);
            ("intended", format!("{step} calls {server}/{tool} {}{part} ({effect})", clipped(arguments)))
        }
        What::Done { step, result, .. } => {
            ("done", format!("{step} has its result: {}", clipped(&result_text(result))))
        }
        What::Failed { step, why, in_doubt, .. } => {
            let doubt = if *in_doubt { "; nobody knows whether it was done" } else { "" };
            ("failed", format!("{step} failed: {}{doubt}", clipped(why)))
        }
        What::Refused { step, why, .. } => ("refused", format!("{step} was not made: {}", clipped(why))),
        What::ApprovalAsked { step } => ("approval_asked", format!("{step} waits for approval")),
        What::ApprovalGranted { step, by } => ("approved", format!("{by} approves {step}")),
        What::ApprovalDenied { step, by, why } => ("denied", format!("{by} denies {step} {why}")),
        What::DoubtAsked { step } => {
            ("doubt_asked", format!("{step} waits for somebody who knows whether it was done"))
        }
        What::Resolved { step, verdict, by } => {
            let verdict = match verdict {
                Verdict::Happened { .. } => "was done",
                Verdict::NotHappened => "was not done",
                Verdict::GivenUp => "is left",
            };
            ("resolved", format!("{by} says that {step} {verdict}"))
        }
        What::BoardSet { step, key, .. } => ("board", format!("{step} writes {key:?} on the blackboard")),
        What::PhaseEntered { step, phase } => ("phase", format!("{step} enters the phase {phase:?}")),
        What::ChildStarted { step, run } => ("child_started", format!("{step} is pursued in {run}")),
        What::ChildEnded { step, output, failed } => {
            let how = if *failed { "failed" } else { "is done" };
            ("child_ended", format!("the task of {step} {how}: {}", clipped(output)))
        }
        _ => ("other", String::new()),
    }
}

const fn step_of(what: &What) -> Option<StepId> {
    match what {
        What::Intended(call) => Some(call.step),
        What::Done { step, .. }
        | What::Failed { step, .. }
        | What::Refused { step, .. }
        | What::ApprovalAsked { step }
        | What::ApprovalGranted { step, .. }
        | What::ApprovalDenied { step, .. }
        | What::DoubtAsked { step }
        | What::Resolved { step, .. }
        | What::BoardSet { step, .. }
        | What::PhaseEntered { step, .. }
        | What::ChildStarted { step, .. }
        | What::ChildEnded { step, .. } => Some(*step),
        _ => None,
    }
}

/// One line, and not too long.
pub(crate) fn clipped(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= TEXT_BYTES_MAX {
        return line;
    }
    format!("{}…", &line[..line.floor_char_boundary(TEXT_BYTES_MAX)])
}
