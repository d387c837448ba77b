//! What a run wants done. An effect is a value; a driver outside does it and puts on record what came of it.

use cella_contract::Effect as Class;
use cella_dialogue::Json;
use cella_event::{Hash, Micros, RunId};

use crate::{AskId, Ending, Part, StepId, Target};

/// Names an effect that is due, so that what is under way is not begun twice. After a crash nothing is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An attempt to have a question answered: question, and which attempt.
    Ask(AskId, u32),
    /// An attempt that nobody will hear the end of.
    Forfeit(AskId, u32),
    /// A wait before an attempt.
    Wait(AskId, u32),
    /// The last moment of the run.
    Deadline,
    /// A call: step, part, and which try.
    Call(StepId, Part, u32),
    /// An approval to be asked for.
    Approval(StepId),
    /// A human to be asked about a doubt.
    Doubt(StepId),
    /// What a step of the kernel's own tools puts on record.
    Note(StepId),
    /// A task for another agent.
    Child(StepId),
    /// The run's own pause.
    Pause,
    /// Its end.
    End,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask a model; on record are to come `Asked` and then `Answered` or `Unanswered`, or `OverBudget` alone.
    Ask {
        /// Which question.
        ask: AskId,
        /// Whom.
        target: Target,
        /// The digest of what is asked; [`crate::State::request`] is that.
        digest: Hash,
    },
    /// Put on record that the attempt which is open is lost, at the cost that was reserved for it.
    Forfeit {
        /// Which question.
        ask: AskId,
    },
    /// Put `Woken` on record when this time has come.
    Wait {
        /// Until when.
        until: Micros,
    },
    /// Call a tool; on record are to come `Intended` and then `Done` or `Failed`, or `Refused` or `OverBudget` alone.
    Call(Box<ToCall>),
    /// Ask a human to agree to a call: put `ApprovalAsked` on record and tell people.
    AskApproval {
        /// To which.
        step: StepId,
        /// The server.
        server: String,
        /// The tool there.
        tool: String,
        /// With these arguments and no others.
        arguments: Json,
        /// What it does to the world.
        effect: Class,
    },
    /// Ask a human what became of a call: put `DoubtAsked` on record and tell people.
    AskAboutDoubt {
        /// Of which.
        step: StepId,
        /// The server.
        server: String,
        /// The tool there.
        tool: String,
        /// Why nobody else can say.
        why: String,
    },
    /// Put `BoardSet` on record.
    SetBoard {
        /// By which step.
        step: StepId,
        /// Under which name.
        key: String,
        /// What.
        value: String,
    },
    /// Put `PhaseEntered` on record.
    EnterPhase {
        /// By which step.
        step: StepId,
        /// Which.
        phase: String,
    },
    /// Put `ChildStarted` on record where it is not, pursue that run, and put `ChildEnded` on record.
    StartChild {
        /// For which step.
        step: StepId,
        /// The run's name.
        run: RunId,
        /// The agent.
        agent: String,
        /// Its task.
        task: String,
    },
    /// Put `Paused` on record.
    Pause {
        /// A code with a page.
        code: &'static str,
        /// In words.
        why: String,
    },
    /// Put `Ended` on record.
    End(Ending),
}

/// A call to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct ToCall {
    /// For which step.
    pub step: StepId,
    /// What for.
    pub part: Part,
    /// The server.
    pub server: String,
    /// The tool there.
    pub tool: String,
    /// The arguments as the model wrote them: a JSON object.
    pub arguments: Json,
    /// The class that the run knows it by.
    pub effect: Class,
    /// The key of the first try; `None`: it is the first.
    pub key: Option<String>,
    /// The phase that the run is in.
    pub phase: Option<String>,
}
