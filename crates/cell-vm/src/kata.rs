//! Driver `kata`: Kata Containers. It is only looked for: Cella does not start it yet, and says so.

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe, driver::not_yet, hardware, tools};

/// What installs it.
const FIX: &str = "install Kata Containers, or write vm = \"gvisor\"";

/// Driver `kata`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kata;

impl Driver for Kata {
    fn name(&self) -> DriverName {
        DriverName::Kata
    }

    fn probe(&self) -> Probe {
        if tools::find("kata-runtime").is_none() {
            return Probe::unusable("`kata-runtime` is not installed", FIX);
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
        Box::pin(async { Err(not_yet(DriverName::Kata)) })
    }
}
