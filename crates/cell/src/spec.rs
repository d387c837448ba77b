//! What runs in a cell, and with what. Pure data: nothing here touches the machine.

mod from_contract;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

const MIB: u64 = 1 << 20;

/// Everything that a cell is asked to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Name for messages, the cgroup's name and the status display; `[A-Za-z0-9_.-]`, other characters are replaced.
    pub name: String,
    /// What to execute.
    pub program: Program,
    /// The whole environment of the program: nothing is added to it and nothing inherited. `HOME`, `PATH`, `TMPDIR` and
    /// `LANG` come from [`Spec::new`] and may be replaced.
    pub env: BTreeMap<String, String>,
    /// Where the read-only root comes from.
    pub root: Root,
    /// Declared parts of the host, beyond the root and the files of the program.
    pub mounts: Vec<Mount>,
    /// For each target of a mount with [`Access::Copy`], the directory that takes its changes: it holds two directories,
    /// `upper` and `work`, on one filesystem, and lies neither in the mount's source nor around it. Whoever makes the
    /// cell makes it, and keeps it until the cell is gone.
    pub layers: BTreeMap<PathBuf, PathBuf>,
    /// Host paths that stay hidden where they lie within a mount or within the program's files: an empty, read-only
    /// directory or file is put over them. What is mounted at such a path or below it is seen all the same. One that
    /// does not exist is not covered.
    pub masks: Vec<PathBuf>,
    /// Private memory-backed directories.
    pub tmpfs: Tmpfs,
    /// Reach.
    pub network: Network,
    /// Hosts that the contract grants, for whoever holds the ends of a brokered network. Under any other network they
    /// are out of reach, and the report says so.
    pub egress: Vec<String>,
    /// Ceilings.
    pub limits: Limits,
    /// As whom the program runs, seen from the host.
    pub identity: IdentityPolicy,
    /// What happens when this machine cannot enforce what is asked.
    pub enforcement: Enforcement,
}

impl Spec {
    /// A cell with every default: host system root, no declared mounts, no network, default limits, strict.
    #[must_use]
    pub fn new(name: impl Into<String>, program: Program) -> Self {
        let dirs = program.path_dirs.iter().map(|dir| dir.display().to_string());
        let path: Vec<String> = dirs.chain([DEFAULT_PATH.to_owned()]).collect();
        let path = path.join(":");
        let env = [("HOME", "/home/cell"), ("PATH", &path), ("TMPDIR", "/tmp"), ("LANG", "C.UTF-8")];
        Self {
            name: name.into(),
            program,
            env: env.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            root: Root::HostSystem,
            mounts: Vec::new(),
            layers: BTreeMap::new(),
            masks: Vec::new(),
            tmpfs: Tmpfs::default(),
            network: Network::None,
            egress: Vec::new(),
            limits: Limits::default(),
            identity: IdentityPolicy::Private,
            enforcement: Enforcement::Strict,
        }
    }
}

/// `PATH` inside a cell unless the specification says otherwise.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to execute, and what it needs to see in order to start at all; made by `cella_program::program_files`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Absolute path of the executable, the same inside and outside.
    pub command: PathBuf,
    /// Arguments, without the program's own name.
    pub args: Vec<String>,
    /// Working directory inside; `None` is `/home/cell`. It must be visible inside.
    pub cwd: Option<PathBuf>,
    /// Host directories and files that are shown read-only at the same path.
    pub files: Vec<PathBuf>,
    /// Symbolic links on the way to them, with their content, that lie in none of them.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Directories that `PATH` inside must begin with; [`Spec::new`] puts them there.
    pub path_dirs: Vec<PathBuf>,
    /// Host paths named in `args` that exist but are not visible inside: what a failure message points at.
    pub hidden_paths: Vec<PathBuf>,
}

/// Where the read-only root comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Root {
    /// `/usr`, `/bin`, `/sbin`, `/lib*` of the host, and a synthesised `/etc`.
    HostSystem,
    /// A directory with a root filesystem in it, absolute and without links on the way; crate `image` makes one of an
    /// archive or an OCI layout. All of it is shown read-only but what a cell makes itself: `/dev`, `/proc`,
    /// `/sys`, `/tmp`, `/run`, `/home`, and the names of users, hosts and name servers in `/etc`. No image's entry
    /// point or environment is taken over. Whatever the image's files belong to, inside they are the cell's, and still
    /// not writable.
    Image(PathBuf),
}

/// A declared part of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute host path of a directory or regular file. Its last component must not be a symbolic link, and no
    /// component may be one that its own parent directory's owner could swap: it is opened once and mounted by descriptor.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

/// How a mount may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and execute.
    Read,
    /// Read, execute and change.
    Write,
    /// Read, execute and change a copy: what changes lands in the directory that [`Spec::layers`] names for the target, and
    /// the source stays as it is. For directories only.
    Copy,
}

/// Caps of the private memory-backed directories (`/tmp`, `/home/cell`, `/dev/shm`), together. They stop a cell from
/// filling the machine's memory with files; past them the program sees `ENOSPC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Bytes.
    pub bytes: u64,
    /// Files and directories.
    pub inodes: u64,
}

impl Default for Tmpfs {
    fn default() -> Self {
        Self { bytes: 64 * MIB, inodes: 16_384 }
    }
}

/// What a cell can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Network {
    /// A network namespace of its own with nothing in it but its own loopback.
    #[default]
    None,
    /// As `None`, and TCP is refused even on that loopback (by Landlock).
    Sealed,
    /// Every address of the world is local: what the program connects to ends at listeners that the node holds
    /// ([`crate::NetworkEnds`]), whose broker decides. There is still no way out of the namespace but through them.
    Brokered {
        /// TCP ports that the broker serves; at most [`crate::PORTS_MAX`], neither 0 nor 53 (names are always served).
        /// Any other port is refused by the namespace itself, unless the program serves it.
        ports: Vec<u16>,
    },
}

/// A wish of the specification, and how much it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask<T> {
    /// Not asked.
    No,
    /// Enforce it where this machine can; where it cannot, the report says so.
    Prefer(T),
    /// Where this machine cannot enforce it, strict enforcement refuses to run.
    Require(T),
}

impl<T: Copy> Ask<T> {
    /// The value asked for.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::No => None,
            Self::Prefer(value) | Self::Require(value) => Some(value),
        }
    }

    /// Whether falling short is a refusal under strict enforcement.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(self, Self::Require(_))
    }
}

/// Ceilings of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory of the whole tree, shared memory and files in tmpfs included. Past it the kernel kills the cell.
    /// Where no control group can be made, one process's private memory is bounded and the tree is looked at several
    /// times a second and killed: that stops a leak, not a burst, so it meets a wish and not a requirement.
    pub memory_bytes: Ask<u64>,
    /// Processes and threads of the whole tree. Past it `fork` fails with `EAGAIN`.
    pub processes: Ask<u32>,
    /// Open files of one process.
    pub open_files: u64,
    /// Bytes of the largest file that a process may write.
    pub file_bytes: Option<u64>,
    /// Share of the machine's processors, in thousandths of one processor.
    pub cpu_milli: Ask<u32>,
    /// Share of the disks against other groups of this machine, 1 to 10000, the usual being 100 (`io.weight`).
    pub io_weight: Ask<u32>,
    /// Bytes per second read from and written to each disk, each way.
    pub io_bytes_per_second: Ask<u64>,
    /// Processor time of the whole tree; then the cell is killed. Looked at several times a second; one process alone is
    /// stopped by the kernel.
    pub cpu_time: Option<Duration>,
    /// Life of the cell; then it is killed.
    pub wall_time: Option<Duration>,
    /// Bytes on standard output and standard error together, over the whole life; then the cell is killed, and the reader
    /// sees this many and the end. Each byte is copied once more, so it is for programs that run once, not for servers.
    pub output_bytes: Option<u64>,
}

impl Default for Limits {
    /// Enough for a Node or Python server, too little to hurt the machine.
    fn default() -> Self {
        Self {
            memory_bytes: Ask::Prefer(1024 * MIB),
            processes: Ask::Prefer(256),
            open_files: 1024,
            file_bytes: None,
            cpu_milli: Ask::No,
            io_weight: Ask::No,
            io_bytes_per_second: Ask::No,
            cpu_time: None,
            wall_time: None,
            output_bytes: None,
        }
    }
}

/// As whom a cell runs, seen from the host. Inside it is always uid and gid 1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityPolicy {
    /// Under a root node: an unprivileged host uid that no other cell has. Under a plain user: that user.
    #[default]
    Private,
}

/// What happens when this machine cannot enforce what is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// Refuse, with the reason and the fix.
    #[default]
    Strict,
    /// Run with what there is, and say in the report what is missing. Namespaces, no_new_privs and the system call
    /// filter are never given up.
    BestEffort,
}
