//! Arguments of the verbs that show and use cells.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::{ArgValueCandidates, ArgValueCompleter};

use super::Target;
use crate::complete;

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// A preset (trusted, semi-trusted, untrusted) or a contract file
    #[arg(long, value_name = "FILE|PRESET", add = ArgValueCompleter::new(complete::presets))]
    pub(crate) contract: String,
    /// Run even where this machine cannot enforce everything; --report says what is missing
    #[arg(long)]
    pub(crate) best_effort: bool,
    /// A variable for the program, its value as it is; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,
    /// Working directory inside [default: this one if the contract shows it, else /home/cell]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Change copies of the directories that the contract lets it change; see cella workspace
    #[arg(long)]
    pub(crate) copy: bool,
    /// Start from what an earlier run changed in its copies; means --copy
    #[arg(long, value_name = "WORKSPACE", add = ArgValueCandidates::new(complete::workspaces))]
    pub(crate) from: Option<String>,
    /// Say on stderr what is enforced and what is not, before the program's own output
    #[arg(long)]
    pub(crate) report: bool,
    /// Write the result as JSON: exit, limit, time, memory, what was enforced; --json writes it to stderr
    #[arg(long, value_name = "FILE")]
    pub(crate) report_file: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// Name of the server
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    pub(crate) server: String,
    /// Say on stderr what is enforced and what is not
    #[arg(long)]
    pub(crate) report: bool,
    /// Arguments of the shell
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ContractArgs {
    #[command(subcommand)]
    pub(crate) what: ContractVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContractVerb {
    /// What a contract grants, in words
    #[command(
        after_help = "Examples:\n  cella contract show files          the one of a configured server\n  cella contract show ./job.toml\n  cella contract show untrusted --json"
    )]
    Show {
        /// A configured server, a preset, or a file
        #[arg(value_name = "NAME|FILE|PRESET", add = ArgValueCompleter::new(complete::contracts))]
        contract: String,
    },
    /// What one contract grants and another does not
    #[command(
        after_help = "Examples:\n  cella contract diff untrusted job.toml\n  cella contract diff files ./files.new.toml --json\n\nExit codes: 0 they grant the same, 7 they differ."
    )]
    Diff {
        /// A configured server, a preset, or a file
        #[arg(value_name = "A", add = ArgValueCompleter::new(complete::contracts))]
        before: String,
        /// Another one
        #[arg(value_name = "B", add = ArgValueCompleter::new(complete::contracts))]
        after: String,
    },
    /// Let a server reach one more host: adds it to its contract file, which is made if there is none
    #[command(
        after_help = "Examples:\n  cella contract allow brave api.search.brave.com:443\n  cella contract allow db 10.0.0.5:5432 --dry-run"
    )]
    Allow {
        /// A configured server
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::servers))]
        server: String,
        /// Hosts and ports: host:443, *.domain:443, address:port
        #[arg(value_name = "HOST:PORT", required = true)]
        hosts: Vec<String>,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// What a server's cell was refused, how often, and what would allow it
    #[command(after_help = "Examples:\n  cella contract denied brave\n  cella contract denied brave --json")]
    Denied {
        /// A configured server
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::servers))]
        server: String,
    },
    /// Put up a contract's walls around a small program, and say what this machine enforces
    #[command(
        after_help = "Examples:\n  cella contract test files\n  cella contract test ./job.toml --json\n\nExit codes: 0 all of it is enforced and every grant works, 3 some of it is not."
    )]
    Test {
        /// A configured server, a preset, or a file
        #[arg(value_name = "NAME|FILE|PRESET", add = ArgValueCompleter::new(complete::contracts))]
        contract: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Print one table and end
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}
