//! A run at one moment: the fold of its facts. Small where the run is large: what is over lives on only in the dialogue.

use std::collections::BTreeMap;

use cella_contract::Effect as Class;
use cella_dialogue::{Json, Request, ToolCall, ToolResult, Turn};
use cella_event::{CallId, Hash, Micros, RunId, Seq};

use crate::{
    Agent, AskId, Attempt, Ending, Part, StepId, Target,
    digest::{Chain, head_digest},
    outcome::clipped,
    own,
};

/// A run at one moment.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) run: RunId,
    pub(crate) agent: Agent,
    pub(crate) task: String,
    pub(crate) parent: Option<RunId>,
    pub(crate) account: Option<String>,
    pub(crate) started: Micros,
    pub(crate) now: Micros,
    pub(crate) last: Seq,
    pub(crate) turns: Vec<Turn>,
    pub(crate) chain: Chain,
    /// Digest of what stands before the turns in a request; made when it is first needed.
    pub(crate) head: std::sync::OnceLock<Hash>,
    pub(crate) question: Option<Question>,
    pub(crate) asks: u32,
    pub(crate) batch: Vec<Step>,
    pub(crate) steps: u32,
    pub(crate) board: BTreeMap<String, String>,
    pub(crate) phase: Option<usize>,
    pub(crate) sticky: Option<Target>,
    pub(crate) counts: Counts,
    pub(crate) life: Life,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Something is due or under way.
    Running,
    /// Only humans can move it.
    Waiting,
    /// It cannot go on by itself, and can be resumed.
    Paused,
    /// It is over.
    Ended,
}

/// What waits for a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which call.
    pub step: StepId,
    /// The tool, as the model knows it.
    pub tool: String,
    /// The arguments.
    pub arguments: String,
    /// True: nobody knows whether it was done. False: it is not done yet, and may not be without a human's word.
    pub in_doubt: bool,
}

/// What is counted against the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers of the model.
    pub turns: u32,
    /// Calls that it wanted.
    pub calls: u32,
    /// Of these, calls that could not be made.
    pub bad_calls: u32,
    /// Final answers of the wrong shape.
    pub misfits: u32,
}

/// How far the run's life has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    Going,
    /// It is to pause as soon as nothing is under way.
    Pausing {
        code: &'static str,
        why: String,
    },
    Paused {
        code: String,
        why: String,
    },
    /// It is to end as soon as nothing is under way.
    Ending(Ending),
    Ended(Ending),
}

/// A question to the model that is not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) id: AskId,
    pub(crate) attempts: Vec<Attempt>,
    /// All attempts of this question, those before a pause included: no two keys are alike.
    pub(crate) tried: u32,
    /// The open attempt is one of an earlier life of the node.
    pub(crate) orphaned: bool,
    /// The time up to which was waited.
    pub(crate) woken: Option<Micros>,
}

/// One call that the model wanted, in the batch of its last answer.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: StepId,
    pub(crate) call: ToolCall,
    pub(crate) arguments: Json,
    pub(crate) wants: Wants,
    pub(crate) stage: Stage,
    pub(crate) effect: Class,
    pub(crate) key: Option<String>,
    /// The call that was begun last for it.
    pub(crate) begun: Option<CallId>,
    pub(crate) tries: u32,
}

/// What a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// A tool, by its place in the agent's list.
    Tool(usize),
    Board {
        key: String,
        value: String,
    },
    Phase(String),
    Child {
        agent: String,
        task: String,
        run: RunId,
    },
    /// It was over as soon as it was wanted.
    Nothing,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    ToBeApproved,
    AwaitsApproval,
    ToDo,
    ToUndo,
    ToProbe,
    Flying(Part),
    ToAsk(String),
    AwaitsWord,
    Over(ToolResult),
}

// === impl State ===

impl State {
    /// The run's name.
    #[must_use]
    pub const fn run(&self) -> &RunId {
        &self.run
    }

    /// Who pursues it.
    #[must_use]
    pub const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// What it is to do.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The run that gave the task.
    #[must_use]
    pub const fn parent(&self) -> Option<&RunId> {
        self.parent.as_ref()
    }

    /// The account it spends from.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The dialogue.
    #[must_use]
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// What stands on the blackboard.
    #[must_use]
    pub const fn board(&self) -> &BTreeMap<String, String> {
        &self.board
    }

    /// The phase it is in.
    #[must_use]
    pub fn phase(&self) -> Option<&str> {
        self.phase.and_then(|at| self.agent.phases.get(at)).map(String::as_str)
    }

    /// What is counted against the limits.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The last fact that it knows.
    #[must_use]
    pub const fn last(&self) -> Seq {
        self.last
    }

    /// How it ended.
    #[must_use]
    pub const fn ending(&self) -> Option<&Ending> {
        match &self.life {
            Life::Ended(ending) => Some(ending),
            _ => None,
        }
    }

    /// Why it is paused: a code, and words.
    #[must_use]
    pub fn pause(&self) -> Option<(&str, &str)> {
        match &self.life {
            Life::Paused { code, why } => Some((code, why)),
            _ => None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.life {
            Life::Ended(_) => Status::Ended,
            Life::Paused { .. } => Status::Paused,
            Life::Going if self.only_humans_can_move_it() => Status::Waiting,
            _ => Status::Running,
        }
    }

    /// What waits for humans.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting> {
        let waits = |step: &&Step| matches!(step.stage, Stage::AwaitsApproval | Stage::AwaitsWord);
        self.batch.iter().filter(waits).map(|step| Waiting {
            step: step.id,
            tool: step.call.name.clone(),
            arguments: step.arguments.text().to_owned(),
            in_doubt: step.stage == Stage::AwaitsWord,
        })
    }

    /// True where nothing is under way and nothing is in doubt: here a fork can leave.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let open = self.question.as_ref().is_some_and(Question::is_open);
        let calm = |step: &Step| match step.stage {
            Stage::ToBeApproved | Stage::AwaitsApproval | Stage::Over(_) => true,
            Stage::ToDo => step.tries == 0,
            _ => false,
        };
        !open && self.batch.iter().all(calm)
    }

    /// What the model is asked at this moment.
    #[must_use]
    pub fn request(&self) -> Request {
        let mut request = self.request_head();
        request.turns.clone_from(&self.turns);
        request
    }

    /// The digest of that; see [`crate::request_digest`].
    #[must_use]
    pub fn digest(&self) -> Hash {
        let head = *self.head.get_or_init(|| head_digest(&self.request_head()));
        self.chain.digest(&head)
    }

    fn request_head(&self) -> Request {
        let own = if self.agent.relay.is_some() { Vec::new() } else { own::tools(&self.agent) };
        Request {
            instructions: self.agent.instructions.clone(),
            tools: own.into_iter().chain(self.agent.tools.iter().map(|tool| tool.spec.clone())).collect(),
            turns: Vec::new(),
            choice: cella_dialogue::ToolChoice::Auto,
            output: self.agent.output.clone(),
            max_output: self.agent.limits.max_output,
            extra: self.agent.extra.clone(),
            relay: self.agent.relay.clone(),
        }
    }

    pub(crate) fn push(&mut self, turn: Turn) {
        self.chain.push(&turn);
        self.turns.push(turn);
    }

    pub(crate) fn ask(&mut self) {
        self.asks += 1;
        self.question = Some(Question {
            id: AskId(self.asks),
            attempts: Vec::new(),
            tried: 0,
            orphaned: false,
            woken: None,
        });
    }

    pub(crate) fn deadline(&self) -> Option<Micros> {
        let time = i64::try_from(self.agent.limits.time_us?).unwrap_or(i64::MAX);
        Some(Micros(self.started.0.saturating_add(time)))
    }

    pub(crate) fn is_still(&self) -> bool {
        let open = self.question.as_ref().is_some_and(Question::is_open);
        !open && !self.batch.iter().any(|step| matches!(step.stage, Stage::Flying(_)))
    }

    fn only_humans_can_move_it(&self) -> bool {
        let waits = |step: &Step| matches!(step.stage, Stage::AwaitsApproval | Stage::AwaitsWord);
        self.question.is_none()
            && self.is_still()
            && self.batch.iter().any(waits)
            && self.due().iter().all(|(key, _)| *key == crate::Key::Deadline)
    }
}

// === impl Question ===

impl Question {
    pub(crate) fn is_open(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.failure.is_none())
    }
}

// === impl Step ===

impl Step {
    pub(crate) fn over(&mut self, text: impl Into<String>, is_error: bool) {
        self.stage = Stage::Over(ToolResult {
            call: self.call.id.clone(),
            name: self.call.name.clone(),
            text: clipped(text.into()),
            is_error,
        });
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// Its order among others matters.
    pub(crate) const fn is_ordered(&self) -> bool {
        match self.wants {
            Wants::Tool(_) => !self.effect.may_be_repeated(),
            Wants::Board { .. } | Wants::Phase(_) => true,
            Wants::Child { .. } | Wants::Nothing => false,
        }
    }
}
