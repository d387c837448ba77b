//! `cella`: what a person types. Parse, set up the log, run one verb, report how it ended.

mod args;
mod command;
mod complete;
mod edit;
mod packages;
mod relay;
mod terms;

use std::process::ExitCode;

// The rooms of the terminal go by the same names in every verb.
use cella_terminal::{attach, codes, exit, mcp_client, print, prompt, single_keys, target};
use clap::Parser;

use crate::{args::Cli, print::Printer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The cell launcher is this same binary, so that a node needs no second file; it must run before anything else
    // starts a thread.
    cella_cell::launcher_main();
    cella_cell_vm::guest_main();
    complete::answer_shell();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let printer = Printer::new(&cli.global);
    log(&cli);
    match command::run(cli, printer) {
        Ok(code) => code.into(),
        Err(stop) => {
            printer.stop(&stop);
            stop.exit.into()
        }
    }
}

fn log(cli: &Cli) {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};
    let level = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn,cella_node=info",
        (_, 1) => "info,cella_node=debug,cella_catalog=debug,cella_cell=debug",
        _ => "debug",
    };
    let wanted = std::env::var("CELLA_LOG").unwrap_or_else(|_| level.to_owned());
    let filter: Targets =
        wanted.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    // The log goes to stderr: stdout is for data.
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    let json = matches!(&cli.verb, args::Verb::Up(up) if up.log_format == args::LogFormat::Json);
    if json { registry.with(layer.json()).init() } else { registry.with(layer.compact()).init() }
}
