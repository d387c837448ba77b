//! `cella exec`: any command in a cell of its own, with this process's standard streams. Needs no node.
//!
//! Standard output belongs to the program, so everything that is said here goes to standard error, JSON included.

mod changed;
mod told;

use std::sync::Arc;

use cella_cell::CellError;
use cella_node::confine::{ConfineError, Confinement, Wish, Wished};
use cella_words::Traffic;

pub(crate) use self::told::Telling;

use self::changed::Changed;

use super::workspace;
use crate::{
    args::{Exec, Global},
    attach::{self, Signals},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target, terms,
};

pub(crate) async fn run(args: Exec, global: &Global, printer: Printer) -> Outcome {
    let telling = Telling { report: args.report, file: args.report_file.clone(), printer };
    match started(&args, global, &telling).await {
        Ok(code) => Ok(code),
        Err(stop) => telling.refused(stop),
    }
}

async fn started(args: &Exec, global: &Global, telling: &Telling) -> Outcome {
    let terms = terms::of_word(&args.contract)?;
    let env = args.env.iter().map(|pair| variable(pair)).collect::<Result<_, _>>()?;
    let Some((command, rest)) = args.command.split_first() else {
        return Err(Stop::new(Code::Usage, codes::USAGE, "no command").fix("see: cella exec --help"));
    };
    let wish = Wish {
        name: "exec".to_owned(),
        terms,
        command: command.clone(),
        args: rest.to_vec(),
        cwd: args.cwd.as_ref().map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.clone())),
        env,
        best_effort: args.best_effort,
        copy: args.copy || args.from.is_some(),
        from: args.from.clone(),
    };
    let places = target::places(global);
    let loaded = terms::configuration(global)?;
    let wished = wish.resolve(&places, loaded.as_ref()).map_err(|error| refusal(&error, command))?;
    carried_out(&wished, &wish.terms.contract, telling).await
}

/// Runs what was decided, and gives the program's own exit status.
pub(crate) async fn carried_out(
    wished: &Wished,
    contract: &cella_contract::Contract,
    telling: &Telling,
) -> Outcome {
    let mut signals = Signals::new().map_err(Stop::system("signals"))?;
    // What was killed before it could clean up leaves empty control groups.
    cella_cell::sweep();
    cella_cell_vm::sweep();
    let confinement = Confinement::new();
    let traffic = Arc::new(Traffic::default());
    let command = wished.spec.program.command.display().to_string();
    let running = tokio::select! {
        running = confinement.start(&wished.spec, contract, &wished.sources, traffic.clone()) => {
            running.map_err(|error| not_started(&error, &command, wished))?
        }
        () = signals.next() => return Ok(Code::Program(128 + 15)),
    };
    let report = running.cell.report().clone();
    telling.started(running.cell.id(), &report, &wished.hidden);
    let id = running.cell.id().clone();
    let mut running = running;
    let egress = running.egress.take();
    let workspace = running.workspace.take();
    let exit = attach::attached(running, &mut signals).await.map_err(Stop::system("standard streams"))?;
    if let Some(egress) = egress {
        egress.close().await;
    }
    let changed = match workspace {
        Some(workspace) => Changed::of(workspace).await?,
        None => None,
    };
    telling.ended(&id, &exit, &report, (&traffic, changed.as_ref()))
}

/// `KEY=VALUE`, the value as it is.
fn variable(pair: &str) -> Result<(String, String), Stop> {
    match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Stop::new(Code::Usage, codes::USAGE, format!("`{pair}` is not KEY=VALUE"))
            .fix("write --env LANG=de_DE.UTF-8; what this shell has: --env \"LANG=$LANG\"")),
    }
}

/// The error and the exit status that shells and `env` give for it, where they have one.
pub(crate) fn refusal(error: &ConfineError, command: &str) -> Stop {
    let exit = match error {
        ConfineError::Cell(error) => of_cell(error, command),
        ConfineError::Vm(_) => Code::Refused,
        ConfineError::Workspace(error) => return workspace::stop(error),
        ConfineError::Server(_) => Code::Failed,
        _ => Code::Config,
    };
    let stop = Stop::new(exit, error.code(), error);
    match error.fix() {
        Some(fix) => stop.fix(fix),
        None => stop,
    }
}

fn of_cell(error: &CellError, command: &str) -> Code {
    match error {
        CellError::ProgramNotFound { .. } if std::path::Path::new(command).is_file() => Code::NotExecutable,
        CellError::ProgramNotFound { .. } => Code::NotFound,
        CellError::MissingInside { path, .. } if path.to_string_lossy() == *command => Code::NotFound,
        CellError::Exec { .. } => Code::NotExecutable,
        CellError::MissingInside { .. } | CellError::Mount { .. } | CellError::Spec { .. } => Code::Config,
        CellError::UserNamespaces { .. }
        | CellError::Landlock { .. }
        | CellError::Limit { .. }
        | CellError::Idmap { .. }
        | CellError::Overlay { .. }
        | CellError::Wall { .. } => Code::Refused,
        _ => Code::Failed,
    }
}

/// Where something is missing, what the arguments name and the cell does not show is the likelier remedy.
fn not_started(error: &ConfineError, command: &str, wished: &Wished) -> Stop {
    let missing =
        matches!(error, ConfineError::Cell(CellError::MissingInside { .. } | CellError::Exec { .. }));
    let stop = refusal(error, command);
    let Some(path) = wished.hidden.first().filter(|_| missing) else { return stop };
    let path = path.display();
    stop.fix(format!(
        "`{path}` is named in the arguments but not visible in the cell; add to the contract: [[files]] path = \
         \"{path}\" mode = \"read\""
    ))
}
