//! Driver `qemu`: a Linux of its own in a virtual machine, which has no network device.
//!
//! The guest is the distribution's own kernel with an init of ours: a shell script on a static busybox. The program's
//! streams are serial ports, the host's directories are 9p exports that the guest mounts. Where the processor runs guests
//! the machine runs at its speed, else in software translation, which is slow and just as tight.
//!
//! A guest that has booted waits to be told what it is for. There its snapshot is taken, once for each shape of a machine,
//! and later cells wake from that instead of booting. No guest that was told anything is ever kept or used again.

mod archive;
mod guest;
mod init;
mod launch;
mod machine;
mod monitor;
mod own;
mod plan;
mod pool;
mod pristine;
mod probe;
mod seed;
mod site;
mod snapshot;
mod talk;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use cella_cell::Spec;

use crate::{Driver, DriverName, LaunchFuture, Probe};

use self::{own::Own, pool::Pool, snapshot::Store};

/// Guests of each kind that wait for the next cell, unless one says otherwise. None: each holds some 200 MiB for as long as
/// it waits, and waking one takes a fraction of a second.
pub const WAITING_GUESTS: usize = 0;

/// Driver `qemu`.
#[derive(Clone, Debug)]
pub struct Qemu {
    ground: Arc<Ground>,
}

/// What all its cells share.
#[derive(Clone, Debug)]
struct Ground {
    /// Where `boot/vmlinuz-*` and `lib/modules` are looked for, the first place first.
    places: Vec<PathBuf>,
    /// Where snapshots of guests are kept; `None` has every guest boot.
    store: Option<Store>,
    pool: Arc<Pool>,
    /// This binary, once a guest has needed it.
    own: Arc<OnceLock<Own>>,
}

// === impl Qemu ===

impl Qemu {
    /// With a kernel that was put aside for guests, else with this machine's own. Snapshots are kept in the user's cache.
    #[must_use]
    pub fn new() -> Self {
        Self::of(["/usr/local/lib/cella/guest", "/usr/lib/cella/guest", "/"].map(PathBuf::from).to_vec())
    }

    /// With the kernel below this directory (`boot/vmlinuz-*`, `lib/modules`), as a distribution's package has it.
    #[must_use]
    pub fn with_kernel(dir: impl Into<PathBuf>) -> Self {
        Self::of(vec![dir.into()])
    }

    /// The same with snapshots of booted guests in this directory, which is made and must be nobody else's; `None` has every
    /// guest boot.
    #[must_use]
    pub fn with_snapshots(self, dir: Option<PathBuf>) -> Self {
        let store = dir.map(Store::new);
        Self { ground: Arc::new(Ground { store, ..(*self.ground).clone() }) }
    }

    /// The same with so many guests of each kind waiting for the next cell, instead of [`WAITING_GUESTS`]. They are woken
    /// from a snapshot once a first cell has run, and each is given out once.
    #[must_use]
    pub fn with_waiting(self, guests: usize) -> Self {
        let pool = Arc::new(Pool::new(guests));
        Self { ground: Arc::new(Ground { pool, ..(*self.ground).clone() }) }
    }

    fn of(places: Vec<PathBuf>) -> Self {
        let pool = Arc::new(Pool::new(WAITING_GUESTS));
        Self { ground: Arc::new(Ground { places, store: Store::of_user(), pool, own: Arc::default() }) }
    }
}

// === impl Ground ===

impl Ground {
    /// Two that need it at once may lay it out twice; one of them stays. Blocks.
    fn own(&self) -> std::io::Result<&Own> {
        if self.own.get().is_none() {
            let _first_one_stays = self.own.set(Own::lay_out()?);
        }
        self.own.get().ok_or_else(|| std::io::ErrorKind::NotFound.into())
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
        match probe::find(&self.ground.places) {
            Ok(parts) => Probe::Usable { how: parts.how() },
            Err(unusable) => unusable,
        }
    }

    fn launch<'a>(&'a self, spec: &'a Spec) -> LaunchFuture<'a> {
        Box::pin(launch::launch(Arc::clone(&self.ground), spec.clone()))
    }
}
