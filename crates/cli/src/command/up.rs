//! `cella up`: parse, build, announce, run, drain.

use std::time::Duration;

use cella_node::Inherited;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    args::{Global, Up},
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

/// The signals a node listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

pub(crate) fn run(args: Up, global: &Global, printer: Printer) -> Outcome {
    // Before the runtime starts its threads, because it changes the environment.
    let inherited = Inherited::take()?;
    super::block_on(serve(args, inherited, global, printer))
}

async fn serve(args: Up, inherited: Inherited, global: &Global, printer: Printer) -> Outcome {
    let places = target::places(global);
    let mut options = cella_node::Options::new(places);
    options.listen = args.listen;
    options.token_file = args.token_file;
    options.accept_loss = args.accept_loss;
    options.inherited = inherited;
    // Before anything is opened: a signal that nobody waits for ends the process with the ledger unwritten.
    let mut signals = Signals::new().map_err(Stop::system("signals"))?;
    let running = cella_node::start(options).await?;

    for warning in running.warnings() {
        printer.warn(warning);
    }
    announce(&running, printer);
    let failed = until_told(&running, &mut signals).await;
    let drained = running.drain().await;
    if !drained {
        printer.warn("some calls were still running and were cut off");
    }
    match failed {
        None => Ok(Code::Ok),
        Some(error) => Err(error.into()),
    }
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// The stable line scripts wait for: `ready` and the URL, once calls are accepted.
fn announce(running: &cella_node::Running, printer: Printer) {
    if printer.is_json() {
        printer.json(&running.announcement());
    } else {
        printer.line(format!("ready {}", running.url()));
        printer.note(format!("  token   {}", running.token_file().display()));
        printer.note(format!("  socket  {}", running.socket().display()));
        printer.note(format!("  ledger  {}", running.ledger().display()));
    }
}

/// Runs until SIGTERM or SIGINT, or until the node cannot go on; SIGHUP reads the configuration again.
pub(super) async fn until_told(
    running: &cella_node::Running,
    told: &mut Signals,
) -> Option<cella_node::StartError> {
    let mut watchdog = tokio::time::interval(running.watchdog().unwrap_or(Duration::from_secs(3600)));
    loop {
        tokio::select! {
            _ = told.terminate.recv() => return None,
            _ = told.interrupt.recv() => return None,
            _ = told.hang_up.recv() => running.reload().await,
            _ = watchdog.tick(), if running.watchdog().is_some() => running.alive(),
            error = running.failed() => return Some(error),
        }
    }
}
