//! The three presets, as data. `docs/reference/contract.md` has the same table for people; a test compares them.

use std::time::Duration;

use crate::{ByteSize, CpuShare, Limits, Mode, Term, read::choices};

choices! {
    /// How far a server is trusted: what its contract starts from. Whichever it is, there is no network unless the
    /// contract names hosts, and every tool is irreversible unless the contract says otherwise.
    pub enum Preset {
        /// Its program files only. What a server without a contract gets.
        Untrusted = "untrusted",
        /// And what its arguments and working directory name, read-only.
        SemiTrusted = "semi-trusted",
        /// And what its arguments and working directory name, writable.
        Trusted = "trusted",
    }
}

impl Preset {
    /// How files and directories named in the server's arguments, and its working directory, are shown; `None`: not.
    #[must_use]
    pub const fn named_files(self) -> Option<Mode> {
        match self {
            Self::Untrusted => None,
            Self::SemiTrusted => Some(Mode::Read),
            Self::Trusted => Some(Mode::Write),
        }
    }

    /// The limits of the preset. They protect the machine, so they are generous; none is infinite.
    #[must_use]
    pub fn limits(self) -> Limits {
        let row = match self {
            Self::Untrusted => &UNTRUSTED,
            Self::SemiTrusted => &SEMI_TRUSTED,
            Self::Trusted => &TRUSTED,
        };
        Limits {
            memory: Term::preset(ByteSize::mib(row.memory_mib)),
            processes: Term::preset(row.processes),
            disk: Term::preset(ByteSize::mib(row.disk_mib)),
            inodes: Term::preset(row.inodes),
            cpu: Term::preset(CpuShare::milli(row.cpu_percent * 10)),
            cpu_time: None,
            time: Term::preset(Duration::from_secs(row.time_minutes * 60)),
            open_files: Term::preset(row.open_files),
            file_size: None,
            stdout: Term::preset(ByteSize::mib(row.stdout_mib)),
            stderr: Term::preset(ByteSize::mib(row.stderr_mib)),
            arguments: Term::preset(ByteSize::mib(row.arguments_mib)),
            instances: Term::preset(row.instances),
        }
    }
}

struct Row {
    memory_mib: u64,
    processes: u32,
    disk_mib: u64,
    inodes: u32,
    cpu_percent: u32,
    time_minutes: u64,
    open_files: u32,
    stdout_mib: u64,
    stderr_mib: u64,
    arguments_mib: u64,
    instances: u32,
}

/// Room for a Node or Python server and little else.
const UNTRUSTED: Row = Row {
    memory_mib: 1024,
    processes: 256,
    disk_mib: 64,
    inodes: 16_384,
    cpu_percent: 100,
    time_minutes: 10,
    open_files: 1024,
    stdout_mib: 16,
    stderr_mib: 16,
    arguments_mib: 4,
    instances: 4,
};

/// Room for a server that works on a project.
const SEMI_TRUSTED: Row = Row {
    memory_mib: 2048,
    processes: 512,
    disk_mib: 256,
    inodes: 65_536,
    cpu_percent: 200,
    time_minutes: 30,
    open_files: 4096,
    stdout_mib: 64,
    stderr_mib: 64,
    arguments_mib: 16,
    instances: 8,
};

/// Room for a browser or a compiler.
const TRUSTED: Row = Row {
    memory_mib: 4096,
    processes: 2048,
    disk_mib: 1024,
    inodes: 262_144,
    cpu_percent: 400,
    time_minutes: 120,
    open_files: 16_384,
    stdout_mib: 256,
    stderr_mib: 256,
    arguments_mib: 64,
    instances: 16,
};
