//! Arguments of the verbs.

mod prices;
mod runs;

pub(crate) use cella_terminal::{Global, Target};

pub(crate) use self::runs::{Backtest, Fork, Replay, Resolve, Resume, Run, Show, Step, Which};
pub use self::{prices::Prices, runs::RunVerb};
