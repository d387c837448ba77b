//! What a run needs from the node it runs in.

use std::sync::Arc;

use cella_dialogue::{Answer, Failure, OutputSchema, Relay, Request, Usage};
use cella_event::{Map, Micros, RunId};
use cella_kernel::{Agent, Deadlines, StepId, Target, ToCall};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::Broken;

/// The node, as a run sees it.
///
/// Obligations:
/// 1. [`Host::call`] puts the intent on record before the call, with `run`, and with `step` and `part` in the body, and
///    exactly one outcome after it, or a refusal alone. When it returns, whichever it was is in the ledger.
/// 2. [`Host::call`] sends the key of the order where there is one, and says in the intent which key it sent.
/// 3. [`Host::send`] sends the bytes that were prepared and no others, once.
/// 4. Dropping a future of [`Host::send`] ends the connection; dropping one of [`Host::call`] leaves `call.cancelled` in doubt.
pub trait Host: Send + Sync + 'static {
    /// Makes a call of a tool, and puts it on record. False: it was refused, and nothing was done.
    fn call(&self, order: CallOrder) -> BoxFuture<'_, Result<bool, Broken>>;

    /// What so many tokens of a model cost, in micro-units of the currency, with what the price was; `None`: nobody knows.
    fn cost(&self, target: &Target, usage: Usage) -> Option<Cost>;

    /// Writes a request in the wire of its target; sends nothing.
    ///
    /// # Errors
    /// There is no such provider, or no key for it: a failure like any other attempt's.
    fn prepare(&self, run: &RunId, target: &Target, request: &Request) -> Result<Prepared, Failure>;

    /// Sends what was prepared and waits for the whole answer. `meter` sees it come in.
    fn send(&self, order: AskOrder) -> BoxFuture<'_, Asked>;

    /// The agent of that name, resolved as it is now; `Err`: why there is none, for the model that wanted it.
    fn colleague(&self, name: &str) -> BoxFuture<'_, Result<Agent, String>>;

    /// The time, for waits. What is on record has the ledger's own.
    fn now(&self) -> Micros;

    /// Tells people that something waits for them, or that a run ended.
    fn tell(&self, notice: Notice);
}

/// A price and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Micro-units of the currency.
    pub micros: u64,
    /// The row of the table of prices that was used.
    pub price: Map,
}

/// A call that a run wants made.
#[derive(Clone, Debug)]
pub struct CallOrder {
    /// For which run.
    pub run: RunId,
    /// Who is behind the run.
    pub principal: Arc<str>,
    /// What.
    pub call: ToCall,
    /// The run whose answers are given instead of calling anybody.
    pub rehearses: Option<RunId>,
    /// More for the body of the intent.
    pub facts: Map,
}

/// A request in the form in which it is sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Whom it is for.
    pub target: Target,
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// They are a client's own; then this is what they are written in.
    pub relay: Option<Relay>,
    /// At most so many tokens of input, by a safe estimate.
    pub input_tokens: u64,
    /// At most so many tokens of output.
    pub output_tokens: u64,
}

/// A question that is to be sent.
#[derive(Debug)]
pub struct AskOrder {
    /// For which run.
    pub run: RunId,
    /// What is sent.
    pub prepared: Prepared,
    /// How long it may take.
    pub deadlines: Deadlines,
    /// The shape that a final answer must have.
    pub output: Option<OutputSchema>,
    /// Whether to break it off.
    pub meter: Meter,
}

/// Watches an answer come in.
#[derive(Clone, Debug)]
pub struct Meter {
    /// Output tokens at which the answer is broken off; `None`: never.
    pub output_tokens_max: Option<u64>,
    /// Changes when somebody wants it broken off.
    pub cut: watch::Receiver<Option<Cut>>,
}

/// Why an answer is broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The run is to end.
    Cancelled,
    /// The budget is used up.
    OverBudget,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// What the provider sent, as received; empty where it sent nothing.
    pub raw: Vec<u8>,
    /// What it used; of an answer that broke off at most so much.
    pub usage: Usage,
    /// Why a final answer has not the shape that the request wants.
    pub misfit: Option<String>,
    /// More for the body of the outcome: times, for example.
    pub facts: Map,
}

/// What people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A call waits for approval.
    Approval {
        /// Of which run.
        run: RunId,
        /// Which.
        step: StepId,
    },
    /// Nobody knows whether a call was done.
    Doubt {
        /// Of which run.
        run: RunId,
        /// Which.
        step: StepId,
        /// Why nobody knows.
        why: String,
    },
    /// A run is paused.
    Paused {
        /// Which.
        run: RunId,
    },
    /// A run is over.
    Ended {
        /// Which.
        run: RunId,
    },
    /// A run's pursuit broke off.
    Broken {
        /// Which.
        run: RunId,
        /// Why.
        why: String,
    },
}

impl Asked {
    /// Nothing was sent, or nothing that costs came back.
    #[must_use]
    pub const fn nothing(failure: Failure) -> Self {
        let usage = Usage { input: 0, cached_input: 0, cache_write: 0, output: 0, reasoning: 0 };
        Self { result: Err(failure), raw: Vec::new(), usage, misfit: None, facts: Map::new() }
    }
}
