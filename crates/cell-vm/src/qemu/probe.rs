//! Whether this machine has what a guest is made of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Probe, hardware, tools};

/// Modules that the guest loads, those that others need first; it tries more than once, as kernels differ in who needs whom.
/// Those that a kernel has built in are not there as files.
const MODULES: [&str; 12] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_console",
    "netfs",
    "fscache",
    "9pnet",
    "9pnet_virtio",
    "9p",
    "virtio-rng",
];
/// Without these there are no streams and no files.
const NEEDED: [&str; 3] = ["virtio_console", "9pnet_virtio", "9p"];
/// How deep below `kernel/` modules lie.
const DEPTH_MAX: usize = 4;
const KERNEL_FIX: &str = "install a kernel with 9p in it and unpack it for guests: apt-get download linux-image-amd64's kernel, \
                          then dpkg -x it into /usr/local/lib/cella/guest";

/// What a machine is put together from.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) qemu: PathBuf,
    pub(super) setpriv: PathBuf,
    pub(super) busybox: PathBuf,
    pub(super) kernel: PathBuf,
    /// In the order in which they are loaded.
    pub(super) modules: Vec<PathBuf>,
    /// Whether guests run at the processor's speed.
    pub(super) hardware: Result<(), String>,
}

// === impl Parts ===

impl Parts {
    pub(super) fn how(&self) -> String {
        let speed = match &self.hardware {
            Ok(()) => "KVM".to_owned(),
            Err(why) => format!("software translation, which is slow ({why})"),
        };
        format!("{}, guest {}, {speed}", self.qemu.display(), self.kernel.display())
    }
}

/// Looks for everything.
pub(super) fn find(places: &[PathBuf]) -> Result<Parts, Probe> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Probe::unusable("guests are only made for x86_64", "write vm = \"gvisor\""));
    }
    let program = |name: &str, fix: &str| {
        tools::find(name).ok_or_else(|| Probe::unusable(format!("{name} is not installed"), fix))
    };
    let qemu = program("qemu-system-x86_64", "apt-get install qemu-system-x86")?;
    let setpriv = program("setpriv", "apt-get install util-linux")?;
    let busybox = program("busybox", "apt-get install busybox-static")?;
    if !is_static(&busybox) {
        return Err(Probe::unusable(
            format!("{} needs libraries", busybox.display()),
            "apt-get install busybox-static",
        ));
    }
    let found = places.iter().filter(|place| place.is_dir()).find_map(|place| kernel(place));
    let Some((kernel, modules)) = found else {
        return Err(Probe::unusable(
            "there is no kernel for guests, with uncompressed 9p and virtio modules beside it",
            KERNEL_FIX,
        ));
    };
    Ok(Parts { qemu, setpriv, busybox, kernel, modules, hardware: hardware::guests() })
}

/// The newest kernel of a place that has what is needed.
fn kernel(place: &Path) -> Option<(PathBuf, Vec<PathBuf>)> {
    let entries = fs::read_dir(place.join("boot")).ok()?.flatten();
    let mut versions: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("vmlinuz-").map(str::to_owned))
        .collect();
    versions.sort_by_key(|version| numbers(version));
    versions.into_iter().rev().find_map(|version| {
        let image = place.join("boot").join(format!("vmlinuz-{version}"));
        // Some distributions let only root read it.
        fs::File::open(&image).ok()?;
        let dir = place.join("lib/modules").join(&version).join("kernel");
        let built_in = fs::read_to_string(place.join("lib/modules").join(&version).join("modules.builtin"))
            .unwrap_or_default();
        let mut found = Vec::new();
        collect(&dir, DEPTH_MAX, &mut found);
        let has =
            |name: &str| found.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name)).cloned();
        let complete =
            NEEDED.iter().all(|name| has(name).is_some() || built_in.contains(&format!("/{name}.ko")));
        complete.then(|| (image, MODULES.iter().filter_map(|name| has(name)).collect()))
    })
}

fn collect(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, found);
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            found.push(path);
        }
    }
}

/// Versions compare by their numbers.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// An executable without a program header for an interpreter (ELF-64, `PT_INTERP` is 3).
fn is_static(program: &Path) -> bool {
    let Ok(bytes) = fs::read(program) else { return false };
    let number = |at: usize, size: usize| -> Option<usize> {
        let slice = bytes.get(at..at + size)?;
        Some(slice.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((start, size, count)) = headers().filter(|_| bytes.starts_with(b"\x7fELF\x02")) else {
        return false;
    };
    !(0..count).any(|index| number(start + index * size, 4) == Some(3))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{find, is_static, numbers};

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("6.1.0-57-amd64") > numbers("6.1.0-9-amd64"));
    }

    #[test]
    fn a_shell_that_needs_libraries_is_not_static() {
        assert!(!is_static(Path::new("/bin/sh")) && !is_static(Path::new("/etc/passwd")));
    }

    #[test]
    fn without_a_kernel_the_reason_says_so_or_names_what_is_missing_before_it() {
        let empty = tempfile::tempdir().unwrap();
        let crate::Probe::Unusable { why, fix } = find(&[empty.path().to_owned()]).unwrap_err() else {
            panic!()
        };
        assert!(!why.is_empty() && fix.contains("apt-get") || fix.contains("gvisor"));
    }
}
