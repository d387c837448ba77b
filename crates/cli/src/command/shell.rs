//! `cella shell`: a shell where a server stands, to see what it sees.

use std::{io::IsTerminal, path::Path};

use cella_node::confine::ShellWish;

use super::exec::{self, Telling};
use crate::{
    args::{Global, Shell},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

/// Shells, the most convenient first; the last one is everywhere.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];

pub(crate) async fn run(args: Shell, global: &Global, printer: Printer) -> Outcome {
    let places = target::places(global);
    let loaded = cella_node::load(&places.config)?;
    let served = loaded.servers.get(args.server.as_str()).ok_or_else(|| no_server(&args.server))?;
    let shell = SHELLS.into_iter().find(|shell| Path::new(shell).is_file()).unwrap_or("/bin/sh");
    let typed = args.args.is_empty() && std::io::stdin().is_terminal();
    let line = if typed { vec!["-i".to_owned()] } else { args.args.clone() };
    let wish = ShellWish { served, shell, args: &line };
    let wished = wish.resolve(&places, &loaded).await.map_err(|error| exec::refusal(&error, shell))?;
    let wished = wished.ok_or_else(|| remote(&args.server))?;
    if typed {
        printer.note(format!(
            "the cell of `{}`, without its environment; a pipe and no terminal: Ctrl-C ends it",
            args.server
        ));
    }
    let telling = Telling { report: args.report, file: None, printer };
    exec::carried_out(&wished, &served.contract, &telling).await
}

/// There is no server of that name.
pub(crate) fn no_server(name: &str) -> Stop {
    Stop::new(Code::Config, codes::SERVER_NAME, format!("there is no enabled server `{name}`"))
        .fix("see which there are: cella ls")
}

fn remote(name: &str) -> Stop {
    Stop::new(Code::Usage, codes::NO_CELL, format!("`{name}` is reached over HTTP and runs in no cell here"))
        .fix("name a server with a `command`: cella ls")
}
