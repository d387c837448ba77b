//! One call in progress, seen from the side that asked.
//!
//! The common case (a server answers with one JSON body) allocates no channel: the exchange is born ready. Dropping an
//! exchange that is not finished cancels the call at the server.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use cella_mcp::{Era, Notification, Raw, RpcError};

/// Steps that may wait between performer and asker before the performer is held up. Stops a flood of notifications
/// from filling memory when the asking client reads slowly; past it the server's stream is read no further.
pub const STEPS_WAITING_MAX: usize = 64;

/// What happens next in an exchange.
#[derive(Debug)]
pub enum Step {
    /// A progress or log message that belongs to this call, tokens already those of the caller.
    Notify(Notification),
    /// The server asks the client for something before it can go on (elicitation, sampling, roots).
    Ask(Ask),
    /// The call is over. Nothing follows.
    Done(Answer),
}

/// Names one question within one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskKey(pub u64);

/// The asker's answer to one question.
pub type Reply = (AskKey, Result<Raw, RpcError>);

/// A server-to-client request within a call.
#[derive(Debug)]
pub struct Ask {
    /// To be given back with the answer.
    pub key: AskKey,
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: Box<str>,
    /// As the server sent them.
    pub params: Option<Raw>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Answer {
    /// The era in which `outcome` is written: a modern result carries `resultType`, a legacy one does not.
    pub era: Era,
    /// The result as the server wrote it, or why there is none.
    pub outcome: Result<Raw, Failure>,
}

/// Why a call has no result.
#[derive(Debug)]
pub enum Failure {
    /// The server answered with an error of its own; passes through.
    Peer(RpcError),
    /// The call could not be carried, or Cella refused it.
    Fault(Fault),
}

/// A failure between the asker and the server, Cella's own refusals among them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// What kind of failure, for those who branch on it.
    pub kind: FaultKind,
    /// A stable code, `CE####`, with a page in `docs/errors`.
    pub code: &'static str,
    /// What happened, without secrets: a model reads this.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// True when the server may have acted on the request although no answer came.
    pub in_doubt: bool,
}

/// Classes of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// A contract or a limit forbids it; trying again is no use.
    Refused,
    /// No such server, tool, resource or prompt.
    NotFound,
    /// The client lacks a capability the server needs; `data` names it.
    MissingCapability,
    /// The server could not be started or reached.
    Unavailable,
    /// The server wants credentials Cella does not have.
    AuthRequired,
    /// The server's process or connection ended in the middle.
    Crashed,
    /// No answer within the deadline.
    TimedOut,
    /// The answer was not valid JSON-RPC, or past a limit.
    Garbage,
    /// The caller went away or cancelled.
    Cancelled,
    /// A fault of Cella's own.
    Internal,
}

/// Sees what passes through an exchange, without delaying it: how the node records outcomes.
///
/// Dropped right after `Done` was seen. An observer dropped before that knows that the asker went away.
pub trait Observer: Send {
    /// A step is about to reach the asker.
    fn saw(&mut self, step: &Step);
    /// The asker answered a question.
    fn replied(&mut self, key: AskKey, reply: &Result<Raw, RpcError>);
}

/// One call in progress.
pub struct Exchange {
    inner: Inner,
    observer: Option<Box<dyn Observer>>,
    held: Option<Box<dyn Send>>,
    map: Option<Box<dyn FnMut(Step) -> Step + Send>>,
}

enum Inner {
    Ready(Option<Box<Answer>>),
    Live { steps: mpsc::Receiver<Step>, replies: mpsc::UnboundedSender<Reply>, _alive: oneshot::Sender<()> },
    Over,
}

/// The other end of a live exchange: whoever carries the call.
#[derive(Debug)]
pub struct Performer {
    steps: mpsc::Sender<Step>,
    replies: mpsc::UnboundedReceiver<Reply>,
    alive: oneshot::Receiver<()>,
}

// === impl Answer ===

impl Answer {
    /// An answer that Cella itself wrote, always in the newest era.
    #[must_use]
    pub fn own(outcome: Result<Raw, Failure>) -> Self {
        Self { era: Era::Modern, outcome }
    }
}

// === impl Exchange ===

impl Exchange {
    /// An exchange that is already over.
    #[must_use]
    pub fn ready(answer: Answer) -> Self {
        Self { inner: Inner::Ready(Some(Box::new(answer))), observer: None, held: None, map: None }
    }

    /// An exchange that ends with a fault.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self::ready(Answer { era: Era::Modern, outcome: Err(Failure::Fault(fault)) })
    }

    /// An exchange with steps to come, and the end that produces them.
    #[must_use]
    pub fn live() -> (Performer, Self) {
        let (step_tx, steps) = mpsc::channel(STEPS_WAITING_MAX);
        let (replies, reply_rx) = mpsc::unbounded_channel();
        let (alive_tx, alive) = oneshot::channel();
        (
            Performer { steps: step_tx, replies: reply_rx, alive },
            Self {
                inner: Inner::Live { steps, replies, _alive: alive_tx },
                observer: None,
                held: None,
                map: None,
            },
        )
    }

    /// The same exchange, watched. Only the latest observer is kept.
    #[must_use]
    pub fn observed(mut self, observer: Box<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The same exchange, keeping `held` until the call is over or given up: how the pool counts calls in progress.
    #[must_use]
    pub fn holding(mut self, held: Box<dyn Send>) -> Self {
        self.held = Some(held);
        self
    }

    /// The same exchange, each step changed before anybody sees it: how names of one server become names of the
    /// catalogue. Changes are made in the order in which they were added.
    #[must_use]
    pub fn mapped(mut self, mut map: Box<dyn FnMut(Step) -> Step + Send>) -> Self {
        self.map = Some(match self.map.take() {
            None => map,
            Some(mut first) => Box::new(move |step| map(first(step))),
        });
        self
    }

    /// The answer, when it is already there: [`Exchange::next`] will not wait.
    #[must_use]
    pub fn peek_ready(&self) -> Option<&Answer> {
        match &self.inner {
            Inner::Ready(answer) => answer.as_deref(),
            Inner::Live { .. } | Inner::Over => None,
        }
    }

    /// The answer, when the exchange is already over and nobody has taken it: the path without waiting.
    pub fn take_ready(&mut self) -> Option<Answer> {
        let Inner::Ready(answer) = &mut self.inner else { return None };
        let answer = answer.take().map(|a| *a);
        self.inner = Inner::Over;
        self.held = None;
        match (answer, &mut self.map) {
            (Some(answer), Some(map)) => match map(Step::Done(answer)) {
                Step::Done(answer) => Some(answer),
                Step::Notify(_) | Step::Ask(_) => None,
            },
            (answer, _) => answer,
        }
    }

    /// Waits for the next step. After `Done` it must not be called again.
    ///
    /// Cancel safe: a step is either returned or still waiting.
    pub async fn next(&mut self) -> Step {
        let step = match &mut self.inner {
            Inner::Ready(answer) => answer.take().map(|a| Step::Done(*a)),
            Inner::Live { steps, .. } => steps.recv().await,
            Inner::Over => None,
        };
        let mut step = step.unwrap_or_else(|| Step::Done(lost()));
        if let Some(map) = &mut self.map {
            step = map(step);
        }
        if let Some(observer) = &mut self.observer {
            observer.saw(&step);
        }
        if matches!(step, Step::Done(_)) {
            self.inner = Inner::Over;
            self.observer = None;
            self.held = None;
        }
        step
    }

    /// Gives the client's answer to a question back to the server.
    pub fn answer(&mut self, key: AskKey, reply: Result<Raw, RpcError>) {
        if let Some(observer) = &mut self.observer {
            observer.replied(key, &reply);
        }
        if let Inner::Live { replies, .. } = &self.inner {
            let _gone = replies.send((key, reply)).is_err();
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.inner {
            Inner::Ready(_) => "Exchange(ready)",
            Inner::Live { .. } => "Exchange(live)",
            Inner::Over => "Exchange(over)",
        })
    }
}

// === impl Performer ===

impl Performer {
    /// Hands a step to the asker; false when the asker is gone.
    pub async fn step(&self, step: Step) -> bool {
        self.steps.send(step).await.is_ok()
    }

    /// Waits for the answer to a question. `None` when the asker is gone.
    pub async fn reply(&mut self) -> Option<Reply> {
        self.replies.recv().await
    }

    /// Completes when the asker has dropped the exchange.
    pub async fn abandoned(&mut self) {
        let _dropped = (&mut self.alive).await;
    }

    /// Splits into the parts a driver selects over.
    #[must_use]
    pub fn split(self) -> (mpsc::Sender<Step>, mpsc::UnboundedReceiver<Reply>, oneshot::Receiver<()>) {
        (self.steps, self.replies, self.alive)
    }
}

fn lost() -> Answer {
    Answer {
        era: Era::Modern,
        outcome: Err(Failure::Fault(Fault {
            kind: FaultKind::Internal,
            code: "CE5000",
            message: "the call was dropped inside Cella".into(),
            fix: None,
            in_doubt: true,
        })),
    }
}
