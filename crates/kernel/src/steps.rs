//! The calls that a model wanted in its last answer: from wanted to over.

use cella_contract::Effect as Class;
use cella_dialogue::{Json, ToolCall, Turn};
use cella_event::CallId;

use crate::{
    Fact, Impossible, Limits, Part, StepId, Verdict, What, codes,
    fold::impossible,
    outcome::{happened, told},
    own::{self, Own},
    state::{Life, Stage, State, Step, Wants},
};

/// What the model is told where a call had been done before the crash and only its answer was lost.
const DONE_BEFORE: &str =
    "This call had already been done; its first answer was lost. It was not done again.";

impl State {
    pub(crate) fn begin_batch(&mut self, calls: &[ToolCall]) {
        for call in calls {
            self.steps += 1;
            self.counts.calls += 1;
            let step = self.read_call(StepId(self.steps), call);
            self.batch.push(step);
        }
        let limits = self.agent.limits;
        if self.counts.calls > limits.calls {
            self.fail(codes::LIMIT, format!("the limit of {} calls (calls) is reached", limits.calls));
        } else if self.counts.bad_calls > limits.bad_calls {
            let why = format!("more than {} calls that cannot be made (bad_calls)", limits.bad_calls);
            self.fail(codes::LIMIT, why);
        }
    }

    fn read_call(&mut self, id: StepId, call: &ToolCall) -> Step {
        let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let arguments = Json::parse(text).ok().filter(|json| json.text().trim_start().starts_with('{'));
        let mut step = Step {
            id,
            call: call.clone(),
            arguments: arguments.clone().unwrap_or_else(Json::empty_object),
            wants: Wants::Nothing,
            stage: Stage::ToDo,
            effect: Class::Pure,
            key: None,
            begun: None,
            tries: 0,
        };
        if arguments.is_none() {
            self.counts.bad_calls += 1;
            step.over("the arguments are no JSON object; nothing was called", true);
            return step;
        }
        match own::call(self, id, &call.name, &step.arguments) {
            Some(Own::Wants(wants)) => step.wants = wants,
            Some(Own::Says { text, is_error }) => step.over(text, is_error),
            None => self.read_tool(&mut step),
        }
        step
    }

    fn read_tool(&mut self, step: &mut Step) {
        let Some(at) = self.agent.tools.iter().position(|tool| tool.spec.name == step.call.name) else {
            self.counts.bad_calls += 1;
            step.over(format!("there is no tool {:?}; nothing was called", step.call.name), true);
            return;
        };
        let tool = &self.agent.tools[at];
        step.wants = Wants::Tool(at);
        step.effect = tool.effect;
        step.stage = if tool.approval { Stage::ToBeApproved } else { Stage::ToDo };
    }

    /// The agent is another one: calls that were not made yet are read again.
    pub(crate) fn reread_batch(&mut self) {
        let waiting: Vec<usize> = (0..self.batch.len()).filter(|at| !self.batch[*at].is_over()).collect();
        for at in waiting {
            let (id, call) = (self.batch[at].id, self.batch[at].call.clone());
            self.batch[at] = self.read_call(id, &call);
        }
        self.settle_batch();
    }

    /// Somebody agreed to a call of one run, and not to the same call of each fork of it.
    pub(crate) fn ask_again_for_approvals(&mut self) {
        for step in &mut self.batch {
            let Wants::Tool(at) = step.wants else { continue };
            if step.stage == Stage::ToDo && self.agent.tools.get(at).is_some_and(|tool| tool.approval) {
                step.stage = Stage::ToBeApproved;
            }
        }
    }

    /// When all calls of a batch are over, the model hears of them and is asked again.
    pub(crate) fn settle_batch(&mut self) {
        if self.tell_batch() && !matches!(self.life, Life::Ending(_)) {
            self.ask();
        }
    }

    /// Tells the model what became of its calls, when all are over.
    pub(crate) fn tell_batch(&mut self) -> bool {
        if self.batch.is_empty() || !self.batch.iter().all(Step::is_over) {
            return false;
        }
        let results = self.batch.drain(..).filter_map(|step| match step.stage {
            Stage::Over(result) => Some(result),
            _ => None,
        });
        let results = results.collect();
        self.push(Turn::Tools { results });
        true
    }

    /// Takes in a fact of one step.
    pub(crate) fn take_step(&mut self, fact: &Fact) -> Result<(), Impossible> {
        let Some(id) = step_of(&fact.what) else {
            return Err(impossible(fact, "a fact that this version knows", "another"));
        };
        let late = fact.what.is_of_people() || fact.what.outcome_of().is_some();
        let Some(at) = self.batch.iter().position(|step| step.id == id) else {
            if late && id.0 <= self.steps {
                return Ok(());
            }
            return Err(impossible(fact, "a step that is open", &id.to_string()));
        };
        let limits = self.agent.limits;
        if !fits(&self.batch[at], &fact.what) {
            if late {
                self.take_late(at, &fact.what);
                return Ok(());
            }
            let stage = format!("what step {id} at {:?} can come to", self.batch[at].stage);
            return Err(impossible(fact, &stage, "another fact of it"));
        }
        match &fact.what {
            What::Intended(intended) => {
                let step = &mut self.batch[at];
                step.stage = Stage::Flying(intended.part);
                step.begun = Some(intended.call.clone());
                if intended.part == Part::Do {
                    step.effect = step.effect.max(intended.effect);
                    step.key = step.key.take().or_else(|| intended.key.clone());
                }
            }
            What::Done { part, result, .. } => self.done(at, *part, result),
            What::Failed { part, why, in_doubt: true, .. } => self.doubt(at, *part, why, &limits),
            What::Failed { part, why, .. } | What::Refused { part, why, .. } => {
                self.not_done(at, *part, why);
                if self.agent.rehearses.is_some() && matches!(fact.what, What::Refused { .. }) {
                    self.fail(codes::NOT_RECORDED, why.clone());
                }
            }
            What::ApprovalAsked { .. } => self.batch[at].stage = Stage::AwaitsApproval,
            What::ApprovalGranted { .. } => self.batch[at].stage = Stage::ToDo,
            What::ApprovalDenied { by, why, .. } => {
                let colon = if why.is_empty() { "" } else { ": " };
                self.batch[at].over(format!("not approved by {by}{colon}{why}; nothing was called"), true);
            }
            What::DoubtAsked { .. } => self.batch[at].stage = Stage::AwaitsWord,
            What::Resolved { verdict, by, .. } => self.resolved(at, verdict, by),
            What::BoardSet { key, value, .. } => {
                self.board.insert(key.clone(), value.clone());
                self.batch[at].over("written", false);
            }
            What::PhaseEntered { phase, .. } => {
                self.phase = self.agent.phases.iter().position(|p| p == phase);
                self.batch[at].over(format!("this is the phase {phase} now"), false);
            }
            What::ChildStarted { .. } => self.batch[at].stage = Stage::Flying(Part::Do),
            What::ChildEnded { output, failed, .. } => self.batch[at].over(output.clone(), *failed),
            _ => {}
        }
        self.settle_batch();
        Ok(())
    }

    /// The end of a call that is not under way any more: of one from an earlier life of the node. Where it says that the call was done,
    /// and nothing has been done about the doubt yet, there is no doubt any more.
    fn take_late(&mut self, at: usize, what: &What) {
        let step = &mut self.batch[at];
        if let What::Done { part: Part::Do, result, .. } = what
            && step.is_in_doubt()
        {
            let told = told(result);
            step.over(told.text, told.is_error);
            self.settle_batch();
        }
    }

    fn done(&mut self, at: usize, part: Part, result: &Json) {
        let step = &mut self.batch[at];
        match part {
            Part::Do => {
                let told = told(result);
                step.over(told.text, told.is_error);
            }
            Part::Probe => match happened(result) {
                Some((true, result)) => step.over(result.unwrap_or_else(|| DONE_BEFORE.into()), false),
                Some((false, _)) => step.stage = Stage::ToDo,
                None => step.stage = Stage::ToAsk("its probe does not say whether it was done".into()),
            },
            Part::Undo => {
                let told = told(result);
                step.stage = if told.is_error {
                    Stage::ToAsk(format!("taking it back failed: {}", told.text))
                } else {
                    Stage::ToDo
                };
            }
        }
    }

    fn not_done(&mut self, at: usize, part: Part, why: &str) {
        let step = &mut self.batch[at];
        match part {
            // An earlier try of it may have been done.
            Part::Do if step.tries > 0 && !step.effect.may_be_repeated() => {
                step.stage = Stage::ToAsk(format!("doing it again failed: {why}"));
            }
            Part::Do => step.over(why, true),
            Part::Probe => step.stage = Stage::ToAsk(format!("its probe failed: {why}")),
            Part::Undo => step.stage = Stage::ToAsk(format!("taking it back failed: {why}")),
        }
    }

    /// An intent without an outcome: what may be done about it is decided by what the call does to the world.
    pub(crate) fn doubt(&mut self, at: usize, part: Part, why: &str, limits: &Limits) {
        let step = &mut self.batch[at];
        let Wants::Tool(tool) = step.wants else {
            // Another agent's run is taken up again, which does nothing twice.
            step.stage = Stage::ToDo;
            return;
        };
        step.tries += 1;
        if step.tries > limits.tries {
            step.stage = Stage::ToAsk(format!("{} tries came to nothing; the last: {why}", limits.tries));
            return;
        }
        let tool = self.agent.tools.get(tool);
        step.stage = match (part, step.effect) {
            (Part::Probe, _) => Stage::ToProbe,
            (Part::Undo, _) => Stage::ToUndo,
            (Part::Do, Class::Pure | Class::Read | Class::Idempotent) => Stage::ToDo,
            (Part::Do, Class::Reversible) if tool.is_some_and(|t| t.undo.is_some()) => Stage::ToUndo,
            (Part::Do, _) if tool.is_some_and(|t| t.probe.is_some()) => Stage::ToProbe,
            (Part::Do, Class::Reversible) => {
                Stage::ToAsk(format!("{why}, and its contract names neither undo nor probe"))
            }
            (Part::Do, Class::Irreversible) => {
                Stage::ToAsk(format!("{why}, and its contract names no probe"))
            }
        };
    }

    fn resolved(&mut self, at: usize, verdict: &Verdict, by: &str) {
        let step = &mut self.batch[at];
        match verdict {
            Verdict::Happened { result } if result.is_empty() => step.over(DONE_BEFORE, false),
            Verdict::Happened { result } => step.over(result.clone(), false),
            Verdict::NotHappened => step.stage = Stage::ToDo,
            Verdict::GivenUp => {
                step.over(
                    format!("nobody knows whether this call was done, and {by} decided to leave it"),
                    true,
                );
            }
        }
    }
}

impl Step {
    /// Nobody knows whether it was done.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match &self.stage {
            Stage::ToProbe | Stage::ToUndo | Stage::ToAsk(_) | Stage::AwaitsWord => true,
            Stage::ToDo => self.tries > 0 && !self.effect.may_be_repeated(),
            _ => false,
        }
    }
}

const fn step_of(what: &What) -> Option<StepId> {
    match what {
        What::Intended(intended) => Some(intended.step),
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

/// Whether a step can come to this.
fn fits(step: &Step, what: &What) -> bool {
    let to_call = |part: Part| match part {
        Part::Do => step.stage == Stage::ToDo,
        Part::Undo => step.stage == Stage::ToUndo,
        Part::Probe => step.stage == Stage::ToProbe,
    };
    let flies =
        |part: Part, call: &CallId| step.stage == Stage::Flying(part) && step.begun.as_ref() == Some(call);
    match what {
        What::Intended(intended) => to_call(intended.part),
        What::Done { part, call, .. } | What::Failed { part, call, .. } => flies(*part, call),
        What::Refused { part, .. } => to_call(*part),
        What::ApprovalAsked { .. } => step.stage == Stage::ToBeApproved,
        What::ApprovalGranted { .. } | What::ApprovalDenied { .. } => step.stage == Stage::AwaitsApproval,
        What::DoubtAsked { .. } => matches!(step.stage, Stage::ToAsk(_)),
        What::Resolved { .. } => step.stage == Stage::AwaitsWord,
        What::BoardSet { .. } => step.stage == Stage::ToDo && matches!(step.wants, Wants::Board { .. }),
        What::PhaseEntered { .. } => step.stage == Stage::ToDo && matches!(step.wants, Wants::Phase(_)),
        What::ChildStarted { .. } => step.stage == Stage::ToDo && matches!(step.wants, Wants::Child { .. }),
        What::ChildEnded { .. } => matches!(step.wants, Wants::Child { .. }) && !step.is_over(),
        _ => true,
    }
}
