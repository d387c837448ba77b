//! `cella workspace`: what runs changed in their copies. Reading it needs no node; a running one commits and discards
//! itself, so that its ledger has it.

mod act;
mod list;
mod prune;
mod show;

use cella_workspace::{Kept, WorkspaceError, Workspaces};

use crate::{
    args::{Global, Workspace, WorkspaceVerb},
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

pub(crate) async fn run(args: Workspace, global: &Global, printer: Printer) -> Outcome {
    let workspaces = target::places(global).recorded_workspaces();
    if target::running(global, &crate::args::Target::default())?.is_none() {
        // What a killed command or node left; a running node sees to its own.
        for kept in workspaces.adopt().await.map_err(act::failed)? {
            printer.warn(format!(
                "{} was left by a killed run of {}, and is kept now",
                kept.id, kept.about.name
            ));
        }
    }
    match args.what {
        WorkspaceVerb::Ls => list::run(&workspaces, printer),
        WorkspaceVerb::Show(which) => show::show(&workspaces, &which.id, printer),
        WorkspaceVerb::Diff(which) => show::diff(&workspaces, &which.id, printer),
        WorkspaceVerb::Commit { which, force } => {
            act::commit(&workspaces, &which.id, force, global, printer).await
        }
        WorkspaceVerb::Discard { which, yes } => {
            act::discard(&workspaces, &which.id, yes, global, printer).await
        }
        WorkspaceVerb::Prune(args) => prune::run(&workspaces, &args, global, printer).await,
    }
}

fn found(workspaces: &Workspaces, asked: &str) -> Result<Kept, Stop> {
    workspaces.store().find(asked).map_err(|error| stop(&error))
}

/// The error and its exit status.
pub(crate) fn stop(error: &WorkspaceError) -> Stop {
    let exit = match error {
        WorkspaceError::Conflicts { .. } => Code::Differs,
        WorkspaceError::Unknown { .. } | WorkspaceError::Ambiguous { .. } | WorkspaceError::Named { .. } => {
            Code::Usage
        }
        _ => Code::Failed,
    };
    Stop::new(exit, error.code(), error).fix(error.fix())
}
