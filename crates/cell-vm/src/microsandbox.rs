//! Driver `microsandbox`: microsandbox. It is only looked for: Cella does not start it yet, and says so.

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe, driver::not_yet, hardware, tools};

/// What installs it.
const FIX: &str = "install microsandbox (its `msb` program), or write vm = \"gvisor\"";

/// Driver `microsandbox`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Microsandbox;

impl Driver for Microsandbox {
    fn name(&self) -> DriverName {
        DriverName::Microsandbox
    }

    fn probe(&self) -> Probe {
        if tools::find("msb").is_none() {
            return Probe::unusable("`msb` is not installed", FIX);
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
        Box::pin(async { Err(not_yet(DriverName::Microsandbox)) })
    }
}
