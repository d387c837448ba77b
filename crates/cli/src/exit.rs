//! How a verb ends: an exit code scripts can rely on, and an error a person can act on.

use std::{fmt, process::ExitCode};

/// Exit codes; part of the stable interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// It worked.
    Ok = 0,
    /// It did not.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Part of it works.
    Degraded = 3,
    /// Credentials are missing or expired.
    Auth = 4,
    /// A contract or policy forbids it.
    Refused = 5,
    /// The node is not running or cannot be reached.
    Unavailable = 69,
    /// It took too long.
    TimedOut = 75,
    /// The configuration is wrong.
    Config = 78,
}

/// No node runs, or it went away.
pub(crate) const NOT_RUNNING: &str = "CE6001";
/// There is no access token, or the node does not know it.
pub(crate) const NO_TOKEN: &str = "CE6002";

/// An error as the user sees it.
#[derive(Debug)]
pub(crate) struct Stop {
    /// What the shell gets.
    pub(crate) exit: Code,
    /// A code with a page in `docs/errors`, where there is one.
    pub(crate) code: Option<String>,
    /// What happened. May have several lines, the first of which says it all.
    pub(crate) message: String,
    /// What to do.
    pub(crate) fix: Option<String>,
    /// Printed as it is, for errors that bring their own layout.
    pub(crate) rendered: bool,
}

/// What every verb returns.
pub(crate) type Outcome = Result<Code, Stop>;

// === impl Code ===

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

// === impl Stop ===

impl Stop {
    /// An error without a code of its own.
    pub(crate) fn new(exit: Code, message: impl fmt::Display) -> Self {
        Self { exit, code: None, message: message.to_string(), fix: None, rendered: false }
    }

    /// A text that is laid out already.
    pub(crate) fn rendered(exit: Code, text: String) -> Self {
        Self { exit, code: None, message: text, fix: None, rendered: true }
    }

    /// The same with a code.
    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same with a remedy.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl From<std::io::Error> for Stop {
    fn from(e: std::io::Error) -> Self {
        Self::new(Code::Failed, e)
    }
}

impl From<cella_node::StartError> for Stop {
    fn from(e: cella_node::StartError) -> Self {
        if let cella_node::StartError::Config(found) = &e {
            // Diagnostics bring their own layout.
            let mut stop = Self::rendered(Code::Config, found.to_string());
            stop.code = Some(e.code().to_owned());
            return stop;
        }
        let exit = if e.is_config() { Code::Config } else { Code::Failed };
        let stop = Self::new(exit, &e).code(e.code());
        match e.fix() {
            Some(fix) => stop.fix(fix),
            None => stop,
        }
    }
}
