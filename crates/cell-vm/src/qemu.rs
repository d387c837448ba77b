//! Driver `qemu`: a Linux of its own in a virtual machine.

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe};

/// Driver `qemu`.
#[derive(Clone, Debug, Default)]
pub struct Qemu;

impl Qemu {
    /// new
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Driver for Qemu {
    fn name(&self) -> DriverName {
        DriverName::Qemu
    }
    fn probe(&self) -> Probe {
        Probe::unusable("todo", "todo")
    }
    fn launch<'a>(&'a self, _spec: &'a Spec) -> LaunchFuture<'a> {
        Box::pin(async { Err(crate::driver::not_yet(DriverName::Qemu)) })
    }
}
