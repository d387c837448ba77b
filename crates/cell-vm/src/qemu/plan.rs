//! What a cell's machine is to be, decided before anything is made.

use cella_cell::{CellError, Network, Report, Spec};

use super::{
    Ground,
    guest::Guest,
    init,
    machine::{self, EXPORTS_MAX, Start},
    probe::{self, Parts},
    seed,
    snapshot::{Shape, identity_of},
};
use crate::{
    DriverName, Probe, VmError,
    groups::{Groups, Overhead},
    judge::{Claims, judge},
};

/// What QEMU and the guest's kernel need for themselves, beyond the machine's own memory.
const OVERHEAD: Overhead = Overhead { memory_bytes: 512 << 20, threads: None };

/// A machine that can be made.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) parts: Parts,
    pub(super) guest: Guest,
    pub(super) spec: Spec,
    /// What the guest is told of its cell.
    pub(super) cell: Vec<u8>,
    /// What a snapshot of it depends on.
    pub(super) shape: Shape,
    /// What a guest that waits for it depends on: also what is beside the machine.
    pub(super) kind: Shape,
}

// === impl Plan ===

impl Plan {
    /// Looks at the machine and decides. Blocks.
    pub(super) fn new(ground: &Ground, spec: Spec) -> Result<Self, VmError> {
        let driver = DriverName::Qemu;
        let parts = probe::find(&ground.places).map_err(|probe| match probe {
            Probe::Unusable { why, fix } => VmError::Unusable { driver, why, fix },
            Probe::Usable { how } => VmError::NotSetUp { driver, cause: how },
        })?;
        let own = match spec.network {
            // Without it there is no way to the broker, which is judged with the rest.
            Network::Brokered { .. } => ground.own().inspect_err(warn).ok(),
            _ => None,
        };
        let guest = Guest::of(&spec, own)?;
        let exports = guest.all_exports().count();
        if exports > EXPORTS_MAX {
            let what = format!("{exports} directories, {EXPORTS_MAX} fit a machine");
            return Err(CellError::Spec { what }.into());
        }
        let cell = guest.cell(&spec)?;
        let material = material(&parts, &spec, &guest)?;
        let args =
            machine::arguments(std::path::Path::new("/"), &spec, &guest, &parts, Start::Boot).join(" ");
        let kind = format!("{material}\n{args}\n{:?}\n{:?}\n{:?}", guest.owner, spec.limits, spec.network);
        Ok(Self { shape: Shape::of(&material), kind: Shape::of(&kind), parts, guest, spec, cell })
    }

    /// The groups of one machine.
    pub(super) fn groups(&self, id: &str) -> Groups {
        Groups::make(id, &self.spec.limits, OVERHEAD)
    }

    /// What is enforced in these groups, or the refusal.
    pub(super) fn judge(&self, groups: &Groups) -> Result<Report, VmError> {
        judge(&self.spec, groups, &self.claims())
    }

    fn claims(&self) -> Claims {
        let speed = if self.parts.hardware.is_ok() { "KVM" } else { "software translation" };
        let mib = machine::memory_mib(&self.spec);
        Claims {
            driver: DriverName::Qemu,
            walls: vec![
                (
                    "kernel",
                    format!(
                        "a Linux of its own in a virtual machine of QEMU ({speed}), which a system call filter holds"
                    ),
                ),
                ("root", "read-only, and declared mounts, as 9p exports of single directories".into()),
                ("network", self.network()),
                (
                    "identity",
                    format!(
                        "uid {} inside and QEMU's own outside, no capability, no_new_privs",
                        self.guest.owner.0
                    ),
                ),
            ],
            by_group: Vec::new(),
            by_itself: vec![
                ("memory", format!("the machine has {mib} MiB, its kernel's own included")),
                ("processes", "RLIMIT_NPROC in the guest".into()),
            ],
            brokers: self.guest.relay.is_some() || !matches!(self.spec.network, Network::Brokered { .. }),
        }
    }

    fn network(&self) -> String {
        let Some(relay) = &self.guest.relay else { return "none: the machine has no network device".into() };
        let ports: Vec<String> = relay.ports.iter().map(u16::to_string).collect();
        format!(
            "no network device; names and TCP ports {} go by a port of the machine to the node's broker",
            ports.join(", ")
        )
    }
}

fn warn(error: &std::io::Error) {
    tracing::warn!(%error, "this binary cannot be laid out for guests, so they have no way to the network");
}

/// Everything that a guest's memory comes from, before it is told what it is for.
fn material(parts: &Parts, spec: &Spec, guest: &Guest) -> std::io::Result<String> {
    let files = [&parts.qemu, &parts.kernel, &parts.busybox].into_iter().chain(&parts.modules);
    let files = files.map(|file| identity_of(file)).collect::<Result<Vec<_>, _>>()?;
    let processor = match &parts.hardware {
        // A guest in software translation sees the same processor on every machine.
        Err(_) => String::new(),
        Ok(()) => processor(),
    };
    let (script, seed) = (init::script(), seed::program());
    Ok(format!(
        "{}\n{processor}\n{}\n{script}\n{seed:?}",
        machine::shape(spec, guest, parts),
        files.join("\n")
    ))
}

/// The lines that tell one processor from another.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    let told = ["vendor_id", "cpu family", "model", "stepping", "microcode", "flags"];
    first.lines().filter(|line| told.iter().any(|name| line.starts_with(name))).collect::<Vec<_>>().join("\n")
}
