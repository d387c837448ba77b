//! Driver `firecracker`: Firecracker. It is only looked for: Cella does not start it yet, and says so.

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe, driver::not_yet, hardware, tools};

/// What installs it.
const FIX: &str = "install a release of firecracker and its jailer, or write vm = \"gvisor\"";

/// Driver `firecracker`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Firecracker;

impl Driver for Firecracker {
    fn name(&self) -> DriverName {
        DriverName::Firecracker
    }

    fn probe(&self) -> Probe {
        if tools::find("firecracker").is_none() {
            return Probe::unusable("`firecracker` is not installed", FIX);
        }
        if let Err(why) = hardware::guests() {
            return Probe::unusable(why, hardware::FIX);
        }
        Probe::unusable(
            "this version of Cella does not start it yet",
            "write vm = \"gvisor\" or vm = \"qemu\"",
        )
    }

    fn launch<'a>(&'a self, _spec: &'a Spec) -> LaunchFuture<'a> {
        Box::pin(async { Err(not_yet(DriverName::Firecracker)) })
    }
}
