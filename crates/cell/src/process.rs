//! Class `process`: namespaces, Landlock and a system call filter of this kernel.

use crate::{Cell, CellError, Class, MachineFacts, Running, SpawnFuture, Spec};

/// First argument that turns the node's own binary into the launcher of cells. Hidden from its help.
pub const LAUNCHER_ARG: &str = "__cell";

/// Becomes the launcher and never returns, if this process was started as one; returns at once otherwise. The first
/// statement of `main`, before any thread exists.
pub fn launcher_main() {}

/// Class `process`.
#[derive(Debug, Default)]
pub struct Process {}

impl Process {
    /// The class; its launcher is started by the first spawn.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    async fn start(&self, _spec: &Spec) -> Result<Running, CellError> {
        Err(CellError::Launcher { cause: "not built yet".into() })
    }
}

impl Cell for Process {
    fn class(&self) -> Class {
        Class::Process
    }

    fn spawn<'a>(&'a self, spec: &'a Spec) -> SpawnFuture<'a> {
        Box::pin(self.start(spec))
    }
}

/// What [`sweep`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Control groups of nodes that are gone.
    pub cgroups: usize,
}

/// Removes what killed nodes left on this machine: control groups whose node is gone. Once at start.
#[must_use]
pub fn sweep() -> Swept {
    Swept::default()
}

pub(crate) fn probe() -> Result<MachineFacts, CellError> {
    Err(CellError::Launcher { cause: "not built yet".into() })
}
