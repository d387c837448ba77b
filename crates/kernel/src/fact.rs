//! What happened in a run: the only way in which anything enters the kernel.

use cella_contract::Effect;
use cella_dialogue::{Answer, Failure, Json, Turn};
use cella_event::{CallId, Hash, Map, Micros, RunId, Seq};

use crate::{Agent, AskId, Part, StepId, Target, Tool};

/// One fact of a run, in the order of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its place in the ledger.
    pub seq: Seq,
    /// When, by the clock of who wrote it: the only time that a run knows.
    pub time: Micros,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The run began.
    Started(Box<Started>),
    /// A node took the run up again. Whatever was under way before is in doubt from here on.
    Resumed,
    /// Tools were found that the run did not know; they stand behind those it has.
    ToolsFound(Vec<Tool>),
    /// A model is about to be asked.
    Asked {
        /// Which question.
        ask: AskId,
        /// Whom.
        target: Target,
        /// The digest of what is asked; see [`crate::request_digest`].
        digest: Hash,
    },
    /// It answered.
    Answered {
        /// Which question.
        ask: AskId,
        /// What it said.
        answer: Box<Answer>,
        /// Why a final answer has not the shape it must have.
        misfit: Option<String>,
    },
    /// It did not.
    Unanswered {
        /// Which question.
        ask: AskId,
        /// Why.
        failure: Failure,
    },
    /// The time that was waited for came.
    Woken {
        /// That time.
        until: Micros,
    },
    /// A reservation was refused: nothing was asked or called.
    OverBudget {
        /// In words: account, resource, limit.
        why: String,
    },
    /// A tool is about to be called.
    Intended(Box<Intended>),
    /// The call has a result.
    Done {
        /// For which step.
        step: StepId,
        /// Which call.
        call: CallId,
        /// What for.
        part: Part,
        /// The MCP `CallToolResult`.
        result: Json,
    },
    /// The call failed.
    Failed {
        /// For which step.
        step: StepId,
        /// Which call.
        call: CallId,
        /// What for.
        part: Part,
        /// The failure, for the model.
        why: String,
        /// It may have been done all the same.
        in_doubt: bool,
    },
    /// The call was refused by its contract and not made.
    Refused {
        /// For which step.
        step: StepId,
        /// Which call.
        call: CallId,
        /// What for.
        part: Part,
        /// The rule.
        why: String,
    },
    /// A human is asked to agree to a call.
    ApprovalAsked {
        /// To which.
        step: StepId,
    },
    /// A human agreed.
    ApprovalGranted {
        /// To which.
        step: StepId,
        /// Who.
        by: String,
    },
    /// A human did not agree, or nobody answered in time.
    ApprovalDenied {
        /// To which.
        step: StepId,
        /// Who.
        by: String,
        /// In their words.
        why: String,
    },
    /// A human was asked what became of a call in doubt.
    DoubtAsked {
        /// Of which.
        step: StepId,
    },
    /// A human said what became of it.
    Resolved {
        /// Of which.
        step: StepId,
        /// What.
        verdict: Verdict,
        /// Who says so.
        by: String,
    },
    /// Something was written on the blackboard.
    BoardSet {
        /// By which step.
        step: StepId,
        /// Under which name.
        key: String,
        /// What.
        value: String,
    },
    /// The run is in another phase.
    PhaseEntered {
        /// By which step.
        step: StepId,
        /// Which.
        phase: String,
    },
    /// Another agent has a task of this run.
    ChildStarted {
        /// For which step.
        step: StepId,
        /// Its run.
        run: RunId,
    },
    /// It is done with it.
    ChildEnded {
        /// For which step.
        step: StepId,
        /// What it says, for the model.
        output: String,
        /// It did not get there.
        failed: bool,
    },
    /// Somebody wants the run to end.
    CancelAsked {
        /// Who.
        by: String,
    },
    /// The run cannot go on by itself, and can be resumed.
    Paused {
        /// A code with a page.
        code: String,
        /// In words.
        why: String,
    },
    /// The run is over.
    Ended(Ending),
    /// The run goes on under another name from here: what follows is a fork's own.
    Forked(Box<Forked>),
}

/// How a run begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// Its name.
    pub run: RunId,
    /// Who pursues it.
    pub agent: Agent,
    /// What it is to do.
    pub task: String,
    /// What was said before, where the task goes on with a talk.
    pub earlier: Vec<Turn>,
    /// The run that gave the task.
    pub parent: Option<RunId>,
    /// The account it spends from, from the organisation down.
    pub account: Option<String>,
}

/// A call on record.
#[derive(Clone, Debug, PartialEq)]
pub struct Intended {
    /// For which step.
    pub step: StepId,
    /// What for.
    pub part: Part,
    /// Its name in the ledger.
    pub call: CallId,
    /// The server.
    pub server: String,
    /// The tool, by the server's own name.
    pub tool: String,
    /// The arguments as the model wrote them; `None` where the payload is gone.
    pub arguments: Option<Json>,
    /// The class it was permitted as.
    pub effect: Effect,
    /// The key under which the server may recognise it.
    pub key: Option<String>,
}

/// What a human says of a call in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was done, and this came of it.
    Happened {
        /// For the model.
        result: String,
    },
    /// It was not done: do it.
    NotHappened,
    /// Leave it; the model is told that nobody knows.
    GivenUp,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Which way.
    pub status: EndStatus,
    /// A code with a page, where it failed.
    pub code: Option<String>,
    /// In words, where it did not complete.
    pub why: Option<String>,
    /// The final answer.
    pub output: String,
}

/// Ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndStatus {
    /// The model gave its final answer.
    Completed,
    /// It did not get there.
    Failed,
    /// Somebody wanted it to end.
    Cancelled,
}

/// Where a fork leaves the run it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Forked {
    /// The new run.
    pub run: RunId,
    /// The run it comes from.
    pub from: RunId,
    /// The last event that both share.
    pub at: Seq,
    /// What is different from here on: the whole agent, where it is another.
    pub agent: Option<Agent>,
    /// What the user says next.
    pub say: Option<String>,
    /// Facts for those who read the ledger.
    pub note: Map,
}

// === impl What ===

impl What {
    /// Said by people, who may be late: what does not fit any more changes nothing.
    pub(crate) const fn is_of_people(&self) -> bool {
        matches!(
            self,
            Self::ApprovalGranted { .. }
                | Self::ApprovalDenied { .. }
                | Self::Resolved { .. }
                | Self::CancelAsked { .. }
                | Self::Resumed
        )
    }

    /// The end of a call, which may be of an earlier try.
    pub(crate) const fn outcome_of(&self) -> Option<&CallId> {
        match self {
            Self::Done { call, .. } | Self::Failed { call, .. } | Self::Refused { call, .. } => Some(call),
            _ => None,
        }
    }
}

// === impl EndStatus ===

impl EndStatus {
    /// The word in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Completed, Self::Failed, Self::Cancelled].into_iter().find(|s| s.as_str() == word)
    }
}
