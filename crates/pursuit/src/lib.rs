//! How is a run pursued? [`Runs`] begins runs, takes them up again and carries to them what people decide; a driver of its own for each
//! begins what the kernel says is due, puts it on record before and after, and feeds the kernel from the ledger and from nothing
//! else. So a live run takes the same way as one that is taken up again or replayed.
//!
//! Refuses to do: deciding (the kernel's), speaking to models and tools (a [`Host`]'s), knowing what a call may do (contracts').

mod claims;
mod crash;
mod drive;
mod error;
mod feed;
mod host;
mod load;
mod perform;
mod purse;
mod record;
mod runs;

pub use crash::crash_point;
pub use error::{BadDecision, Broken, LoadError, StartError};
pub use host::{AskOrder, Asked, CallOrder, Cost, Cut, Host, Meter, Notice, Prepared};
pub use load::{known_runs, load, state};
pub use purse::{RUN_TOKENS, SPENDING};
pub use runs::{Begin, Decision, Known, Runs, fresh};
