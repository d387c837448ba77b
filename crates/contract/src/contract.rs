//! A contract: what one server's cell may touch, and what its tools promise.

mod parse;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    CellClass, Effect, EgressFault, EgressGrant, Format, Isolation, Location, PathPattern,
    pattern::{Fit, fit},
};

/// Version of the contract format that this program reads and writes.
pub const CONTRACT_VERSION: u32 = 1;

/// What a server may do. What is not granted is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// What it starts from.
    pub preset: Preset,
    /// Hosts and ports the cell may reach, as written; [`Contract::egress_grants`] reads them.
    pub egress: Vec<String>,
    /// Parts of the host it may see, beside its own program.
    pub files: Vec<FileGrant>,
    /// What it may use.
    pub limits: Limits,
    /// Terms of tools by name or pattern; see [`Contract::terms`].
    pub tools: BTreeMap<String, ToolTerms>,
    /// Secrets the server works with, by name.
    pub secrets: BTreeMap<String, SecretTerms>,
    /// Who shares a process.
    pub isolation: Isolation,
    /// Behind which kind of wall it runs.
    pub class: CellClass,
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
    /// Change a copy: the host's stays as it is until somebody commits the difference.
    Copy,
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
    /// Connections to granted hosts at the same time.
    pub connections: Option<u32>,
    /// New connections to granted hosts in a second.
    pub connection_rate: Option<u32>,
    /// Bytes that the copies of one cell may come to.
    pub copy_bytes: Option<u64>,
    /// Bytes sent to granted hosts in the life of one cell.
    pub egress_bytes: Option<u64>,
}

/// What a tool promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolTerms {
    /// What a call does to the world.
    pub effect: Option<Effect>,
    /// Whether it may be called at all.
    pub allow: Option<bool>,
    /// Whether its server may call others in the phase of the run.
    pub delegate: Option<bool>,
    /// The tool that takes it back.
    pub undo: Option<String>,
    /// The tool that tells whether it happened.
    pub probe: Option<String>,
    /// The argument into which the idempotency key goes.
    pub key_argument: Option<String>,
    /// The HTTP header in which the idempotency key goes to a server over HTTP.
    pub key_header: Option<String>,
    /// Phases in which it may be called; `None`: any.
    pub phases: Option<Vec<String>>,
    /// Resources it holds.
    pub locks: Vec<String>,
    /// Line of the contract file, for messages.
    pub line: Option<usize>,
}

/// A secret and where it may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretTerms {
    /// Where it comes from, as written; see [`crate::Text`].
    pub from: Option<String>,
    /// Hosts towards which it may be used, `*.domain` for all below one. None: nowhere.
    pub hosts: Vec<String>,
    /// Variable under which the server expects it.
    pub env: Option<String>,
    /// Methods with which it may be used; `None`: any.
    pub methods: Option<Vec<String>>,
    /// Paths at which it may be used; `None`: any.
    pub paths: Option<Vec<PathPattern>>,
    /// Places of a request where it may stand; `None`: those of [`SecretTerms::locations`].
    pub places: Option<Vec<Location>>,
    /// What stands for it in the cell; `None`: the default format.
    pub format: Option<Format>,
    /// For an access key id: the name of the secret that holds its secret key.
    pub pair: Option<String>,
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
            secrets: BTreeMap::new(),
            isolation: Isolation::Shared,
            class: CellClass::default(),
            file: None,
        }
    }

    /// What `egress` grants. A contract that was parsed has no entry that cannot be read.
    ///
    /// # Errors
    /// The first entry that is no grant, and why.
    pub fn egress_grants(&self) -> Result<Vec<EgressGrant>, EgressFault> {
        self.egress.iter().map(|entry| entry.parse()).collect()
    }

    /// The terms of a tool: those of the most specific entry that fits, each gap filled from the next. Its own name is most
    /// specific, then the pattern with the most characters beside its `*`; of two with equally many the one that does not allow,
    /// then the first by name.
    #[must_use]
    pub fn terms(&self, tool: &str) -> ToolTerms {
        self.fitting(tool).fold(ToolTerms::default(), |own, (_, next)| ToolTerms {
            effect: own.effect.or(next.effect),
            allow: own.allow.or(next.allow),
            delegate: own.delegate.or(next.delegate),
            undo: own.undo.or_else(|| next.undo.clone()),
            probe: own.probe.or_else(|| next.probe.clone()),
            key_argument: own.key_argument.or_else(|| next.key_argument.clone()),
            key_header: own.key_header.or_else(|| next.key_header.clone()),
            phases: own.phases.or_else(|| next.phases.clone()),
            locks: if own.locks.is_empty() { next.locks.clone() } else { own.locks },
            line: own.line.or(next.line),
        })
    }

    /// The entry that decides something about a tool: its name or pattern, and its terms.
    pub(crate) fn deciding(
        &self,
        tool: &str,
        says: impl Fn(&ToolTerms) -> bool,
    ) -> Option<(&String, &ToolTerms)> {
        self.fitting(tool).find(|(_, terms)| says(terms))
    }

    /// Entries that fit a tool, the most specific first.
    fn fitting(&self, tool: &str) -> impl Iterator<Item = (&String, &ToolTerms)> {
        let fitting = self.tools.iter().filter_map(|(name, terms)| Some((fit(name, tool)?, name, terms)));
        let mut found: Vec<(Fit, &String, &ToolTerms)> = fitting.collect();
        found.sort_by_key(|(fit, name, terms)| (std::cmp::Reverse(*fit), terms.allow != Some(false), *name));
        found.into_iter().map(|(_, name, terms)| (name, terms))
    }

    /// How this contract is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.file.clone().unwrap_or_else(|| format!("the preset {}", self.preset.as_str()))
    }
}

// === impl SecretTerms ===

impl SecretTerms {
    /// Places of a request where it may stand: those that were said, else any header and Basic authentication.
    #[must_use]
    pub fn locations(&self) -> Vec<Location> {
        self.places.clone().unwrap_or_else(|| vec![Location::Header(None), Location::Basic])
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
            // The broker's own ceilings hold.
            connections: None,
            connection_rate: None,
            // Whoever makes the layers has a ceiling of its own.
            copy_bytes: None,
            egress_bytes: None,
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
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Copy];

    /// `read`, `write` or `copy`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Copy => "copy",
        }
    }

    /// The mode of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}
