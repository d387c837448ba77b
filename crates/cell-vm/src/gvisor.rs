//! Driver `gvisor`: the program's system calls end in gVisor's kernel, a program in Go that itself may make few.
//!
//! `runsc` is given an OCI bundle and no network, or where hosts are granted the cell's own namespace, in which every address ends
//! at the node's broker. It needs neither root nor hardware: as a plain user it runs rootless.

mod bundle;
mod launch;
mod probe;

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe};

/// Driver `gvisor`.
#[derive(Clone, Debug, Default)]
pub struct Gvisor {
    program: Option<std::path::PathBuf>,
}

// === impl Gvisor ===

impl Gvisor {
    /// With the `runsc` of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a `runsc` of one's own.
    #[must_use]
    pub fn with_program(program: impl Into<std::path::PathBuf>) -> Self {
        Self { program: Some(program.into()) }
    }
}

impl Driver for Gvisor {
    fn name(&self) -> DriverName {
        DriverName::Gvisor
    }

    fn probe(&self) -> Probe {
        probe::probe(self.program.as_deref())
    }

    fn launch<'a>(&'a self, spec: &'a Spec) -> LaunchFuture<'a> {
        Box::pin(launch::launch(self.program.clone(), spec.clone()))
    }
}
