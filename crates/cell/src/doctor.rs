//! What this machine can enforce, as data.

use serde::{Deserialize, Serialize};

use crate::process;

/// One ability of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// It works, tried just now.
    pub works: bool,
    /// Version and figures if it works, else what the kernel said.
    pub detail: String,
    /// What to do if it does not work; empty otherwise.
    pub fix: String,
}

/// Which control groups this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CgroupVersion {
    /// One directory tree per controller.
    V1,
    /// One tree.
    V2,
}

/// Controllers that cells can be limited by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupFacts {
    /// Memory limit.
    pub memory: Option<CgroupVersion>,
    /// Process limit.
    pub pids: Option<CgroupVersion>,
    /// Processor share.
    pub cpu: Option<CgroupVersion>,
    /// Share and rate of disks.
    pub io: Option<CgroupVersion>,
    /// `cgroup.kill` is there.
    pub kill: bool,
    /// Why some are not.
    pub why_not: Vec<String>,
}

/// What this machine can enforce for this user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Kernel release.
    pub kernel: String,
    /// Node runs as root: one host uid per cell.
    pub root: bool,
    /// All seven namespaces, made just now.
    pub namespaces: Fact,
    /// A private `/proc` in them.
    pub proc_mount: Fact,
    /// System call filters.
    pub seccomp: Fact,
    /// Landlock, `detail` names the ABI.
    pub landlock: Fact,
    /// Landlock ABI version, 0 if absent.
    pub landlock_abi: u32,
    /// Idmapped mounts, tried on the temporary directory; under a plain user not needed.
    pub idmap: Fact,
    /// Control groups.
    pub cgroups: CgroupFacts,
}

impl MachineFacts {
    /// Whether class `process` can run at all.
    #[must_use]
    pub fn can_confine(&self) -> bool {
        self.namespaces.works && self.proc_mount.works && self.seccomp.works
    }
}

/// Tries everything once, in a process of its own that ends before this returns (some milliseconds, blocking).
///
/// # Errors
/// When the launcher cannot be started.
pub fn doctor() -> Result<MachineFacts, crate::CellError> {
    process::probe()
}
