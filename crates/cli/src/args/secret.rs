//! What is typed after `cella secret`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use crate::complete;

#[derive(Debug, Args)]
pub(crate) struct Secret {
    #[command(subcommand)]
    pub(crate) what: SecretVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretVerb {
    /// Put a secret into the vault; the value comes from a prompt or from standard input, never from the command line
    #[command(
        after_help = "Examples:\n  cella secret set github                       asks, and shows nothing of what is typed\n  pass show github | cella secret set github\n  cella secret set github --from-env GITHUB_TOKEN\n  cella secret set tls-key --from-file key.pem\n\nThen, in cella.toml: env = { GITHUB_TOKEN = \"vault:github\" }. One line break at the end of a value is cut off."
    )]
    Set(Set),
    /// List the secrets: names, times and who uses them, never a value
    #[command(after_help = "Examples:\n  cella secret ls\n  cella secret ls --json")]
    Ls,
    /// Take secrets out of the vault
    #[command(
        after_help = "Examples:\n  cella secret rm github\n  cella secret rm github --force --yes     although the configuration names it"
    )]
    Rm(Rm),
    /// Move secrets that stand elsewhere into the vault: in cella.toml, a .env file, or this shell's variables
    #[command(
        after_help = "Examples:\n  cella secret import                       what looks like a secret in cella.toml\n  cella secret import --file .env           what looks like a secret there\n  cella secret import --file .env DB_URL    this one\n  cella secret import --env GITHUB_TOKEN    a variable of this shell\n\nShows what it does and asks. cella.toml then says vault:NAME, its comments stay, and a copy of it is kept."
    )]
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Name of the secret
    #[arg(add = ArgValueCandidates::new(complete::secrets))]
    pub(crate) name: String,
    /// Take the value of this variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "from_file")]
    pub(crate) from_env: Option<String>,
    /// Take the content of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// A value that was typed here: refused without being shown, which clap would do
    #[arg(hide = true)]
    pub(crate) misplaced: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Names of the secrets
    #[arg(required = true, add = ArgValueCandidates::new(complete::secrets))]
    pub(crate) names: Vec<String>,
    /// Although servers of the configuration use it
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Only these variables [default: those that look like secrets]
    pub(crate) names: Vec<String>,
    /// Read a .env file: NAME=VALUE lines
    #[arg(long, value_name = "FILE", conflicts_with = "env")]
    pub(crate) file: Option<PathBuf>,
    /// Read the variables of this shell
    #[arg(long, requires = "names")]
    pub(crate) env: bool,
    /// Show what would change and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
