//! What a guest sees, and which of it goes by which way: directories as exports, small files in the archive.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use cella_cell::{Access, CellError, Network, Spec};

use super::{archive::Archive, init, machine, own::Own, probe::Parts, seed};
use crate::{
    DriverName, VmError,
    view::{Shown, View},
};

/// Bytes of a granted file that is copied into the guest. Stops a large one from filling the guest's memory; past it, grant
/// its directory.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// As whom the machine runs under a root node, if no granted directory says otherwise: nobody.
const NOBODY: u32 = 65_534;

/// One guest.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) view: View,
    /// The user of the machine on the host, and of the program inside: 9p knows only one.
    pub(super) owner: (u32, u32),
    /// Bytes and files of each private directory.
    pub(super) private: (u64, u64),
    /// What brings connections to the node's broker.
    pub(super) relay: Option<Relay>,
}

/// See [`crate::relay`].
#[derive(Debug)]
pub(super) struct Relay {
    /// The node's own binary.
    shown: Shown,
    /// The words that start it, and the ports that it serves.
    pub(super) command: String,
    pub(super) ports: Vec<u16>,
}

/// Where a guest's init mounts it, outside of the program's root.
pub(super) const RELAY_DIR: &str = "/relay";

// === impl Guest ===

impl Guest {
    pub(super) fn of(spec: &Spec, own: Option<&Own>) -> Result<Self, VmError> {
        let owner = owner(spec)?;
        let view = View::of_owner(spec, owner)?;
        view.check_program(spec)?;
        for shown in view.shown.iter().filter(|shown| !shown.is_dir) {
            check_file(shown)?;
        }
        let relay = match (&spec.network, own) {
            (Network::Brokered { ports }, Some(own)) => Some(Relay {
                shown: Shown {
                    source: own.path().to_owned(),
                    target: RELAY_DIR.into(),
                    write: false,
                    is_dir: true,
                },
                command: own.command(RELAY_DIR),
                ports: ports.clone(),
            }),
            _ => None,
        };
        Ok(Self { view, owner, private: (spec.tmpfs.bytes, spec.tmpfs.inodes), relay })
    }

    /// What the program sees and what only init does.
    pub(super) fn all_exports(&self) -> impl Iterator<Item = (String, &Shown)> {
        let relay = self.relay.iter().map(|relay| (machine::RELAY.to_owned(), &relay.shown));
        self.exports().chain(relay)
    }

    /// Directories, with the name under which the guest mounts each.
    pub(super) fn exports(&self) -> impl Iterator<Item = (String, &Shown)> {
        let dirs = self.view.shown.iter().filter(|shown| shown.is_dir);
        dirs.enumerate().map(|(number, shown)| (format!("m{number}"), shown))
    }

    /// What the guest is told of this cell, in the same format as its first files.
    pub(super) fn cell(&self, spec: &Spec) -> Result<Vec<u8>, CellError> {
        let mut archive = Archive::default();
        archive.file("cell.sh", 0o644, init::cell(self).as_bytes());
        archive.file("limits", 0o644, init::limits(spec).as_bytes());
        self.files(&mut archive, spec)?;
        Ok(archive.finish())
    }

    /// What lies in the root beside the exports; and the same accounts for init itself.
    fn files(&self, archive: &mut Archive, spec: &Spec) -> Result<(), CellError> {
        let mut made = std::collections::BTreeSet::new();
        archive.dir("files/.cella");
        archive.file("files/.cella/run", 0o644, init::run(spec).as_bytes());
        // What an export shows wins: nothing is copied into a directory of the host.
        let free = |path: &Path| {
            !self.view.shown.iter().any(|shown| shown.is_dir && path.starts_with(&shown.target))
        };
        for (path, bytes) in self.view.files.iter().filter(|(path, _)| free(path)) {
            parents(archive, &mut made, path);
            archive.file(&below(path), 0o644, bytes);
            if path.starts_with("/etc/passwd") || path.starts_with("/etc/group") {
                archive.file(path.to_string_lossy().trim_start_matches('/'), 0o644, bytes);
            }
        }
        for shown in self.view.shown.iter().filter(|shown| !shown.is_dir && free(&shown.target)) {
            let mode = fs::metadata(&shown.source).map_or(0o644, |file| file.mode() & 0o777);
            parents(archive, &mut made, &shown.target);
            archive.file(&below(&shown.target), mode | 0o444, &fs::read(&shown.source)?);
        }
        for (link, content) in self.view.links.iter().filter(|(link, _)| free(link)) {
            parents(archive, &mut made, link);
            archive.link(&below(link), &content.to_string_lossy());
        }
        Ok(())
    }
}

/// The first files of every guest. Nothing of a cell is among them.
pub(super) fn first_files(parts: &Parts) -> Result<Vec<u8>, CellError> {
    let mut archive = Archive::default();
    for dir in ["bin", "dev", "etc", "files", "modules", "new", "p", "proc", "sys"] {
        archive.dir(dir);
    }
    archive.file("bin/busybox", 0o755, &fs::read(&parts.busybox)?);
    for applet in APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox");
    }
    archive.file("bin/seed", 0o755, &seed::program());
    let mut names = String::new();
    for module in &parts.modules {
        let name = module.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        archive.file(&format!("modules/{name}"), 0o644, &fs::read(module)?);
        names.push_str(&name);
        names.push('\n');
    }
    archive.file("modules/list", 0o644, names.as_bytes());
    archive.file("empty", 0o444, b"");
    archive.file("init", 0o755, init::script().as_bytes());
    Ok(archive.finish())
}

/// What init uses.
const APPLETS: [&str; 23] = [
    "sh", "cat", "chmod", "chown", "chroot", "cp", "cpio", "grep", "head", "insmod", "ip", "ln", "ls",
    "mdev", "mkdir", "mkfifo", "mknod", "mount", "poweroff", "sleep", "su", "true", "echo",
];

// === free functions ===

fn below(path: &Path) -> String {
    format!("files{}", path.display())
}

fn parents(archive: &mut Archive, made: &mut std::collections::BTreeSet<String>, path: &Path) {
    let ancestors: Vec<&Path> = path.ancestors().skip(1).filter(|dir| dir.parent().is_some()).collect();
    for dir in ancestors.into_iter().rev() {
        if made.insert(below(dir)) {
            archive.dir(&below(dir));
        }
    }
}

/// QEMU never runs as root: what breaks out of the guest must not be that. So under a root node it runs as the owner of
/// what the program may change.
fn owner(spec: &Spec) -> Result<(u32, u32), VmError> {
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if own.0 != 0 {
        return Ok(own);
    }
    let write = spec.mounts.iter().find(|mount| mount.access == Access::Write);
    let Some(mount) = write else { return Ok((NOBODY, NOBODY)) };
    let metadata = fs::metadata(&mount.source);
    let (uid, gid) = metadata.map_or((NOBODY, NOBODY), |metadata| (metadata.uid(), metadata.gid()));
    if uid != 0 {
        return Ok((uid, gid));
    }
    Err(VmError::Unenforceable {
        driver: DriverName::Qemu,
        what: format!("write access to {}", mount.source.display()),
        why: "it belongs to root, and the machine does not run as root".into(),
        fix: "give the directory to another user, or write vm = \"gvisor\"".into(),
    })
}

fn check_file(shown: &Shown) -> Result<(), VmError> {
    let refused = |why: &str| VmError::Unenforceable {
        driver: DriverName::Qemu,
        what: format!("grant of {}", shown.source.display()),
        why: why.into(),
        fix: "grant its directory".into(),
    };
    let size = fs::metadata(&shown.source).map(|file| file.len()).unwrap_or_default();
    match () {
        () if shown.write => Err(refused("a single file can only be read in a virtual machine")),
        () if size > FILE_BYTES_MAX => Err(refused("it is too large to be copied into a virtual machine")),
        () => Ok(()),
    }
}
