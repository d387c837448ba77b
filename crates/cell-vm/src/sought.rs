//! Monitors that are only looked for: Cella does not start them yet, and says so.

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe, VmError, hardware, tools};

const NOT_YET: &str = "this version of Cella does not start it yet";
const OTHERS: &str = "write vm = \"gvisor\" or vm = \"qemu\"";

/// A monitor that is only looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    name: DriverName,
    /// What is looked for on `PATH`.
    program: &'static str,
    /// What installs it.
    fix: &'static str,
}

/// microsandbox.
pub(crate) const MICROSANDBOX: Sought = Sought {
    name: DriverName::Microsandbox,
    program: "msb",
    fix: "install microsandbox (its `msb` program), or write vm = \"gvisor\"",
};
/// Firecracker.
pub(crate) const FIRECRACKER: Sought = Sought {
    name: DriverName::Firecracker,
    program: "firecracker",
    fix: "install a release of firecracker and its jailer, or write vm = \"gvisor\"",
};
/// Kata Containers.
pub(crate) const KATA: Sought = Sought {
    name: DriverName::Kata,
    program: "kata-runtime",
    fix: "install Kata Containers, or write vm = \"gvisor\"",
};

impl Driver for Sought {
    fn name(&self) -> DriverName {
        self.name
    }

    fn probe(&self) -> Probe {
        if tools::find(self.program).is_none() {
            return Probe::unusable(format!("`{}` is not installed", self.program), self.fix);
        }
        match hardware::guests() {
            Err(why) => Probe::unusable(why, hardware::FIX),
            Ok(()) => Probe::unusable(NOT_YET, OTHERS),
        }
    }

    fn launch<'a>(&'a self, _spec: &'a Spec) -> LaunchFuture<'a> {
        let refusal = VmError::Unusable { driver: self.name, why: NOT_YET.into(), fix: OTHERS.into() };
        Box::pin(async { Err(refusal) })
    }
}
