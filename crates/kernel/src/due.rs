//! What a run wants done at this moment. Nothing but its state decides: a node that takes a run up again does what is due, and what
//! one that never stopped has under way is among it no longer, because its beginning is on record.

use cella_event::Micros;

use crate::{
    Effect, EndStatus, Ending, Fact, Impossible, Key, Next, Part, ToCall, codes,
    state::{Life, Question, Stage, State, Step, Wants},
};

/// The run after a fact, and what that fact made due.
///
/// # Errors
/// [`Impossible`] when the fact does not follow.
pub fn step(state: &State, fact: &Fact) -> Result<(State, Vec<(Key, Effect)>), Impossible> {
    let before = state.due();
    let mut after = state.clone();
    after.apply(fact)?;
    let mut due = after.due();
    due.retain(|(key, _)| !before.iter().any(|(known, _)| known == key));
    Ok((after, due))
}

impl State {
    /// Everything that is due and not on record as begun. The driver begins those whose key it has not begun already.
    #[must_use]
    pub fn due(&self) -> Vec<(Key, Effect)> {
        let mut due = Vec::new();
        match &self.life {
            Life::Ended(_) | Life::Paused { .. } => return due,
            Life::Ending(ending) => {
                self.due_orphan(&mut due);
                if self.is_still() {
                    due.push((Key::End, Effect::End(self.with_doubts(ending))));
                }
                return due;
            }
            Life::Pausing { code, why } => {
                self.due_orphan(&mut due);
                if self.is_still() {
                    due.push((Key::Pause, Effect::Pause { code, why: why.clone() }));
                }
                return due;
            }
            Life::Going => {}
        }
        if let Some(deadline) = self.deadline() {
            due.push((Key::Deadline, Effect::Wait { until: deadline }));
        }
        self.due_orphan(&mut due);
        if let Some(question) = &self.question {
            self.due_question(question, &mut due);
        }
        self.due_steps(&mut due);
        due
    }

    /// True for what is under way and of no use any more: the run is to end or to pause.
    #[must_use]
    pub const fn is_abandoned(&self, key: Key) -> bool {
        match key {
            Key::Ask(..) | Key::Wait(..) | Key::Deadline => !matches!(self.life, Life::Going),
            // A run that pauses may want the other agent's answer later.
            Key::Child(_) => matches!(self.life, Life::Ending(_)),
            _ => false,
        }
    }

    fn due_orphan(&self, due: &mut Vec<(Key, Effect)>) {
        if let Some(question) = &self.question
            && question.orphaned
        {
            due.push((Key::Forfeit(question.id, question.tried), Effect::Forfeit { ask: question.id }));
        }
    }

    fn due_question(&self, question: &Question, due: &mut Vec<(Key, Effect)>) {
        if question.is_open() {
            return;
        }
        match self.agent.model.next(&self.run, self.sticky.as_ref(), &question.attempts) {
            Next::Ask { not_before: Some(until), .. } if !is_past(until, question.woken, self.now) => {
                due.push((Key::Wait(question.id, question.tried), Effect::Wait { until }));
            }
            Next::Ask { target, .. } => {
                let effect = Effect::Ask { ask: question.id, target, digest: self.digest() };
                due.push((Key::Ask(question.id, question.tried), effect));
            }
            Next::GiveUp => {
                let why = no_model(question);
                due.push((Key::Pause, Effect::Pause { code: codes::NO_MODEL, why }));
            }
        }
    }

    fn due_steps(&self, due: &mut Vec<(Key, Effect)>) {
        let flying = self.batch.iter().filter(|s| matches!(s.stage, Stage::Flying(_))).count();
        let mut room = (self.agent.limits.parallel.max(1) as usize).saturating_sub(flying);
        for (at, step) in self.batch.iter().enumerate() {
            let Some((key, effect)) = self.due_step(step) else { continue };
            let begins_a_call = matches!(effect, Effect::Call(_) | Effect::StartChild { .. });
            let takes_turns = begins_a_call || matches!(key, Key::Note(_));
            let ordered = step.is_ordered();
            let earlier = &self.batch[..at];
            if takes_turns && earlier.iter().any(|e| !e.is_over() && (ordered || e.is_ordered())) {
                continue;
            }
            if begins_a_call {
                if room == 0 {
                    continue;
                }
                room -= 1;
            }
            due.push((key, effect));
        }
    }

    fn due_step(&self, step: &Step) -> Option<(Key, Effect)> {
        let id = step.id;
        match (&step.stage, &step.wants) {
            (Stage::ToBeApproved, Wants::Tool(tool)) => {
                let tool = self.agent.tools.get(*tool)?;
                let effect = Effect::AskApproval {
                    step: id,
                    server: tool.server.clone(),
                    tool: tool.tool.clone(),
                    arguments: step.arguments.clone(),
                    effect: step.effect,
                };
                Some((Key::Approval(id), effect))
            }
            (Stage::ToAsk(why), Wants::Tool(tool)) => {
                let tool = self.agent.tools.get(*tool)?;
                let (server, tool) = (tool.server.clone(), tool.tool.clone());
                Some((Key::Doubt(id), Effect::AskAboutDoubt { step: id, server, tool, why: why.clone() }))
            }
            (Stage::ToDo, Wants::Tool(tool)) => self.to_call(step, *tool, Part::Do),
            (Stage::ToUndo, Wants::Tool(tool)) => self.to_call(step, *tool, Part::Undo),
            (Stage::ToProbe, Wants::Tool(tool)) => self.to_call(step, *tool, Part::Probe),
            (Stage::ToDo, Wants::Board { key, value }) => {
                let effect = Effect::SetBoard { step: id, key: key.clone(), value: value.clone() };
                Some((Key::Note(id), effect))
            }
            (Stage::ToDo, Wants::Phase(phase)) => {
                Some((Key::Note(id), Effect::EnterPhase { step: id, phase: phase.clone() }))
            }
            (Stage::ToDo, Wants::Child { agent, task, run }) => {
                let (run, agent, task) = (run.clone(), agent.clone(), task.clone());
                Some((Key::Child(id), Effect::StartChild { step: id, run, agent, task }))
            }
            _ => None,
        }
    }

    fn to_call(&self, step: &Step, tool: usize, part: Part) -> Option<(Key, Effect)> {
        let tool = self.agent.tools.get(tool)?;
        let name = match part {
            Part::Do => &tool.tool,
            Part::Undo => tool.undo.as_ref()?,
            Part::Probe => tool.probe.as_ref()?,
        };
        let call = ToCall {
            step: step.id,
            part,
            server: tool.server.clone(),
            tool: name.clone(),
            arguments: step.arguments.clone(),
            effect: step.effect,
            key: step.key.clone(),
            phase: self.phase().map(str::to_owned),
        };
        Some((Key::Call(step.id, part, step.tries), Effect::Call(Box::new(call))))
    }

    /// The ending, with what nobody knows about calls that were under way.
    fn with_doubts(&self, ending: &Ending) -> Ending {
        let mut ending = ending.clone();
        let unsure = self.batch.iter().filter(|step| step.is_in_doubt());
        let unsure: Vec<String> = unsure.map(|step| format!("{} ({})", step.id, step.call.name)).collect();
        if !unsure.is_empty() {
            let doubt = format!("nobody knows whether these calls were done: {}", unsure.join(", "));
            ending.why = Some(ending.why.map_or_else(|| doubt.clone(), |why| format!("{why}; {doubt}")));
            if ending.status == EndStatus::Completed {
                ending.status = EndStatus::Failed;
            }
        }
        ending
    }
}

fn is_past(until: Micros, woken: Option<Micros>, now: Micros) -> bool {
    now >= until || woken.is_some_and(|woken| woken >= until)
}

fn no_model(question: &Question) -> String {
    let attempts = question.attempts.iter().filter_map(|attempt| {
        let failure = attempt.failure.as_ref()?;
        let target = &attempt.target;
        Some(format!(
            "{}/{}: {} ({})",
            target.provider,
            target.model,
            failure.message,
            failure.class.as_str()
        ))
    });
    let list: Vec<String> = attempts.collect();
    format!("no model answered: {}", list.join("; "))
}
