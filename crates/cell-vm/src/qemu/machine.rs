//! The machine that QEMU is told to be.

use std::path::Path;

use cella_cell::Spec;

use super::{guest::Guest, probe::Parts};

/// Memory of the guest's kernel and its first files, in MiB, on top of what the program may have.
const KERNEL_MIB: u64 = 192;
/// Memory of a program for which nobody asked for a limit, in MiB.
const USUAL_MIB: u64 = 1024;
/// First PCI slot of the exports. QEMU's own devices lie below and at the last one.
const FIRST_SLOT: usize = 6;
/// Functions of a slot.
const FUNCTIONS: usize = 8;
/// Exports that fit the bus; past it the specification is refused.
pub(super) const EXPORTS_MAX: usize = (30 - FIRST_SLOT) * FUNCTIONS;

/// The guest's streams, in the order of their ports.
pub(super) const PORTS: [&str; 4] = ["in", "out", "err", "talk"];
/// One more port, of a machine whose connections go to the node's broker.
pub(super) const RELAY: &str = "relay";

/// MiB of the machine.
pub(super) fn memory_mib(spec: &Spec) -> u64 {
    let asked = spec.limits.memory_bytes.value().map_or(USUAL_MIB, |bytes| bytes.div_ceil(1 << 20));
    asked.saturating_add(KERNEL_MIB)
}

/// What a machine is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// To boot.
    Boot,
    /// To boot and have its snapshot taken: with a control socket.
    BootAndSave,
    /// To wake from a snapshot.
    Wake,
}

/// In a machine's directory: what the machine reads, and the socket of the node's by which a snapshot leaves.
pub(super) const KERNEL: &str = "kernel";
pub(super) const INITRD: &str = "initrd";
pub(super) const SAVED: &str = "saved";
/// The directory in it that is the machine's own, for the sockets that it makes.
pub(super) const MACHINES: &str = "machine";
/// Among them, beside its ports: of control, and by which a snapshot comes.
pub(super) const CONTROL: &str = "control";
pub(super) const WAKING: &str = "waking";

/// Begins an argument that says where an export lies, which is all that may differ between a snapshot and who wakes from it.
const EXPORT: &str = "local,";

/// The arguments that make up a machine's shape.
pub(super) fn shape(spec: &Spec, guest: &Guest, parts: &Parts) -> String {
    let args = arguments(Path::new("/"), spec, guest, parts, Start::Boot);
    args.into_iter().filter(|arg| !arg.starts_with(EXPORT)).collect::<Vec<_>>().join(" ")
}

/// The arguments. Nothing is there that is not named: no disk, no network device, no monitor, no default.
pub(super) fn arguments(dir: &Path, spec: &Spec, guest: &Guest, parts: &Parts, start: Start) -> Vec<String> {
    let (accelerator, processor) = match &parts.hardware {
        Ok(()) => ("kvm", "host"),
        Err(_) => ("tcg,tb-size=64", "max"),
    };
    let dir_text = escaped(&dir.join(MACHINES));
    let mut args: Vec<String> =
        ["-nodefaults", "-no-user-config", "-nographic", "-no-reboot"].map(str::to_owned).to_vec();
    let mut add = |option: &str, value: String| args.extend([option.to_owned(), value]);
    add("-M", "q35,usb=off,vmport=off".into());
    add("-accel", accelerator.into());
    add("-cpu", processor.into());
    add("-smp", "1".into());
    add("-m", memory_mib(spec).to_string());
    add("-nic", "none".into());
    add("-serial", "none".into());
    add("-monitor", "none".into());
    add("-kernel", dir.join(KERNEL).display().to_string());
    add("-initrd", dir.join(INITRD).display().to_string());
    add("-append", "quiet loglevel=0 edd=off panic=-1 rdinit=/init".into());
    add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".into());
    add("-device", "virtio-serial-pci,id=serial,max_ports=8,addr=0x4".into());
    for (number, port) in PORTS.iter().chain(guest.relay.as_ref().map(|_| &RELAY)).enumerate() {
        add("-chardev", format!("socket,id={port},path={dir_text}/{port},server=on,wait=off"));
        add("-device", format!("virtserialport,bus=serial.0,nr={},chardev={port},name={port}", number + 1));
    }
    match start {
        Start::Boot => {}
        Start::BootAndSave => add("-qmp", format!("unix:{dir_text}/{CONTROL},server=on,wait=off")),
        Start::Wake => add("-incoming", format!("unix:{dir_text}/{WAKING}")),
    }
    for (number, (tag, shown)) in guest.all_exports().enumerate() {
        let read_only = if shown.write { "" } else { ",readonly=on" };
        let source = escaped(&shown.source);
        add(
            "-fsdev",
            format!("{EXPORT}id={tag},path={source},security_model=none,multidevs=remap{read_only}"),
        );
        let (slot, function) = (FIRST_SLOT + number / FUNCTIONS, number % FUNCTIONS);
        add(
            "-device",
            format!(
                "virtio-9p-pci,fsdev={tag},mount_tag={tag},multifunction=on,addr={slot:#x}.{function:#x}"
            ),
        );
    }
    args
}

/// A comma in a value is written twice.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
