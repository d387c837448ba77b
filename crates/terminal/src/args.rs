//! Options that many verbs share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options every verb takes.
#[derive(Debug, Default, Args)]
pub struct Global {
    /// The configuration file [default: ./cella.toml, else the user's own]
    #[arg(long, short, global = true, env = "CELLA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Machine-readable output on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Colour on stderr
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// More of the log; twice for all of it
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Only errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "a line on a value would change what --help shows")]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// Which running node to talk to.
#[derive(Clone, Debug, Default, Args)]
pub struct Target {
    /// The URL of a running node [default: the one started with this configuration]
    #[arg(long, env = "CELLA_URL", value_name = "URL")]
    pub url: Option<String>,
    /// The file with the access token for --url
    #[arg(long, env = "CELLA_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
