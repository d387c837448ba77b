//! Class `process`: namespaces, Landlock and a system call filter of this kernel.
//!
//! In the node: [`Process`] decides (`verdict`, `order`), asks the launcher (`link`) and follows each cell (`driver`); some
//! are born before anybody asks for them (`shells`). In the launcher, one forked process after the other: `birth`, `init`,
//! `workload`.

mod alive;
mod birth;
mod brokered;
mod capped;
mod cgroup;
mod driver;
mod facts;
mod filter;
mod identity;
mod init;
mod launcher;
mod layout;
mod link;
mod masks;
mod network;
mod order;
mod outcome;
mod refusal;
mod root;
mod shells;
mod sights;
mod sources;
mod sys;
mod tree;
mod verdict;
mod walls;
mod watch;
mod wire;
mod workload;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{Cell, Class, SpawnFuture, Spec};

pub(crate) use self::facts::probe;
pub use self::{
    launcher::{LAUNCHER_ARG, launcher_main},
    layout::is_system_path,
    network::{TreeNetwork, make_local},
    refusal::shebang,
    shells::{SHELL_AGE_MAX, SHELLS_MAX, Warm},
    tree::whole_tree,
};

use self::{
    cgroup::{Hierarchies, Owner},
    identity::Identities,
    layout::Layout,
    link::LauncherLink,
    shells::Shells,
};

/// Class `process`. One per node: it owns the launcher, the host ids and the control groups of all its cells.
#[derive(Clone, Debug)]
pub struct Process {
    ground: Arc<Ground>,
}

/// What all cells of a node share.
#[derive(Debug)]
pub(crate) struct Ground {
    layout: Layout,
    hierarchies: Hierarchies,
    identities: Identities,
    owner: Owner,
    /// ABI, or why there is none.
    landlock: Result<u32, String>,
    link: LauncherLink,
    shells: Shells,
}

/// Numbers the cells of this process, whichever class value made them: the number is part of a group's name.
static NUMBER: AtomicU64 = AtomicU64::new(1);

impl Process {
    /// Looks at the machine (some milliseconds of file reads). The launcher is started by the first spawn.
    #[must_use]
    pub fn new() -> Self {
        let ground = Ground {
            layout: Layout::of_host(),
            hierarchies: Hierarchies::probe(),
            identities: Identities::of_this_process(),
            owner: Owner::current(),
            landlock: sys::landlock_abi().map_err(|error| error.to_string()),
            link: LauncherLink::default(),
            shells: Shells::default(),
        };
        Self { ground: Arc::new(ground) }
    }

    /// Keeps `count` shells waiting for programs of this specification's shape ([`crate::Shape`]), as long as the answer is
    /// held: cells that are ready but for their program, which [`Cell::spawn`] takes instead of beginning one. Whoever
    /// asks for a cell need not know. Within a runtime; returns at once.
    ///
    /// A file that is part of the shape and will be gone when the next cell is wanted makes a shell that fits none.
    #[must_use]
    pub fn keep_warm(&self, spec: &Spec, count: usize) -> Warm {
        Warm::begin(&self.ground, spec, count)
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::new()
    }
}

impl Ground {
    /// The next cell's group name, which is also the end of its id.
    fn next_name(&self) -> String {
        self.owner.group_name(NUMBER.fetch_add(1, Ordering::Relaxed))
    }
}

impl Cell for Process {
    fn class(&self) -> Class {
        Class::Process
    }

    fn spawn<'a>(&'a self, spec: &'a Spec) -> SpawnFuture<'a> {
        Box::pin(driver::launch(Arc::clone(&self.ground), spec.clone()))
    }
}

/// What [`sweep`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Control groups of nodes that are gone.
    pub cgroups: usize,
}

/// Removes what killed nodes left on this machine: control groups whose node is gone. Once at start, blocking. Processes
/// and mounts need no sweeping, they die with the node.
pub fn sweep() -> Swept {
    Swept { cgroups: cgroup::sweep() }
}
