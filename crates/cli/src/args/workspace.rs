//! Arguments of `cella workspace`.

use clap::{ArgGroup, Args, Subcommand};
use clap_complete::ArgValueCandidates;

use crate::complete;

#[derive(Debug, Args)]
pub(crate) struct Workspace {
    #[command(subcommand)]
    pub(crate) what: WorkspaceVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceVerb {
    /// Which workspaces there are, and whose
    #[command(after_help = "Examples:\n  cella workspace ls\n  cella workspace ls --json")]
    Ls,
    /// What a run changed: each path with what became of it
    #[command(
        after_help = "Examples:\n  cella workspace show 3f9a\n  cella workspace show files          the newest of that server\n  cella workspace show 3f9a --json    the manifest too"
    )]
    Show(Which),
    /// The changes as `diff -u` shows them, against the host as it is now
    #[command(
        after_help = "Examples:\n  cella workspace diff 3f9a\n  cella workspace diff 3f9a --json\n\nExit codes: 0 the host has all of it already, 7 they differ."
    )]
    Diff(Which),
    /// Change the host as the run changed its copy
    #[command(
        after_help = "Examples:\n  cella workspace commit 3f9a\n  cella workspace commit 3f9a --force     also where the host is no longer what the run saw\n\nEach path is replaced in one step. A commit that broke off is made again and goes on.\nExit codes: 0 done, 7 the host has changed meanwhile and nothing was committed."
    )]
    Commit {
        #[command(flatten)]
        which: Which,
        /// Take the workspace's side where the host is no longer what the run saw
        #[arg(long)]
        force: bool,
    },
    /// Remove a workspace; what was not committed is lost
    #[command(after_help = "Examples:\n  cella workspace discard 3f9a\n  cella workspace discard 3f9a --yes")]
    Discard {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Remove checkpoints of runs; what cells left at their ends stays
    #[command(
        after_help = "Examples:\n  cella workspace prune --older-than 30d\n  cella workspace prune --run 3f9a --yes\n\nA fork at an event whose checkpoint is gone is refused, and so is a process of a run that would begin from it (CE1548, CE1570)."
    )]
    Prune(Prune),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
pub(crate) struct Prune {
    /// Of this run: its name, the beginning of it, or last
    #[arg(long, group = "which", value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Made longer ago
    #[arg(long, group = "which", value_name = "TIME")]
    pub(crate) older_than: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id, or the beginning of it; for show and diff also the name of a server
    #[arg(value_name = "ID", add = ArgValueCandidates::new(complete::workspaces))]
    pub(crate) id: String,
}
