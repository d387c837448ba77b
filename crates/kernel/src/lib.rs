//! What happens next in a run? A [`State`] is the fold of a run's facts, and [`State::due`] says what is to be done: ask a model, call a
//! tool, ask a human, wait, end. [`step`] is both at once. The same code serves a live run, one that is taken up again after a crash, replay,
//! fork and backtest, because everything that is not computed here (time, chance, what models and tools answer, what people
//! decide) enters as a [`Fact`] and in no other way.
//!
//! An effect is due until its beginning is on record, and each is put on record before it happens. So a call whose beginning is on
//! record and whose end is not is *in doubt* when a node takes the run up again ([`What::Resumed`]), and what may be done
//! about it is decided by what the call does to the world: again, again with the same key, take it back first, ask whether it was
//! done, or ask a human (`docs/adr/0013-runs.md`).
//!
//! Refuses to do: clocks, randomness, I/O, async, counting money (`agreement`), writing any wire (`model`).

mod agent;
pub mod codes;
mod digest;
mod due;
mod effect;
mod fact;
mod fold;
mod ids;
mod outcome;
mod own;
mod policy;
mod record;
mod replay;
mod state;
mod steps;

pub use agent::{Agent, Colleague, Limits, Tool};
pub use digest::request_digest;
pub use due::step;
pub use effect::{Effect, Key, ToCall};
pub use fact::{EndStatus, Ending, Fact, Forked, Intended, Started, Verdict, What};
pub use fold::Impossible;
pub use ids::{AskId, NotAStep, Part, StepId};
pub use outcome::{RESULT_BYTES_MAX, result_text};
pub use own::{BOARD_ENTRIES_MAX, BOARD_KEY_BYTES_MAX, BOARD_VALUE_BYTES_MAX};
pub use policy::{Attempt, Canary, Deadlines, Fallback, ModelPolicy, Next, Target, WAIT_US_MAX};
pub use record::{Decoder, Recorded, Unreadable, encode};
pub use replay::{Divergence, Replayed, replay};
pub use state::{Counts, State, Status, Waiting};
