//! Which parts of the host's operating system make up the read-only root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::order::{Source, SourceKind};
use crate::CellError;

/// Directories of programs and libraries. Links among them (`/bin -> usr/bin`) stay links.
const SYSTEM: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Parts of `/etc` that hold no secret and without which programs do not start or do not trust TLS: the loader's cache,
/// certificates of authorities (never `/etc/ssl/private`), time zone, tables of names.
const ETC: [&str; 15] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
];

/// Devices without state and without power.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What a cell makes itself, whatever an image has there; of `etc` and `var` only these parts.
const OWN: [&str; 9] = ["dev", "proc", "sys", "tmp", "run", "home", "etc", "var", "lost+found"];
const OWN_ETC: [&str; 7] = ["passwd", "group", "hosts", "hostname", "nsswitch.conf", "resolv.conf", "mtab"];
const OWN_VAR: [&str; 2] = ["tmp", "run"];

/// The root as it can be made on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) sources: Vec<Source>,
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

/// Whether a path is shown in every cell.
pub fn is_system_path(path: &Path) -> bool {
    SYSTEM.iter().any(|dir| path.starts_with(dir))
}

impl Layout {
    /// Looks at the host. Once per node: an operating system does not change its directories under way.
    pub(crate) fn of_host() -> Self {
        let mut layout = Self::default();
        for path in SYSTEM.iter().chain(&ETC) {
            layout.add(Path::new(path), SourceKind::System);
        }
        for path in DEVICES {
            layout.add(Path::new(path), SourceKind::Device);
        }
        let etc_release = (PathBuf::from("/etc/os-release"), PathBuf::from("../usr/lib/os-release"));
        layout.links.push(etc_release);
        layout
    }

    /// Looks at a root filesystem: each of its directories is shown at its place.
    pub(crate) fn of_image(root: &Path) -> Result<Self, CellError> {
        let mut layout = Self::default();
        layout.add_children(root, Path::new("/"), &OWN)?;
        for (dir, own) in [("etc", &OWN_ETC[..]), ("var", &OWN_VAR)] {
            if root.join(dir).is_dir() {
                layout.add_children(&root.join(dir), &Path::new("/").join(dir), own)?;
            }
        }
        if layout.sources.is_empty() {
            let cause = "there is no root filesystem in it".into();
            return Err(CellError::Image { path: root.to_owned(), cause });
        }
        for path in DEVICES {
            layout.add(Path::new(path), SourceKind::Device);
        }
        Ok(layout)
    }

    fn add_children(&mut self, dir: &Path, target: &Path, own: &[&str]) -> Result<(), CellError> {
        let failed =
            |error: std::io::Error| CellError::Image { path: dir.to_owned(), cause: error.to_string() };
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let kind = entry.file_type().map_err(failed)?;
            if own.iter().any(|own| name == *own) {
                continue;
            }
            if kind.is_symlink() {
                self.links.push((target.join(&name), fs::read_link(entry.path()).map_err(failed)?));
            } else if kind.is_dir() || kind.is_file() {
                let (path, target) = (entry.path(), target.join(&name));
                self.sources.push(Source { path, target, kind: SourceKind::Read, layer: None });
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, kind: SourceKind) {
        let Ok(metadata) = fs::symlink_metadata(path) else { return };
        if metadata.file_type().is_symlink() {
            self.links.extend(fs::read_link(path).ok().map(|content| (path.to_owned(), content)));
        } else if fs::canonicalize(path).is_ok_and(|real| real == path) {
            // A link further up (`/etc/ssl -> /somewhere`) is not followed: what is there is not the system's.
            self.sources.push(Source { path: path.to_owned(), target: path.to_owned(), kind, layer: None });
        }
    }
}
