//! Builds the file tree of a cell inside its mount namespace, and makes it the only one.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
        UnmountFlags,
    },
};

use super::{
    masks::Masks,
    order::{INNER_ID, Order},
    sources::{OpenSource, OpenSources},
    sys,
    wire::{Failure, Step},
};

/// Where the new root is put together; any directory that every Linux has. The old content is hidden only from the cell.
pub(super) const WORKBENCH: &str = "/dev";
/// Bytes and inodes of the root itself: a few small files and mount points, then it is read-only.
const ROOT_SIZE: (u64, u64) = (1 << 20, 4096);

/// The files of `/etc` that are made, not shown.
const ETC: [(&str, &str); 5] = [
    (
        "passwd",
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\ncell:x:1000:1000:cell:/home/cell:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("group", "root:x:0:\ncell:x:1000:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost cell\n::1 localhost cell\n"),
    ("hostname", "cell\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];
/// Whom to ask for names where somebody answers. One server, few and short tries: it is on the same machine, so silence
/// means that it is gone. Read alike by glibc, musl and c-ares.
fn resolv_conf(order: &Order) -> String {
    let server = order.brokered.as_ref().map(|_| crate::network::NAMESERVER);
    server.map_or_else(String::new, |server| format!("nameserver {server}\noptions timeout:2 attempts:2\n"))
}

/// Links of `/dev` that shells and interpreters expect.
const DEV_LINKS: [(&str, &str); 4] = [
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];

/// Private directories: name in the filesystem behind them, mode, and where they are seen.
const PRIVATE: [(&str, u32, &str); 3] =
    [("tmp", 0o1777, "tmp"), ("home", 0o700, "home/cell"), ("shm", 0o1777, "dev/shm")];

/// A root under construction.
struct Root {
    dir: OwnedFd,
    /// Device numbers of filesystems that are ours, where mount points may be made.
    own: Vec<u64>,
    masks: Masks,
}

/// Builds the tree and enters it. The old one is still there until [`leave_old`].
pub(crate) fn enter(order: &Order, opened: OpenSources) -> Result<(), Failure> {
    let step = |step: Step| move |error: io::Error| Failure::new(step, &error);
    detach_propagation().map_err(step(Step::Mount))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let tree = tmpfs(ROOT_SIZE.0, ROOT_SIZE.1, 0o755, attributes).map_err(step(Step::Mount))?;
    attach(tree.as_fd(), CWD, Path::new(WORKBENCH)).map_err(step(Step::Mount))?;
    let own = vec![device(tree.as_fd()).map_err(step(Step::Mount))?];
    let mut root = Root { own, dir: tree, masks: Masks::default() };

    root.write_etc(order).map_err(step(Step::Mount))?;
    root.private(order).map_err(step(Step::Mount))?;
    root.write_links(order).map_err(step(Step::Mount))?;
    root.mount_proc().map_err(step(Step::Proc))?;
    for source in opened.list {
        let step = if source.layer.is_some() { Step::Overlay } else { Step::Mount };
        root.mount(&source).map_err(|error| Failure::at(step, &source.target, &error))?;
    }
    root.finish().map_err(step(Step::Mount))
}

impl Root {
    fn write_etc(&self, order: &Order) -> io::Result<()> {
        for dir in ["etc", "dev", "proc", "tmp", "home", "home/cell", "dev/shm", "var"] {
            make_dir(self.dir.as_fd(), Path::new(dir))?;
        }
        let resolv_conf = resolv_conf(order);
        for (name, content) in ETC.into_iter().chain([("resolv.conf", resolv_conf.as_str())]) {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file =
                rustix::fs::openat(&self.dir, format!("etc/{name}"), flags, Mode::from_raw_mode(0o644))?;
            rustix::io::write(&file, content.as_bytes())?;
        }
        let own = [("etc/mtab", "/proc/self/mounts")];
        for (link, content) in DEV_LINKS.iter().chain(&own) {
            rustix::fs::symlinkat(*content, &self.dir, *link)?;
        }
        Ok(())
    }

    /// Links of the system and on the way to the program.
    fn write_links(&self, order: &Order) -> io::Result<()> {
        for (link, content) in &order.links {
            let link = link.strip_prefix("/").unwrap_or(link);
            if let Some(parent) = link.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                self.make_dirs(parent)?;
            }
            match rustix::fs::symlinkat(content, &self.dir, link) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The directories that the program may fill: three views of one filesystem, so that one cap holds for all.
    fn private(&mut self, order: &Order) -> io::Result<()> {
        let (bytes, inodes) = order.private_size;
        let tree = tmpfs(
            bytes,
            inodes,
            0o755,
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
        )?;
        self.own.push(device(tree.as_fd())?);
        // A part of a mount can be taken only while the whole is attached. It stays where it is, under the part that is seen
        // there: taking it away again would make the kernel wait for all processors.
        attach(tree.as_fd(), self.dir.as_fd(), Path::new("tmp"))?;
        let mut views = Vec::new();
        for (name, mode, target) in PRIVATE {
            make_dir(tree.as_fd(), Path::new(name))?;
            rustix::fs::chmodat(&tree, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            views.push((rustix::mount::open_tree(&tree, name, flags)?, target));
        }
        views.iter().try_for_each(|(view, target)| attach(view.as_fd(), self.dir.as_fd(), Path::new(target)))
    }

    fn mount_proc(&self) -> io::Result<()> {
        attach(proc_of_namespace()?.as_fd(), self.dir.as_fd(), Path::new("proc"))
    }

    fn mount(&mut self, source: &OpenSource) -> io::Result<()> {
        let target = relative(&source.target);
        let Some(tree) = &source.tree else { return self.mask(target, source.directory) };
        if source.directory {
            let point = self.make_dirs(target)?;
            attach_at(tree.as_fd(), point.as_ref().unwrap_or(&self.dir).as_fd())?;
            return match &source.layer {
                Some(layer) => self.overlay(target, tree, layer),
                None => Ok(()),
            };
        }
        let parent = self.make_dirs(target.parent().unwrap_or(Path::new("")))?;
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        attach_at(
            tree.as_fd(),
            self.file(parent.as_ref().unwrap_or(&self.dir).as_fd(), Path::new(name))?.as_fd(),
        )
    }

    /// Puts a view of both over what was attached, in which only the layer is written. The three lie over each other at one
    /// place: the kernel wants its layers attached, the program reaches only the uppermost, and taking the lower ones
    /// away again would make the kernel wait for all processors.
    fn overlay(&self, target: &Path, lower: &OwnedFd, layer: &OwnedFd) -> io::Result<()> {
        attach(layer.as_fd(), self.dir.as_fd(), target)?;
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let seen = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
        let (lower, layer) = (seen(lower), seen(layer));
        let (upper, work) = (format!("{layer}/upper"), format!("{layer}/work"));
        for (key, value) in [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)] {
            rustix::mount::fsconfig_set_string(context.as_fd(), key, value.as_str())?;
        }
        // Without it the kernel keeps its notes where only root may write. With it the program's own attributes of that
        // name are escaped (Linux 6.7) or refused, so that it cannot forge a note.
        rustix::mount::fsconfig_set_flag(context.as_fd(), "userxattr")?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        attach(made(&context, attributes)?.as_fd(), self.dir.as_fd(), target)
    }

    fn mask(&mut self, target: &Path, directory: bool) -> io::Result<()> {
        if !directory {
            return Masks::cover_file(&self.dir, target, Path::new("var"));
        }
        let cover = device(self.masks.cover_directory(&self.dir, target)?.as_fd())?;
        self.own.push(cover);
        Ok(())
    }

    /// Makes missing directories, but never on a filesystem of the host: a mount point there would be an effect on it. Gives
    /// the last one, unless it is the root itself.
    fn make_dirs(&self, path: &Path) -> io::Result<Option<OwnedFd>> {
        // All of it is usually there: one look instead of one for each part.
        if !path.as_os_str().is_empty()
            && let Ok(dir) = open_beneath(self.dir.as_fd(), path, OFlags::DIRECTORY)
        {
            return Ok(Some(dir));
        }
        let mut last: Option<OwnedFd> = None;
        for part in path.components() {
            let Component::Normal(name) = part else { return Err(io::ErrorKind::InvalidInput.into()) };
            let (dir, name) = (last.as_ref().unwrap_or(&self.dir).as_fd(), Path::new(name));
            let next = match open_beneath(dir, name, OFlags::DIRECTORY) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.check_own(dir)?;
                    make_dir(dir, name)?;
                    open_beneath(dir, name, OFlags::DIRECTORY)?
                }
                found => found?,
            };
            last = Some(next);
        }
        Ok(last)
    }

    /// An empty file of ours if there is none, or what is there.
    fn file(&self, dir: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
        let own = self.check_own(dir);
        if own.is_ok() {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            match rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o444)) {
                Err(Errno::EXIST) => {}
                made => return Ok(made?),
            }
        }
        match open_beneath(dir, name, OFlags::empty()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => own.and(Err(error)),
            found => found,
        }
    }

    fn check_own(&self, dir: BorrowedFd<'_>) -> io::Result<()> {
        if self.own.contains(&device(dir)?) {
            return Ok(());
        }
        Err(io::Error::other("the mount point does not exist, and is not made on a filesystem of the host"))
    }

    /// Makes the tree read-only, the only one, and forgets the old one.
    fn finish(self) -> io::Result<()> {
        self.masks.close()?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV;
        sys::set_mount_attributes(self.dir.as_fd(), attributes, false)?;
        rustix::process::fchdir(&self.dir)?;
        // The old root comes to lie over the new one, and paths of this mount namespace's processes begin beneath it.
        Ok(rustix::process::pivot_root(".", ".")?)
    }
}

/// Forgets the old tree. Afterwards nothing of the host is reachable but what was ordered. The kernel waits here until no
/// processor can still be looking at it.
pub(crate) fn leave_old() -> Result<(), Failure> {
    let left = rustix::mount::unmount(".", UnmountFlags::DETACH).and_then(|()| rustix::process::chdir("/"));
    left.map_err(|error| Failure::new(Step::Mount, &error.into()))
}

/// A `/proc` of this process's own pid namespace: nobody else's processes, and nothing but processes.
pub(crate) fn proc_of_namespace() -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "hidepid", "invisible")?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "subset", "pid")?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    made(&context, attributes)
}

/// Nothing mounted here may show up on the host, nor the other way.
fn detach_propagation() -> io::Result<()> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", flags)?)
}

pub(super) fn tmpfs(bytes: u64, inodes: u64, mode: u32, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let options = [
        ("size", bytes.max(4096).to_string()),
        ("nr_inodes", inodes.max(16).to_string()),
        ("mode", format!("{mode:o}")),
        ("uid", INNER_ID.to_string()),
        ("gid", INNER_ID.to_string()),
    ];
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(context.as_fd(), key, value)?;
    }
    made(&context, attributes)
}

fn made(context: &OwnedFd, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    rustix::mount::fsconfig_create(context.as_fd())?;
    Ok(rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Attaches a mount at a path beneath `dir`, following no link on the way.
pub(super) fn attach(tree: BorrowedFd<'_>, dir: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    attach_at(tree, open_beneath(dir, path, OFlags::empty())?.as_fd())
}

/// The same at an open directory or file.
fn attach_at(tree: BorrowedFd<'_>, point: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(tree, c"", point, c"", flags)?)
}

fn open_beneath(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = if path.is_absolute() { ResolveFlags::empty() } else { ResolveFlags::BENEATH };
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = resolve | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)?)
}

fn make_dir(dir: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    match rustix::fs::mkdirat(dir, path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn device(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::fstat(file)?.st_dev)
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}
