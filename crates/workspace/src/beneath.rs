//! System calls by descriptor, of which none follows a link or leaves its root.

use std::{
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
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

/// How each step down is made: through no link, and into nothing that is mounted there.
const WITHIN: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = path.parent();
        let parent = parent.as_ref().map_or(Path::new("."), RelPath::as_path);
        Ok(rustix::fs::openat2(&self.dir, parent, flags, Mode::empty(), WITHIN)?)
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
    Ok(rustix::fs::openat2(dir, name, flags, Mode::empty(), WITHIN)?)
}

/// The same for one of our own, whose permissions a cell may have taken from us: they are given back first, and what they
/// were is lost. Not for a layer in which a cell still works: the cell would see it.
pub(crate) fn open_own_dir(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let handle = Handle::on(dir, name, FileType::Directory)?;
    // Searching needs more than reading does, and emptying more than either.
    if handle.mode & Mode::RWXU.bits() != Mode::RWXU.bits() {
        match handle.set(Mode::RWXU) {
            // Somebody else's, and perhaps open to us all the same.
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    handle.reopen(OFlags::DIRECTORY)
}

/// Opens a file for reading, and only a regular one.
pub(crate) fn open_file(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(dir, name, flags, Mode::empty(), WITHIN)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file.into())
}

/// The same for one of our own. Its permissions are afterwards what they were.
pub(crate) fn open_own_file(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<std::fs::File> {
    match open_file(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let handle = Handle::on(dir, name, FileType::RegularFile)?;
            handle.set(Mode::RUSR | Mode::WUSR)?;
            let opened = handle.reopen(OFlags::empty());
            handle.set(Mode::from_raw_mode(handle.mode))?;
            Ok(opened?.into())
        }
        opened => opened,
    }
}

/// Something that is held without being open. A change of permissions by name follows a link that was put there a moment
/// ago, to anywhere on the host; one by descriptor meets what was looked at.
struct Handle {
    fd: OwnedFd,
    mode: u32,
}

impl Handle {
    fn on(dir: BorrowedFd<'_>, name: &OsStr, kind: FileType) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(dir, name, flags, Mode::empty(), WITHIN)?;
        let mode = rustix::fs::fstat(&fd)?.st_mode;
        if FileType::from_raw_mode(mode) != kind {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self { fd, mode: mode & 0o7777 })
    }

    /// No call changes the mode of such a descriptor on every kernel that Cella runs on; its name in `/proc` does.
    fn set(&self, mode: Mode) -> Result<(), Errno> {
        rustix::fs::chmod(self.name(), mode)
    }

    fn reopen(&self, kind: OFlags) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | kind;
        Ok(rustix::fs::open(self.name(), flags, Mode::empty())?)
    }

    fn name(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: BorrowedFd<'_>) -> io::Result<Vec<OsString>> {
    some_names(dir, usize::MAX)
}

/// The same, but no more than so many of them: a cell decides how many there are.
pub(crate) fn some_names(dir: BorrowedFd<'_>, most: usize) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    // By this very descriptor: opening `.` anew asks for the right to search, which one that can be read may lack.
    let mut entries = rustix::fs::Dir::new(dir.try_clone_to_owned()?)?;
    entries.rewind();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            if names.len() == most {
                break;
            }
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn permissions_of_what_was_looked_at_are_changed_and_not_those_of_a_link_put_in_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).expect("metadata").permissions().mode() & 0o7777;
        for name in ["host", "closed"] {
            fs::create_dir(at(name)).expect("a directory");
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o500)).expect("permissions");
        }
        let root = Root::open(&fs::canonicalize(dir.path()).expect("a path")).expect("opened");
        let handle = Handle::on(root.dir.as_fd(), "closed".as_ref(), FileType::Directory).expect("held");
        fs::rename(at("closed"), at("moved")).expect("moved");
        symlink(at("host"), at("closed")).expect("a link");
        handle.set(Mode::RWXU).expect("changed");
        assert!(open_own_dir(root.dir.as_fd(), "closed".as_ref()).is_err());
        assert!(open_own_file(root.dir.as_fd(), "closed".as_ref()).is_err());
        assert_eq!((mode("moved"), mode("host")), (0o700, 0o500));
    }
}
