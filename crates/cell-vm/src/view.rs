//! What a guest sees of the host: the read-only root, the program's files, declared mounts, covers, and the files that are
//! made for it.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use cella_cell::{Access, CellError, NAMESERVER, Network, Root, Spec};

/// Home directory inside.
pub(crate) const HOME: &str = "/home/cell";
/// Uid and gid inside, where nothing else is better.
pub(crate) const INNER_ID: u32 = 1000;
/// Directories that are private to the guest and backed by its memory.
pub(crate) const PRIVATE: [(&str, u32); 3] = [("/tmp", 0o1777), (HOME, 0o700), ("/dev/shm", 0o1777)];

/// Directories of programs and libraries, as in class `process`. Links among them (`/bin -> usr/bin`) stay links.
const SYSTEM: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];
/// Directories of `/etc` without a secret in them and without which programs do not trust TLS or are not found.
const ETC_DIRS: [&str; 4] =
    ["/etc/alternatives", "/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted"];
/// Files of `/etc` likewise; copied, because each mount costs a guest more than some kilobytes.
const ETC_FILES: [&str; 9] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
];
/// Bytes of a file that is copied. Stops an odd `/etc` from filling the temporary directory; what is larger is not there.
const COPY_BYTES_MAX: u64 = 1 << 20;
/// What is made for a guest, whatever an image has there; of `etc` and `var` only these parts.
const OWN: [&str; 9] = ["dev", "proc", "sys", "tmp", "run", "home", "etc", "var", "lost+found"];
const OWN_ETC: [&str; 7] = ["passwd", "group", "hosts", "hostname", "nsswitch.conf", "resolv.conf", "mtab"];
const OWN_VAR: [&str; 2] = ["tmp", "run"];
/// Mounts of one guest. Stops a contract or an image from making a guest that never starts.
const MOUNTS_MAX: usize = 512;

/// The tree of one guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Parts of the host, parents before children.
    pub(crate) shown: Vec<Shown>,
    /// Symbolic links of the root: link, content.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// Small files that are made or copied.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    /// Places inside that are covered, and whether they are directories.
    pub(crate) covers: Vec<(PathBuf, bool)>,
    /// As whom the program runs, inside.
    pub(crate) owner: (u32, u32),
}

/// A part of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) write: bool,
    pub(crate) is_dir: bool,
}

// === impl View ===

impl View {
    /// Looks at the host.
    pub(crate) fn of(spec: &Spec) -> Result<Self, CellError> {
        Self::of_owner(spec, owner(spec))
    }

    /// The same, for a program of this user.
    pub(crate) fn of_owner(spec: &Spec, owner: (u32, u32)) -> Result<Self, CellError> {
        check_strings(spec)?;
        let mut view = Self { owner, ..Self::default() };
        match &spec.root {
            Root::HostSystem => view.host_system(),
            Root::Image(dir) => view.image(dir)?,
            other => return Err(refuse(format!("this class has no root of the kind {other:?}"))),
        }
        view.declared(spec)?;
        view.cover(spec);
        view.etc(&spec.network);
        if view.shown.len() > MOUNTS_MAX {
            return Err(refuse(format!("{} mounts, {MOUNTS_MAX} are allowed", view.shown.len())));
        }
        Ok(view)
    }

    fn host_system(&mut self) {
        for path in SYSTEM.iter().chain(&ETC_DIRS).map(Path::new) {
            let Ok(metadata) = fs::symlink_metadata(path) else { continue };
            if metadata.file_type().is_symlink() {
                self.links.extend(fs::read_link(path).ok().map(|content| (path.to_owned(), content)));
            } else if fs::canonicalize(path).is_ok_and(|real| real == path) {
                // A link further up (`/etc/ssl -> /somewhere`) is not followed: what is there is not the system's.
                self.show(path, path, false);
            }
        }
        for path in ETC_FILES.map(PathBuf::from) {
            let small = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= COPY_BYTES_MAX);
            if let Some(bytes) = small.then(|| fs::read(&path).ok()).flatten() {
                self.files.push((path, bytes));
            }
        }
        self.links.push(("/etc/os-release".into(), "../usr/lib/os-release".into()));
    }

    fn image(&mut self, root: &Path) -> Result<(), CellError> {
        check_path(root)?;
        self.children(root, Path::new("/"), &OWN)?;
        for (dir, own) in [("etc", &OWN_ETC[..]), ("var", &OWN_VAR)] {
            if root.join(dir).is_dir() {
                self.children(&root.join(dir), &Path::new("/").join(dir), own)?;
            }
        }
        if self.shown.is_empty() {
            let cause = "there is no root filesystem in it".into();
            return Err(CellError::Image { path: root.to_owned(), cause });
        }
        Ok(())
    }

    fn children(&mut self, dir: &Path, target: &Path, own: &[&str]) -> Result<(), CellError> {
        let failed = |error: io::Error| CellError::Image { path: dir.to_owned(), cause: error.to_string() };
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (name, kind) = (entry.file_name(), entry.file_type().map_err(failed)?);
            if own.iter().any(|own| name == *own) {
                continue;
            }
            if kind.is_symlink() {
                self.links.push((target.join(&name), fs::read_link(entry.path()).map_err(failed)?));
            } else if kind.is_dir() || kind.is_file() {
                self.show(&entry.path(), &target.join(&name), false);
            }
        }
        Ok(())
    }

    /// What the program needs and what the contract grants; a declared mount wins over the program's need of the same path.
    fn declared(&mut self, spec: &Spec) -> Result<(), CellError> {
        let targets: BTreeSet<&Path> = spec.mounts.iter().map(|mount| mount.target.as_path()).collect();
        if targets.len() != spec.mounts.len() {
            return Err(refuse("two mounts have the same target"));
        }
        let system = spec.root == Root::HostSystem;
        for path in &spec.program.files {
            check_path(path)?;
            let known = system && SYSTEM.iter().any(|dir| path.starts_with(dir));
            if !known && !targets.contains(path.as_path()) {
                there(path)?;
                self.show(path, path, false);
            }
        }
        for mount in &spec.mounts {
            check_path(&mount.source)?;
            check_target(&mount.target)?;
            if mount.access == Access::Copy {
                let place = mount.source.display();
                return Err(refuse(format!(
                    "a machine of its own shows no copies, and `{place}` is granted as one"
                )));
            }
            there(&mount.source)?;
            self.show(&mount.source, &mount.target, mount.access == Access::Write);
        }
        self.links.extend(spec.program.links.iter().cloned());
        self.shown.sort_by_key(|shown| shown.target.components().count());
        Ok(())
    }

    /// A cover for every place where something hidden would be seen. What is shown at its very place or below it is shown.
    fn cover(&mut self, spec: &Spec) {
        let places = self.shown.iter().flat_map(|shown| {
            let within = move |hidden: &PathBuf| {
                Some((shown, shown.target.join(hidden.strip_prefix(&shown.source).ok()?), hidden.is_dir()))
            };
            spec.masks.iter().filter(|hidden| hidden.exists()).filter_map(within)
        });
        let mut covers: Vec<(PathBuf, bool)> = places
            .filter(|(shown, target, _)| self.deepest(target) == Some(*shown) && shown.target != *target)
            .map(|(_, target, is_dir)| (target, is_dir))
            .collect();
        covers.sort();
        covers.dedup();
        // Within a cover there is nothing left to cover.
        let all = covers.clone();
        covers
            .retain(|(target, _)| !all.iter().any(|(other, _)| other != target && target.starts_with(other)));
        self.covers = covers;
    }

    fn etc(&mut self, network: &Network) {
        let (uid, gid) = self.owner;
        let root = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n";
        let cell = format!("cell:x:{uid}:{gid}:cell:{HOME}:/bin/sh\n");
        let nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
        let passwd = if uid == 0 { format!("{cell}{nobody}") } else { format!("{root}{cell}{nobody}") };
        let group = if gid == 0 { "cell:x:0:\n".to_owned() } else { format!("root:x:0:\ncell:x:{gid}:\n") };
        let made = [
            ("passwd", passwd),
            ("group", format!("{group}nogroup:x:65534:\n")),
            ("hosts", "127.0.0.1 localhost cell\n::1 localhost cell\n".to_owned()),
            ("hostname", "cell\n".to_owned()),
            ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
            ("resolv.conf", resolv_conf(network)),
        ];
        self.files.extend(made.map(|(name, text)| (Path::new("/etc").join(name), text.into_bytes())));
    }

    fn show(&mut self, source: &Path, target: &Path, write: bool) {
        let is_dir = source.is_dir();
        self.shown.push(Shown { source: source.to_owned(), target: target.to_owned(), write, is_dir });
    }

    fn deepest(&self, target: &Path) -> Option<&Shown> {
        let over = self.shown.iter().filter(|shown| target.starts_with(&shown.target));
        over.max_by_key(|shown| shown.target.components().count())
    }

    /// Whether the program is there, seen from inside. What only the guest's kernel can find out, it says itself.
    pub(crate) fn check_program(&self, spec: &Spec) -> Result<(), CellError> {
        let command = &spec.program.command;
        check_path(command)?;
        let missing = |path: &Path, hint: &str| CellError::MissingInside {
            path: path.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let Some(file) = self.host_path(command) else {
            let hint = if command.exists() {
                "it exists on the host, but is not shown inside"
            } else {
                "it does not exist"
            };
            return Err(missing(command, hint));
        };
        if fs::symlink_metadata(&file).is_err() {
            return Err(missing(command, "it does not exist"));
        }
        let Some(cwd) = &spec.program.cwd else { return Ok(()) };
        check_path(cwd)?;
        let private = PRIVATE.iter().any(|(dir, _)| cwd.starts_with(dir));
        let inside = private
            || self.host_path(cwd).is_some_and(|dir| dir.is_dir())
            || self.shown.iter().any(|shown| shown.target.starts_with(cwd));
        if inside { Ok(()) } else { Err(missing(cwd, "the working directory")) }
    }

    /// Where a path of the guest lies on the host, the root's own links followed.
    fn host_path(&self, inside: &Path) -> Option<PathBuf> {
        let linked = self.links.iter().find_map(|(link, content)| {
            let rest = inside.strip_prefix(link).ok()?;
            let to = link.parent()?.join(content);
            Some(if rest.as_os_str().is_empty() { to } else { to.join(rest) })
        });
        let plain = linked.map_or_else(|| inside.to_owned(), |path| normal(&path));
        let shown = self.deepest(&plain)?;
        Some(shown.source.join(plain.strip_prefix(&shown.target).ok()?)).map(|path| normal(&path))
    }
}

// === free functions ===

/// As in class `process`: one server where somebody answers, few and short tries.
fn resolv_conf(network: &Network) -> String {
    match network {
        Network::Brokered { .. } => format!("nameserver {NAMESERVER}\noptions timeout:2 attempts:2\n"),
        _ => String::new(),
    }
}

/// The owner of what the program may change, else of what it may read: only with his rights is it of use. For a plain user
/// the sandbox maps him to uid 0, which is nobody else's and has no capability.
fn owner(spec: &Spec) -> (u32, u32) {
    if !rustix::process::geteuid().is_root() {
        return (0, 0);
    }
    let write = spec.mounts.iter().find(|mount| mount.access == Access::Write);
    let mount = write.or_else(|| spec.mounts.first());
    let metadata = mount.and_then(|mount| fs::metadata(&mount.source).ok());
    metadata.map_or((INNER_ID, INNER_ID), |metadata| (metadata.uid(), metadata.gid()))
}

fn there(path: &Path) -> Result<(), CellError> {
    let real = fs::canonicalize(path);
    let cause = match real {
        Ok(real) if real == path => return Ok(()),
        Ok(real) => format!(
            "it leads through a symbolic link, which could be changed under way; its real path is `{}`",
            real.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "it does not exist".into(),
        Err(error) => error.to_string(),
    };
    Err(CellError::Mount { path: path.to_owned(), cause })
}

fn check_strings(spec: &Spec) -> Result<(), CellError> {
    let env = spec.env.iter().flat_map(|(key, value)| [key, value]);
    if spec.program.args.iter().chain(env).any(|text| text.contains('\0')) {
        return Err(refuse("a NUL byte in an argument or an environment variable"));
    }
    match spec.env.keys().find(|key| key.is_empty() || key.contains('=')) {
        Some(key) => Err(refuse(format!("`{key}` is no name of an environment variable"))),
        None => Ok(()),
    }
}

/// Absolute and without `.`, `..` or NUL: what is compared here must be what the kernel resolves.
fn check_path(path: &Path) -> Result<(), CellError> {
    let text = path.as_os_str().as_encoded_bytes();
    let dots = text.split(|byte| *byte == b'/').any(|part| part == b"." || part == b"..");
    if path.is_absolute() && !dots && !text.contains(&0) && path.to_str().is_some() {
        return Ok(());
    }
    Err(refuse(format!("`{}` is not an absolute, normalised UTF-8 path", path.display())))
}

/// Targets that would hide what is made for the guest.
fn check_target(target: &Path) -> Result<(), CellError> {
    check_path(target)?;
    let whole = ["/", "/etc", "/tmp", "/home", HOME].iter().any(|path| Path::new(path) == target);
    let within = ["/proc", "/dev", "/sys"].iter().any(|path| target.starts_with(path));
    if whole || within {
        return Err(refuse(format!("`{}` cannot be a mount target", target.display())));
    }
    Ok(())
}

/// Without `.` and `..`, by text alone.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn refuse(what: impl Into<String>) -> CellError {
    CellError::Spec { what: what.into() }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use cella_cell::{Access, Mount, Program, Spec};

    use super::View;

    fn spec(command: &str) -> Spec {
        Spec::new("test", Program { command: command.into(), ..Program::default() })
    }

    #[test]
    fn a_program_is_found_through_the_roots_links_and_what_is_not_shown_is_missing() {
        let view = View::of(&spec("/bin/sh")).unwrap();
        view.check_program(&spec("/bin/sh")).unwrap();
        for missing in ["/nowhere/at/all", "/etc/hosts", "/usr/bin/no-such-program"] {
            assert_eq!(view.check_program(&spec(missing)).unwrap_err().code(), "CE2002", "{missing}");
        }
    }

    #[test]
    fn what_is_hidden_within_a_mount_is_covered_once() {
        let dir = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(real.join("a/b")).unwrap();
        let mut spec = spec("/bin/sh");
        spec.mounts = vec![Mount { source: real.clone(), target: "/data".into(), access: Access::Read }];
        spec.masks = vec![real.join("a"), real.join("a/b"), real.join("gone"), "/elsewhere".into()];
        assert_eq!(View::of(&spec).unwrap().covers, [(PathBuf::from("/data/a"), true)]);
    }

    #[test]
    fn a_mount_through_a_link_or_over_the_walls_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap();
        std::os::unix::fs::symlink("/usr", real.join("link")).unwrap();
        let refused = |source: PathBuf, target: &str| {
            let mut spec = spec("/bin/sh");
            spec.mounts = vec![Mount { source, target: target.into(), access: Access::Write }];
            View::of(&spec).unwrap_err().code()
        };
        assert_eq!(refused(real.join("link"), "/data"), "CE2006");
        assert_eq!(refused(real.clone(), "/proc/x"), "CE2010");
        assert_eq!(refused(real.join("a/../b"), "/data"), "CE2010");
    }
}
