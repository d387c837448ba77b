//! How a verb ends: an exit code scripts can rely on, and an error a person can act on.

use std::{fmt, io, process::ExitCode};

use cella_vault::VaultError;

use crate::{args::Global, codes, print::Printer};

/// Exit codes; part of the stable interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It worked.
    Ok,
    /// It did not.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Part of it works.
    Degraded,
    /// Credentials are missing or expired.
    Auth,
    /// A contract or policy forbids it.
    Refused,
    /// Two things that were compared differ.
    Differs,
    /// The node is not running or cannot be reached.
    Unavailable,
    /// It took too long.
    TimedOut,
    /// The configuration is wrong.
    Config,
    /// A command is there and cannot be executed, as shells say it.
    NotExecutable,
    /// There is no such command, as shells say it.
    NotFound,
    /// What a program that was run for the user ended with.
    Program(u8),
}

/// An error as the user sees it.
#[derive(Debug)]
pub struct Stop {
    /// What the shell gets.
    pub exit: Code,
    /// A code with a page in `docs/errors`. Every error has one, so that `cella explain` can say more.
    pub code: String,
    /// What happened. May have several lines, the first of which says it all.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
    /// Printed as it is, for errors that bring their own layout.
    pub rendered: bool,
}

/// What every verb returns.
pub type Outcome = Result<Code, Stop>;

// === impl Code ===

impl Code {
    /// What the shell sees.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Degraded => 3,
            Self::Auth => 4,
            Self::Refused => 5,
            Self::Differs => 7,
            Self::Unavailable => 69,
            Self::TimedOut => 75,
            Self::Config => 78,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Program(status) => status,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// The exit code for a fault of that kind, as a node names it.
pub fn of_kind(kind: Option<&str>) -> Code {
    match kind {
        Some("refused") => Code::Refused,
        Some("auth_required") => Code::Auth,
        Some("timed_out") => Code::TimedOut,
        _ => Code::Failed,
    }
}

// === impl Stop ===

impl Stop {
    /// An error: what the shell gets, the code of its page, what happened.
    pub fn new(exit: Code, code: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { exit, code: code.into(), message: message.to_string(), fix: None, rendered: false }
    }

    /// What is wrong with a configuration, laid out with places and remedies.
    pub fn diagnostics(found: &cella_contract::Diagnostics) -> Self {
        let code = found.0.first().map_or(codes::NOT_EDITABLE, |d| d.code);
        Self { rendered: true, ..Self::new(Code::Config, code, found) }
    }

    /// The operating system said no; `about` says to what: a path, mostly.
    pub fn system(about: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |e| {
            let fix = match e.kind() {
                io::ErrorKind::NotFound => "check the path",
                io::ErrorKind::PermissionDenied => {
                    "give yourself access to it, or run this as the user it belongs to"
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
                io::ErrorKind::ReadOnlyFilesystem => "choose a place that can be written",
                _ => "see what the system says of it, and run the command again",
            };
            Self::new(Code::Failed, codes::SYSTEM, format!("{about}: {e}")).fix(fix)
        }
    }

    /// The same with a remedy.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl From<cella_node::StartError> for Stop {
    fn from(e: cella_node::StartError) -> Self {
        if let cella_node::StartError::Config(found) = &e {
            return Self::diagnostics(found);
        }
        let exit = if e.is_config() { Code::Config } else { Code::Failed };
        let stop = Self::new(exit, e.code(), &e);
        match e.fix() {
            Some(fix) => stop.fix(fix),
            None => stop,
        }
    }
}

impl From<cella_history::AskError> for Stop {
    fn from(e: cella_history::AskError) -> Self {
        cella_node::StartError::from(e).into()
    }
}

impl From<VaultError> for Stop {
    fn from(error: VaultError) -> Self {
        let exit = match error {
            VaultError::Name { .. } | VaultError::TwoSources => Code::Usage,
            VaultError::NoKey { .. }
            | VaultError::KeyText { .. }
            | VaultError::Source { .. }
            | VaultError::WrongKey { .. } => Code::Auth,
            VaultError::Busy { .. } => Code::TimedOut,
            _ => Code::Failed,
        };
        Self::new(exit, error.code(), &error).fix(error.fix())
    }
}

/// A command line that clap does not understand, in the layout of all errors; a question for help or the version is
/// answered.
pub fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _closed_pipe = error.print();
        return Code::Ok.into();
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _closed_pipe = error.print();
        return Code::Usage.into();
    }
    let plain = error.render().to_string();
    let hint = plain.find("\nFor more information").unwrap_or(plain.len());
    let message = plain[..hint].trim_end().trim_start_matches("error: ");
    let stop = Stop::new(Code::Usage, codes::USAGE, message).fix("see: cella help, or cella help VERB");
    let json = std::env::args_os().any(|a| a == "--json");
    Printer::new(&Global { json, ..Global::default() }).stop(&stop);
    Code::Usage.into()
}
