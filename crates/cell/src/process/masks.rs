//! What stays hidden within a declared mount: an empty directory or an empty file is put over it, both read-only.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{MountAttrFlags, OpenTreeFlags, UnmountFlags},
};

use super::{
    root::{WORKBENCH, attach, tmpfs},
    sys,
};

/// Bytes and inodes of one cover: mount points of what is shown again within, and nothing else.
const COVER_SIZE: (u64, u64) = (1 << 20, 1024);

/// The covers of one cell.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    /// Writable until the tree is complete, because mount points may have to be made in them.
    directories: Vec<OwnedFd>,
}

impl Masks {
    /// Covers a directory. The descriptor is that of the filesystem now seen there.
    pub(crate) fn cover_directory(&mut self, root: &OwnedFd, target: &Path) -> io::Result<&OwnedFd> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let tree = tmpfs(COVER_SIZE.0, COVER_SIZE.1, 0o755, attributes)?;
        attach(tree.as_fd(), root.as_fd(), target)?;
        self.directories.push(tree);
        self.directories.last().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Covers a file, a socket or whatever else is no directory. `spare` is an empty directory of the new root.
    pub(crate) fn cover_file(root: &OwnedFd, target: &Path, spare: &Path) -> io::Result<()> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let tree = tmpfs(COVER_SIZE.0, COVER_SIZE.1, 0o755, attributes)?;
        // A part of a mount can be taken only while the whole is attached.
        attach(tree.as_fd(), root.as_fd(), spare)?;
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        drop(rustix::fs::openat(&tree, "empty", create, Mode::from_raw_mode(0o444))?);
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let empty = rustix::mount::open_tree(&tree, "empty", clone)?;
        rustix::mount::unmount(Path::new(WORKBENCH).join(spare), UnmountFlags::DETACH)?;
        sys::set_mount_attributes(empty.as_fd(), attributes | MountAttrFlags::MOUNT_ATTR_RDONLY, false)?;
        attach(empty.as_fd(), root.as_fd(), target)
    }

    /// Nothing more is put into the covers.
    pub(crate) fn close(&self) -> io::Result<()> {
        let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
        self.directories.iter().try_for_each(|tree| sys::set_mount_attributes(tree.as_fd(), read_only, false))
    }
}
