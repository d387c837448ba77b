//! A contract: what one server's cell may touch, and what its tools promise.

mod parse;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{Effect, Isolation};

/// Version of the contract format that this program reads and writes.
pub const CONTRACT_VERSION: u32 = 1;

/// What a server may do. What is not granted is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// What it starts from.
    pub preset: Preset,
    /// Hosts and ports the cell may reach.
    pub egress: Vec<String>,
    /// Parts of the host it may see, beside its own program.
    pub files: Vec<FileGrant>,
    /// What it may use.
    pub limits: Limits,
    /// Terms of single tools; `*` for all others.
    pub tools: BTreeMap<String, ToolTerms>,
    /// Who shares a process.
    pub isolation: Isolation,
    /// Where it was read, for messages; `None` for a preset.
    pub file: Option<String>,
}

/// Starting points of contracts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Directories named in the arguments may be changed; generous limits.
    Trusted,
    /// Directories named in the arguments may be read.
    SemiTrusted,
    /// Nothing but its own program.
    #[default]
    Untrusted,
}

/// Where a server's contract stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractSource {
    /// A preset, by name or because nothing was said.
    Preset(Preset),
    /// A file, relative to the configuration.
    File(PathBuf),
}

/// A part of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileGrant {
    /// As written; relative to the contract file.
    pub path: PathBuf,
    /// To be read or changed.
    pub mode: Mode,
}

/// What may be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Look at it.
    Read,
    /// Change it too.
    Write,
}

/// What a cell may use. `None`: the preset's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory of the process tree.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Bytes of private temporary files.
    pub disk: Option<u64>,
    /// Percent of one processor core.
    pub cpu: Option<u32>,
    /// Longest time of one call.
    pub time: Option<Duration>,
    /// Open files of one process.
    pub open_files: Option<u32>,
}

/// What a tool promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolTerms {
    /// What a call does to the world.
    pub effect: Option<Effect>,
    /// Whether it may be called at all.
    pub allow: Option<bool>,
    /// The tool that takes it back.
    pub undo: Option<String>,
    /// The tool that tells whether it happened.
    pub probe: Option<String>,
    /// Phases in which it may be called; `None`: any.
    pub phases: Option<Vec<String>>,
    /// Resources it holds.
    pub locks: Vec<String>,
    /// Line of the contract file, for messages.
    pub line: Option<usize>,
}

// === impl Contract ===

impl Contract {
    /// A preset and nothing more.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        Self {
            preset,
            egress: Vec::new(),
            files: Vec::new(),
            limits: preset.limits(),
            tools: BTreeMap::new(),
            isolation: Isolation::Shared,
            file: None,
        }
    }

    /// The terms of a tool: its own, each gap filled from `*`.
    #[must_use]
    pub fn terms(&self, tool: &str) -> ToolTerms {
        let every = self.tools.get("*").cloned().unwrap_or_default();
        let Some(own) = self.tools.get(tool) else { return every };
        ToolTerms {
            effect: own.effect.or(every.effect),
            allow: own.allow.or(every.allow),
            undo: own.undo.clone().or(every.undo),
            probe: own.probe.clone().or(every.probe),
            phases: own.phases.clone().or(every.phases),
            locks: if own.locks.is_empty() { every.locks } else { own.locks.clone() },
            line: own.line.or(every.line),
        }
    }

    /// How this contract is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.file.clone().unwrap_or_else(|| format!("the preset {}", self.preset.as_str()))
    }
}

// === impl Preset ===

impl Preset {
    /// Every preset, the least trusted last.
    pub const ALL: [Self; 3] = [Self::Trusted, Self::SemiTrusted, Self::Untrusted];

    /// The word in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::SemiTrusted => "semi-trusted",
            Self::Untrusted => "untrusted",
        }
    }

    /// The preset of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }

    /// What directories named in the server's arguments are granted for.
    #[must_use]
    pub const fn named_files(self) -> Option<Mode> {
        match self {
            Self::Trusted => Some(Mode::Write),
            Self::SemiTrusted => Some(Mode::Read),
            Self::Untrusted => None,
        }
    }

    const fn limits(self) -> Limits {
        let (memory, processes, disk) = match self {
            Self::Trusted => (4 << 30, 1024, 1 << 30),
            Self::SemiTrusted => (2 << 30, 512, 256 << 20),
            Self::Untrusted => (1 << 30, 256, 64 << 20),
        };
        Limits {
            memory: Some(memory),
            processes: Some(processes),
            disk: Some(disk),
            cpu: None,
            time: None,
            open_files: Some(1024),
        }
    }
}

// === impl ContractSource ===

impl ContractSource {
    pub(crate) fn read(text: Option<&str>) -> Self {
        match text {
            None => Self::Preset(Preset::default()),
            Some(word) => Preset::parse(word).map_or_else(|| Self::File(PathBuf::from(word)), Self::Preset),
        }
    }
}

// === impl Mode ===

impl Mode {
    /// `read` or `write`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}
