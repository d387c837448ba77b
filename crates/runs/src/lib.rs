//! What do people say about agents and runs on the command line? The verbs `run, runs, show, resume, approve, deny, resolve, cancel, replay,
//! fork, diff, backtest` and `prices`: their arguments, what the shell completes, and what they print.
//!
//! Refuses to do: pursuing runs, folding them (`agency`); options and printing that other verbs share (`terminal`).

mod args;
mod complete;
mod prices;
mod verbs;

pub use args::{Prices, RunVerb};
pub use prices::run as prices;
pub use verbs::{cells, run};

use cella_terminal::{codes, exit, print, prompt, target};
