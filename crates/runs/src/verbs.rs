//! Runs: one file for those that need a node, one for those that read a ledger, one for watching.

mod cells;
mod live;
mod read;
mod session;
mod watch;

pub use read::cells;
pub(crate) use read::known;

use crate::{
    args::{Global, RunVerb},
    exit::Outcome,
    print::Printer,
};

/// Runs the verb.
///
/// # Errors
/// How it ends, for people.
pub async fn run(verb: RunVerb, global: &Global, printer: Printer) -> Outcome {
    match verb {
        RunVerb::Run(args) => live::begin(args, global, printer).await,
        RunVerb::Resume(args) => live::resume(args, global, printer).await,
        RunVerb::Approve(args) => live::approve(args, global, printer).await,
        RunVerb::Deny { step, why } => live::deny(step, &why, global, printer).await,
        RunVerb::Resolve(args) => live::resolve(args, global, printer).await,
        RunVerb::Cancel(args) => live::cancel(args, global, printer).await,
        RunVerb::Fork(args) => live::fork(args, global, printer).await,
        RunVerb::Runs(target) => read::list(&target, global, printer).await,
        RunVerb::Show(args) => read::show(args, global, printer).await,
        RunVerb::Replay(args) => match &args.model {
            Some(model) => live::rehearse(&args.which, model, global, printer).await,
            None => cells::replay(&args, global, printer).await,
        },
        RunVerb::Diff { left, right } => read::diff(&left, &right, global, printer),
        RunVerb::Backtest(args) => read::backtest(&args, global, printer),
    }
}
