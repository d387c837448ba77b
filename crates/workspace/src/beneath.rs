//! System calls by descriptor, of which none follows a link or leaves its root.

use std::{
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags},
    io::Errno,
};

use crate::{Raw, RelPath};

/// What of a mode is kept.
pub(crate) const PERMISSIONS: u32 = 0o777;

/// A moment by the clock of the file system, in nanoseconds since 1970.
pub(crate) type Nanos = i128;

/// A directory that nothing here leaves.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) dir: OwnedFd,
}

/// What is known of a path without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) kind: FileType,
    /// Permissions.
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) blocks: u64,
    pub(crate) inode: u64,
    pub(crate) device: u64,
    /// A device node's own number.
    pub(crate) node: u64,
    pub(crate) changed: Nanos,
    pub(crate) modified: Nanos,
    pub(crate) owner: (u32, u32),
}

impl Root {
    /// Opens it. No part of its path may be a link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { dir: rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve)? })
    }

    /// The directory that a path lies in. What is mounted beneath the root is no part of it.
    pub(crate) fn parent_of(&self, path: &RelPath) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = path.parent();
        let parent = parent.as_ref().map_or(Path::new("."), RelPath::as_path);
        Ok(rustix::fs::openat2(&self.dir, parent, flags, Mode::empty(), resolve)?)
    }
}

/// What is at a name; `None` if nothing is.
pub(crate) fn facts(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<Facts>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Facts::of(&stat))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Facts {
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanos = |seconds: i64, nanos: u64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & PERMISSIONS,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
            inode: stat.st_ino,
            device: stat.st_dev,
            node: stat.st_rdev,
            changed: nanos(stat.st_ctime, stat.st_ctime_nsec),
            modified: nanos(stat.st_mtime, stat.st_mtime_nsec),
            owner: (stat.st_uid, stat.st_gid),
        }
    }

    /// The kernel's note that something of the lower directory was removed.
    pub(crate) fn is_whiteout(&self) -> bool {
        self.kind == FileType::CharacterDevice && self.node == 0
    }
}

/// When the inode at a name was made, where the file system knows.
pub(crate) fn born(dir: BorrowedFd<'_>, name: &OsStr) -> Option<Nanos> {
    let found = rustix::fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME).ok()?;
    let known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    known.then(|| i128::from(found.stx_btime.tv_sec) * 1_000_000_000 + i128::from(found.stx_btime.tv_nsec))
}

/// Opens a directory right beneath another.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?)
}

/// The same for one of our own, whose permissions a cell may have taken from us.
pub(crate) fn open_own_dir(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    match open_dir(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            rustix::fs::chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
            open_dir(dir, name)
        }
        opened => opened,
    }
}

/// Opens a file for reading, and only a regular one.
pub(crate) fn open_file(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file.into())
}

/// The same for one of our own.
pub(crate) fn open_own_file(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<std::fs::File> {
    match open_file(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            rustix::fs::chmodat(dir, name, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
            open_file(dir, name)
        }
        opened => opened,
    }
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: BorrowedFd<'_>) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The content of a symbolic link.
pub(crate) fn link(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Raw> {
    let content: CString = rustix::fs::readlinkat(dir, name, Vec::new())?;
    Raw::new(content.into_bytes()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A path one deeper; `None` if it is too deep or too long to be named here.
pub(crate) fn deeper(path: Option<&RelPath>, name: &OsStr) -> Option<RelPath> {
    let mut bytes = path.map_or_else(Vec::new, |path| path.as_path().as_os_str().as_bytes().to_vec());
    if !bytes.is_empty() {
        bytes.push(b'/');
    }
    bytes.extend(name.to_owned().into_vec());
    RelPath::new(bytes).ok()
}

/// On the disk when this returns.
pub(crate) fn sync_dir(dir: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fsync(dir)?)
}
