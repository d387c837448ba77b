//! Driver `qemu`: a Linux of its own in a virtual machine, which has no network device.
//!
//! The guest is the distribution's own kernel with an init of ours: a shell script on a static busybox. The program's
//! streams are serial ports, the host's directories are 9p exports that the guest mounts. Where the processor runs guests
//! the machine runs at its speed, else in software translation, which is slow and just as tight.

mod archive;
mod guest;
mod init;
mod launch;
mod machine;
mod probe;
mod talk;

use std::path::PathBuf;

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe};

/// Driver `qemu`.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// Where `boot/vmlinuz-*` and `lib/modules` are looked for, the first place first.
    places: Vec<PathBuf>,
}

// === impl Qemu ===

impl Qemu {
    /// With a kernel that was put aside for guests, else with this machine's own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            places: ["/usr/local/lib/cella/guest", "/usr/lib/cella/guest", "/"].map(PathBuf::from).to_vec(),
        }
    }

    /// With the kernel below this directory (`boot/vmlinuz-*`, `lib/modules`), as a distribution's package has it.
    #[must_use]
    pub fn with_kernel(dir: impl Into<PathBuf>) -> Self {
        Self { places: vec![dir.into()] }
    }
}

impl Default for Qemu {
    fn default() -> Self {
        Self::new()
    }
}

impl Driver for Qemu {
    fn name(&self) -> DriverName {
        DriverName::Qemu
    }

    fn probe(&self) -> Probe {
        match probe::find(&self.places) {
            Ok(parts) => Probe::Usable { how: parts.how() },
            Err(unusable) => unusable,
        }
    }

    fn launch<'a>(&'a self, spec: &'a Spec) -> LaunchFuture<'a> {
        Box::pin(launch::launch(self.places.clone(), spec.clone()))
    }
}
