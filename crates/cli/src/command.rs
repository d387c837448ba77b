//! One file per verb.

mod add;
mod call;
mod client;
mod completion;
mod config;
mod contract;
mod demo;
mod doctor;
mod exec;
mod explain;
mod help;
mod import;
mod linger;
mod log;
mod ls;
mod rm;
mod secret;
mod shell;
mod status;
mod stdio;
mod tools;
mod top;
mod up;
mod workspace;

pub(crate) use explain::PAGES as ERROR_PAGES;

use crate::{
    args::{Cli, Verb},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

/// Runs the verb.
pub(crate) fn run(cli: Cli, printer: Printer) -> Outcome {
    let Cli { global, verb } = cli;
    match verb {
        // Without a runtime: quick, or with a runtime of their own.
        Verb::Completion(args) => completion::run(&args, printer),
        Verb::Explain(args) => explain::run(&args, printer),
        Verb::Help(args) => help::run(&args, printer),
        Verb::Serve(args) => serve(&args),
        Verb::Config(args) => config::run(&args, &global, printer),
        Verb::Ls => ls::run(&global, printer),
        Verb::Rm(args) => rm::run(&args, &global, printer),
        Verb::Prices(args) => cella_runs::prices(&args, &global, printer),
        Verb::Secret(args) => secret::run(args, &global, printer),
        Verb::Up(args) => up::run(args, &global, printer),
        Verb::Linger(args) => linger::run(args, &global, printer),
        Verb::Demo(args) => block_on(demo::run(args, printer)),
        Verb::Add(args) => block_on(add::run(args, &global, printer)),
        Verb::Status(target) => block_on(status::run(target, &global, printer)),
        Verb::Call(args) => block_on(call::run(args, &global, printer)),
        Verb::Tools(args) => block_on(tools::run(args, &global, printer)),
        Verb::Log(args) => block_on(log::run(args.what, &global, printer)),
        Verb::Import(args) => block_on(import::run(args, &global, printer)),
        Verb::Client(args) => block_on(client::run(args.what, &global, printer)),
        Verb::Doctor(args) => block_on(doctor::run(args, &global, printer)),
        Verb::Exec(args) => block_on(exec::run(args, &global, printer)),
        Verb::Shell(args) => block_on(shell::run(args, &global, printer)),
        Verb::Contract(args) => block_on(contract::run(args.what, &global, printer)),
        Verb::Workspace(args) => block_on(workspace::run(args, &global, printer)),
        Verb::Top(args) => block_on(top::run(args, &global, printer)),
        Verb::Runs(verb) => block_on(cella_runs::run(verb, &global, printer)),
        Verb::Stdio(args) => block_on(stdio::run(args, &global)),
    }
}

fn serve(args: &crate::args::Serve) -> Outcome {
    match cella_builtin::serve(&args.name, &args.args) {
        Ok(()) => Ok(Code::Ok),
        Err(e) => {
            let (exit, fix) = match e {
                cella_builtin::ServeError::Unknown(_) => (Code::Usage, "name one of these"),
                _ => (Code::Failed, "let a node start it: cella add NAME --builtin SERVER"),
            };
            Err(Stop::new(exit, codes::BUILT_IN, e).fix(fix))
        }
    }
}

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(workers());
    }
    let runtime = builder.enable_all().build().map_err(Stop::system("the runtime"))?;
    let outcome = runtime.block_on(work);
    // Whatever is still running is not awaited: the verb has said that it is done.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    outcome
}

/// Half of the processors: the other half is for the servers and agents on both sides of a call. A worker more than there
/// is work for costs each call a futile wake-up, which on two processors was an eighth of the node's time.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2))
}
