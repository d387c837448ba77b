//! What is known about a server right now, for `cella status`, the admin API and `cella://status`.

use serde::Serialize;

use crate::list::LeftOut;

/// How far a server has come since the node started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is in the configuration.
    Configured,
    /// Its lists are known, from this run of the node or from an earlier one.
    Known,
    /// It was started or connected.
    Started,
    /// It has answered a call of a client.
    Invoked,
}

/// How the last contact went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No contact was tried yet.
    NotTested,
    /// A first contact is being made.
    Connecting,
    /// The last contact went well. A server stopped for being idle stays `connected`; `running` is false then.
    Connected,
    /// It answers, but something is amiss: see `notes`.
    Degraded,
    /// It wants credentials that Cella does not have.
    AuthRequired,
    /// Held back by decision, for example because its tools changed since they were approved.
    Quarantined,
    /// It could not be started or reached, or it crashed, or it talks garbage: see `last_error`.
    Error,
}

/// What went wrong, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `CE####`, with a page in `docs/errors`.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// One server.
#[derive(Clone, Debug, Serialize)]
pub struct ServerStatus {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// How far it has come.
    pub stage: Stage,
    /// How the last contact went.
    pub status: Status,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// True while a process or connection is up.
    pub running: bool,
    /// Processes or connections: one when clients share it.
    pub instances: usize,
    /// Process ids, where there are processes.
    pub pids: Vec<u32>,
    /// `shared`, `client` or `run`: who gets an instance of his own.
    pub isolation: &'static str,
    /// The newest protocol revision both sides speak; absent before the first contact.
    pub revision: Option<&'static str>,
    /// Number of tools; absent while unknown.
    pub tools: Option<usize>,
    /// Number of prompts; absent while unknown.
    pub prompts: Option<usize>,
    /// Number of resources; absent while unknown.
    pub resources: Option<usize>,
    /// Number of resource templates; absent while unknown.
    pub templates: Option<usize>,
    /// Calls of clients since the node started.
    pub calls: u64,
    /// Calls in progress.
    pub in_flight: usize,
    /// Starts after a failure, since the node started.
    pub restarts: u32,
    /// The last failure, also when all is well again.
    pub last_error: Option<Problem>,
    /// The last lines that the server wrote to stderr.
    pub stderr: Vec<String>,
    /// Items that it lists and that are not offered.
    pub left_out: Vec<LeftOut>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// A server of which a list does not show all, and why. Goes into the list's `_meta` as `dev.cella/missing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its name in the configuration.
    pub server: Box<str>,
    /// How the last contact went.
    pub status: Status,
    /// What happened, with its code.
    pub error: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
    /// True when the list still shows what the server offered when it was last seen.
    pub last_known: bool,
}
