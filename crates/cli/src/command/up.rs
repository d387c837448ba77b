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
    options.inherited = inherited;
    // Listened for from the start: a signal right after `ready`, or before it, must drain and not kill.
    let signals = Signals::new().map_err(Stop::system("signals"))?;
    let running = cella_node::start(options).await?;

    for warning in running.warnings() {
        printer.warn(warning);
    }
    announce(&running, printer);
    let ended = until_told(&running, signals).await;
    let drained = running.drain().await;
    if !drained {
        printer.warn("some calls were still running and were cut off");
    }
    Ok(if ended { Code::Ok } else { Code::Failed })
}

/// What a supervisor and a terminal can say.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
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

/// Runs until SIGTERM or SIGINT (true) or a fatal fault (false); SIGHUP reads the configuration again.
async fn until_told(running: &cella_node::Running, signals: Signals) -> bool {
    let Signals { mut term, mut int, mut hup } = signals;
    let mut watchdog = tokio::time::interval(running.watchdog().unwrap_or(Duration::from_secs(3600)));
    loop {
        tokio::select! {
            _ = term.recv() => return true,
            _ = int.recv() => return true,
            _ = hup.recv() => running.reload().await,
            _ = watchdog.tick(), if running.watchdog().is_some() => running.alive(),
            () = running.failed() => return false,
        }
    }
}
