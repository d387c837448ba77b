//! Taking a fact in. A fact that cannot have happened in this state is refused: then the ledger is not that of this run, or
//! this program does not understand it, and nothing is done on the ground of it.

use cella_dialogue::{Answer, Failure, Stop, Turn};
use cella_event::{Micros, Seq};

use crate::{
    Attempt, EndStatus, Ending, Fact, Forked, Started, What, codes,
    digest::Chain,
    state::{Counts, Life, Stage, State},
};

/// A fact that cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} does not follow from the run before it: expected {expected}, got {got}")]
pub struct Impossible {
    /// Its place in the ledger.
    pub seq: Seq,
    /// What could have come.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl State {
    /// The run that a first fact begins.
    ///
    /// # Errors
    /// [`Impossible`] when the fact begins none.
    pub fn begin(fact: &Fact) -> Result<Self, Impossible> {
        let What::Started(started) = &fact.what else {
            return Err(impossible(fact, "the start of a run", "another fact"));
        };
        let Started { run, agent, task, earlier, parent, account } = &**started;
        let phase = (!agent.phases.is_empty()).then_some(0);
        let mut state = Self {
            run: run.clone(),
            agent: agent.clone(),
            task: task.clone(),
            parent: parent.clone(),
            account: account.clone(),
            started: fact.time,
            now: fact.time,
            last: fact.seq,
            turns: Vec::new(),
            chain: Chain::default(),
            head: std::sync::OnceLock::new(),
            question: None,
            asks: 0,
            batch: Vec::new(),
            steps: 0,
            board: std::collections::BTreeMap::new(),
            phase,
            sticky: None,
            counts: Counts::default(),
            life: Life::Going,
        };
        earlier.iter().for_each(|turn| state.push(turn.clone()));
        state.push(Turn::User { text: task.clone() });
        state.ask();
        Ok(state)
    }

    /// Takes a fact in. After an error the state is as it was.
    ///
    /// # Errors
    /// [`Impossible`].
    pub fn apply(&mut self, fact: &Fact) -> Result<(), Impossible> {
        if fact.seq <= self.last {
            let (after, got) = (format!("an event after {}", self.last), fact.seq.to_string());
            return Err(impossible(fact, &after, &got));
        }
        if !matches!(self.life, Life::Ended(_)) || matches!(fact.what, What::Forked(_)) {
            self.take(fact)?;
        } else if !fact.what.is_of_people() && fact.what.outcome_of().is_none() {
            return Err(impossible(fact, "nothing after the end", "another fact"));
        }
        self.now = self.now.max(fact.time);
        self.last = fact.seq;
        Ok(())
    }

    fn take(&mut self, fact: &Fact) -> Result<(), Impossible> {
        match &fact.what {
            What::Started(_) => Err(impossible(fact, "a fact of a run that has begun", "another start")),
            What::Resumed => {
                self.resumed();
                Ok(())
            }
            What::ToolsFound(tools) => {
                self.agent.tools.extend(tools.iter().cloned());
                self.head = std::sync::OnceLock::new();
                Ok(())
            }
            What::Asked { .. } | What::Answered { .. } | What::Unanswered { .. } | What::Woken { .. } => {
                self.take_answer(fact)
            }
            What::OverBudget { why } => {
                self.stop(codes::OVER_BUDGET, why.clone());
                Ok(())
            }
            What::CancelAsked { by } => {
                let why = Some(format!("cancelled by {by}"));
                self.close(Ending { status: EndStatus::Cancelled, code: None, why, output: String::new() });
                Ok(())
            }
            What::Paused { code, why } => {
                // Somebody wanted its end in the same moment: then it does not pause.
                if !matches!(self.life, Life::Ending(_)) {
                    self.life = Life::Paused { code: code.clone(), why: why.clone() };
                }
                Ok(())
            }
            What::Ended(ending) => {
                self.life = Life::Ended(ending.clone());
                Ok(())
            }
            What::Forked(forked) => self.forked(fact, forked),
            _ => self.take_step(fact),
        }
    }

    fn take_answer(&mut self, fact: &Fact) -> Result<(), Impossible> {
        let deadline = self.deadline();
        let Some(question) = &mut self.question else {
            if matches!(fact.what, What::Woken { until } if Some(until) == deadline) {
                self.overdue();
                return Ok(());
            }
            return Err(impossible(fact, "a call's fact", "one of a question, and none is open"));
        };
        match &fact.what {
            What::Asked { ask, target, .. } if *ask == question.id && !question.is_open() => {
                question.attempts.push(Attempt { target: target.clone(), failure: None, at: fact.time });
                question.tried += 1;
                question.orphaned = false;
                Ok(())
            }
            What::Answered { ask, answer, misfit } if *ask == question.id && question.is_open() => {
                self.sticky = question.attempts.last().map(|attempt| attempt.target.clone());
                self.question = None;
                self.answered(answer, misfit.as_deref());
                Ok(())
            }
            What::Unanswered { ask, failure } if *ask == question.id && question.is_open() => {
                self.unanswered(failure, fact.time);
                Ok(())
            }
            What::Woken { until } if Some(*until) == deadline => {
                self.overdue();
                Ok(())
            }
            What::Woken { until } => {
                question.woken = Some(*until);
                Ok(())
            }
            _ => {
                let open = if question.is_open() { "open" } else { "not asked" };
                let expected = format!("a fact of question {}, which is {open}", question.id.0);
                Err(impossible(fact, &expected, "one that does not fit it"))
            }
        }
    }

    fn unanswered(&mut self, failure: &Failure, at: Micros) {
        let Some(question) = &mut self.question else { return };
        if let Some(attempt) = question.attempts.last_mut() {
            attempt.failure = Some(failure.clone());
            attempt.at = at;
        }
        question.orphaned = false;
        if failure.class == cella_dialogue::FailureClass::OverBudget {
            self.stop(codes::OVER_BUDGET, failure.message.clone());
        } else if self.agent.relay.is_some() {
            // Whoever asked is told, and asks again if they like.
            self.fail(codes::NO_MODEL, failure.message.clone());
        }
    }

    /// The run cannot go on by itself. An agent's waits for somebody who helps; of a client's request there is nothing to go on with.
    fn stop(&mut self, code: &'static str, why: String) {
        if self.agent.relay.is_some() {
            self.fail(code, why);
        } else {
            self.life = Life::Pausing { code, why };
        }
    }

    fn answered(&mut self, answer: &Answer, misfit: Option<&str>) {
        self.counts.turns += 1;
        self.push(Turn::Assistant(answer.turn.clone()));
        let limits = self.agent.limits;
        if self.agent.relay.is_some() {
            let output = answer.turn.text.clone();
            self.close(Ending { status: EndStatus::Completed, code: None, why: None, output });
        } else if answer.stop == Stop::Refused {
            self.fail(codes::MODEL_REFUSED, "the model refused".into());
        } else if !answer.turn.calls.is_empty() {
            if self.counts.turns >= limits.turns {
                return self
                    .fail(codes::LIMIT, format!("the limit of {} answers (turns) is reached", limits.turns));
            }
            self.begin_batch(&answer.turn.calls);
            self.settle_batch();
        } else if answer.stop == Stop::Length {
            self.fail(codes::CUT_SHORT, "the answer reached the most tokens it may have (max_output)".into());
        } else if let Some(misfit) = misfit {
            self.counts.misfits += 1;
            if self.counts.misfits > limits.output_retries {
                return self
                    .fail(codes::MISFIT, format!("the answer has not the shape it must have: {misfit}"));
            }
            let text = format!(
                "This answer does not have the required shape: {misfit}. Answer again, with the JSON and nothing else."
            );
            self.push(Turn::User { text });
            self.ask();
        } else {
            let output = answer.turn.text.clone();
            self.close(Ending { status: EndStatus::Completed, code: None, why: None, output });
        }
    }

    /// What was under way in an earlier life of the node is in doubt; a pause is over.
    fn resumed(&mut self) {
        if let Some(question) = &mut self.question {
            question.orphaned = question.is_open();
            // Those who failed before the pause have another chance.
            if !question.orphaned {
                question.attempts.clear();
            }
        }
        if matches!(self.life, Life::Pausing { .. } | Life::Paused { .. }) {
            self.life = Life::Going;
        }
        if self.agent.relay.is_some() {
            self.fail(codes::NO_MODEL, "whoever asked is gone".into());
        }
        let limits = self.agent.limits;
        for at in 0..self.batch.len() {
            if let Stage::Flying(part) = self.batch[at].stage {
                self.doubt(at, part, "the node ended while the call was under way", &limits);
            }
        }
    }

    fn overdue(&mut self) {
        let time = self.agent.limits.time_us.unwrap_or_default() / 1_000_000;
        self.fail(codes::LIMIT, format!("the limit of {time} seconds (time) is reached"));
    }

    pub(crate) fn fail(&mut self, code: &'static str, why: String) {
        self.close(Ending {
            status: EndStatus::Failed,
            code: Some(code.into()),
            why: Some(why),
            output: String::new(),
        });
    }

    /// The run is to end: what is not under way is not due any more. It stays as it is, because a driver may have begun it a moment
    /// ago, so that its beginning is on record after this.
    fn close(&mut self, ending: Ending) {
        if !matches!(self.life, Life::Ending(_)) {
            self.life = Life::Ending(ending);
        }
    }

    fn forked(&mut self, fact: &Fact, forked: &Forked) -> Result<(), Impossible> {
        if forked.from != self.run || forked.at != self.last {
            let expected = format!("a fork of {} at {}", self.run, self.last);
            return Err(impossible(fact, &expected, &format!("one of {} at {}", forked.from, forked.at)));
        }
        if !self.is_quiet() {
            return Err(impossible(fact, "a run at rest", "one with calls under way"));
        }
        self.run = forked.run.clone();
        self.started = fact.time;
        self.ask_again_for_approvals();
        if let Some(agent) = &forked.agent {
            self.agent = agent.clone();
            self.phase = self.phase().and_then(|p| agent.phases.iter().position(|other| other == p));
            self.sticky = None;
            self.head = std::sync::OnceLock::new();
            self.reread_batch();
        }
        if matches!(self.life, Life::Ended(_) | Life::Ending(_) | Life::Paused { .. } | Life::Pausing { .. })
        {
            self.life = Life::Going;
        }
        if let Some(text) = &forked.say {
            self.say(text);
        }
        if self.question.is_none() && self.batch.is_empty() && forked.say.is_none() {
            // It had ended: without a word more it would end again at once.
            self.ask();
        }
        Ok(())
    }

    /// The user says something: whatever the model wanted last gives way to it.
    fn say(&mut self, text: &str) {
        for step in self.batch.iter_mut().filter(|step| !step.is_over()) {
            step.over("the user said something else before this call was made", true);
        }
        self.tell_batch();
        self.push(Turn::User { text: text.to_owned() });
        self.ask();
    }
}

pub(crate) fn impossible(fact: &Fact, expected: &str, got: &str) -> Impossible {
    Impossible { seq: fact.seq, expected: expected.to_owned(), got: got.to_owned() }
}
