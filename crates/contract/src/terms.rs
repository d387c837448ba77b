//! What a contract says, as data: deny by default, every limit present.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use crate::{
    ByteSize, CpuShare, Effect, Egress, EnvName, FileGrant, HostName, Lock, Origin, Phase, Preset, Rate,
    ToolName, read::choices,
};

/// A value, and whether somebody wrote it. What somebody wrote must be enforced or refused; a preset's value is enforced
/// where the machine can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term<T> {
    /// The value.
    pub value: T,
    /// Where it was written; `None` when it comes from the preset.
    pub origin: Option<Origin>,
}

/// Everything that a contract says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the rest is based on.
    pub preset: Preset,
    /// Hosts that may be reached. Default: none.
    pub egress: Vec<Egress>,
    /// Files that are shown beyond the program's own. Default: none.
    pub files: Vec<FileGrant>,
    /// Ceilings.
    pub limits: Limits,
    /// Terms of all tools that do not say otherwise themselves: `[tools."*"]`.
    pub every_tool: ToolTerms,
    /// Terms of single tools, by their own names.
    pub tools: BTreeMap<ToolName, ToolTerms>,
    /// Where each secret of the server may go, by the name of its variable.
    pub secrets: BTreeMap<EnvName, SecretTerms>,
    /// Who shares one process of the server; `None`: as the server's section says.
    pub isolation: Option<Isolation>,
    /// Directories that the server is told of when it asks for roots, instead of the client's, which do not exist in its
    /// cell. Empty: the client is asked. Each lies in a granted directory.
    pub roots: Vec<PathBuf>,
    /// Walls that may fall short on a machine that cannot build them. Default: none may.
    pub best_effort: BTreeSet<Wall>,
}

/// Ceilings of one cell. A unit of work is one call to a server, or the whole run of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the process tree, its private files included. Past it the kernel kills the cell.
    pub memory: Term<ByteSize>,
    /// Processes and threads at once. Past it `fork` fails.
    pub processes: Term<u32>,
    /// Each private directory (`/tmp`, home). Past it writes fail.
    pub disk: Term<ByteSize>,
    /// Files and directories in each private directory. Past it creating fails.
    pub inodes: Term<u32>,
    /// Share of processor time. Past it the cell is slowed down.
    pub cpu: Term<CpuShare>,
    /// Processor time of a process. Past it the process is killed.
    pub cpu_time: Option<Term<Duration>>,
    /// Time for one unit of work. Past it the cell is killed.
    pub time: Term<Duration>,
    /// Open files of one process. Past it opening fails.
    pub open_files: Term<u32>,
    /// Largest file that may be written. Past it writing fails.
    pub file_size: Option<Term<ByteSize>>,
    /// Bytes of one unit of work on standard output: of a server, one message. Past it the cell is killed.
    pub stdout: Term<ByteSize>,
    /// Bytes of one unit of work on standard error. What is more is thrown away.
    pub stderr: Term<ByteSize>,
    /// Bytes of the arguments of one call. Past it the call is refused.
    pub arguments: Term<ByteSize>,
    /// Processes of this server at one time when clients do not share one. Past it clients are told to wait.
    pub instances: Term<u32>,
}

/// What a tool promises and when it may be called. An absent term falls back to `[tools."*"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolTerms {
    /// Whether it may be called. Default: yes.
    pub allow: Option<Term<bool>>,
    /// What a call does to the world. Default: irreversible.
    pub effect: Option<Term<Effect>>,
    /// The tool that takes a call back.
    pub undo: Option<Term<ToolName>>,
    /// The tool that says whether a call happened.
    pub probe: Option<Term<ToolName>>,
    /// Phases in which it may be called. Default: all.
    pub phases: Option<Term<Vec<Phase>>>,
    /// What a call locks: shared by tools that only read, else exclusive.
    pub locks: Option<Term<Vec<Lock>>>,
    /// How often it may be called. Default: no limit.
    pub rate: Option<Term<Rate>>,
    /// Longest time for a call; the shortest of this, the server's `call_timeout` and the contract's `time` counts.
    pub timeout: Option<Term<Duration>>,
}

/// Where a secret may go. Without hosts it goes nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretTerms {
    /// Hosts that may receive it. Each is among the contract's egress.
    pub hosts: Vec<HostName>,
    /// HTTP methods of requests that may carry it. Empty: all.
    pub methods: Vec<Box<str>>,
    /// Patterns of paths of requests that may carry it (`*` is any text). Empty: all.
    pub paths: Vec<Box<str>>,
    /// Where in a request it may stand. Empty: in headers.
    pub locations: Vec<Location>,
    /// Beginning of the placeholder, where the server's software checks it, for example `ghp_`.
    pub format: Option<Box<str>>,
    /// The server needs the value itself, so it is given into the cell. Default: no.
    pub in_cell: bool,
}

choices! {
    /// Who shares one process of a server.
    pub enum Isolation {
        /// All clients.
        Shared = "shared",
        /// Each client has its own.
        Client = "client",
        /// Each run has its own.
        Run = "run",
    }
}

choices! {
    /// Something a cell relies on and a machine may not be able to build.
    pub enum Wall {
        /// The limit `memory`.
        Memory = "memory",
        /// The limit `processes`.
        Processes = "processes",
        /// The limit `cpu`.
        Cpu = "cpu",
        /// The limits `disk` and `inodes`.
        Disk = "disk",
        /// Landlock, the second wall around files.
        Landlock = "landlock",
        /// A host user of its own for the cell.
        Identity = "identity",
        /// The hosts of `egress`.
        Egress = "egress",
    }
}

choices! {
    /// Where in an HTTP request a secret may stand.
    pub enum Location {
        /// A header.
        Header = "header",
        /// The password of basic authentication.
        Basic = "basic",
        /// The query of the URL.
        Query = "query",
        /// A field of a JSON body.
        Body = "body",
        /// The key of an AWS signature, version 4.
        SigV4 = "sigv4",
    }
}

impl<T> Term<T> {
    /// A preset's value.
    pub const fn preset(value: T) -> Self {
        Self { value, origin: None }
    }

    /// A value that somebody wrote.
    pub const fn written(value: T, origin: Origin) -> Self {
        Self { value, origin: Some(origin) }
    }

    /// Whether somebody wrote it.
    pub const fn is_written(&self) -> bool {
        self.origin.is_some()
    }
}

impl Terms {
    /// What a preset says by itself.
    #[must_use]
    pub fn of(preset: Preset) -> Self {
        Self {
            preset,
            egress: Vec::new(),
            files: Vec::new(),
            limits: preset.limits(),
            every_tool: ToolTerms::default(),
            tools: BTreeMap::new(),
            secrets: BTreeMap::new(),
            isolation: None,
            roots: Vec::new(),
            best_effort: BTreeSet::new(),
        }
    }

    /// The terms of a tool, its own before those of `[tools."*"]`. `undo` and `probe` are never inherited.
    #[must_use]
    pub fn tool(&self, name: &str) -> ToolTerms {
        let Some(own) = self.tools.get(name) else { return self.every_tool.clone() };
        let every = &self.every_tool;
        ToolTerms {
            allow: own.allow.clone().or_else(|| every.allow.clone()),
            effect: own.effect.clone().or_else(|| every.effect.clone()),
            undo: own.undo.clone(),
            probe: own.probe.clone(),
            phases: own.phases.clone().or_else(|| every.phases.clone()),
            locks: own.locks.clone().or_else(|| every.locks.clone()),
            rate: own.rate.clone().or_else(|| every.rate.clone()),
            timeout: own.timeout.clone().or_else(|| every.timeout.clone()),
        }
    }
}
