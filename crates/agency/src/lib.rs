//! What is an agent at this node? Agents' files become what a run is begun with, providers become models that can be asked, and runs
//! become answers for people: lists, sentences, replays, comparisons, backtests.
//!
//! Refuses to do: pursuing runs (`pursuit`), deciding (`kernel`), calling tools (the node).

mod machine;
mod told;
mod view;

pub use machine::{RUNS_TESTED, compared, replayed, under_agent, under_contract};
pub use told::Teller;
pub use view::{RUNS_LISTED, list, show, status, told, whole};
