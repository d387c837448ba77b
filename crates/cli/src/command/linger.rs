//! `cella linger`: the node that a client without one starts. It belongs to no client: it stays when the client goes, is
//! there for the next one, and ends by itself when none has come for a while.
//!
//! Nobody types it. It has the local door only, and says what it has to say to the log that its starter opened.

use cella_contract::parse_duration;

use super::up::{Signals, until_told};
use crate::{
    args::{Global, Linger},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

pub(crate) fn run(args: Linger, global: &Global, printer: Printer) -> Outcome {
    // Away from the client's terminal and group: what ends those must not end the node. It fails for a leader of a group
    // only, which somebody who types this may be.
    let _led_already = rustix::process::setsid().is_err();
    super::block_on(serve(args, global, printer))
}

async fn serve(args: Linger, global: &Global, printer: Printer) -> Outcome {
    let idle = parse_duration(&args.idle).ok_or_else(|| {
        Stop::new(Code::Usage, codes::USAGE, format!("`{}` is no duration", args.idle))
            .fix("write CELLA_LINGER as 10m, 30s or 2h")
    })?;
    let places = target::places(global);
    let mut options = cella_node::Options::new(places);
    options.http = false;
    // There is no HTTP door to protect, and the file of the configured one may be another user's.
    options.token_file = Some(options.places.state.join("stdio-token"));
    let mut signals = Signals::new().map_err(Stop::system("signals"))?;
    let running = match cella_node::start(options).await {
        Ok(running) => running,
        Err(error) if error.is_held() => {
            printer.stop(&error.into());
            // Its starter looks again: a node is starting or ending just now.
            return Ok(Code::TimedOut);
        }
        Err(error) => return Err(error.into()),
    };
    for warning in running.warnings() {
        printer.warn(warning);
    }
    let failed = tokio::select! {
        failed = until_told(&running, &mut signals) => failed,
        () = running.idle(idle) => None,
    };
    running.drain().await;
    match failed {
        None => Ok(Code::Ok),
        Some(error) => Err(error.into()),
    }
}
