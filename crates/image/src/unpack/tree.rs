//! A root filesystem in the making: archives are unpacked into it, one over the other.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};
use tar::EntryType;

use super::ImageCaps;

/// Bytes of headers and padding that an entry may bring along. Stops an endless archive of nothing.
const OVERHEAD_BYTES: u64 = 16 << 10;
/// Begins the name of what removes a name of a lower layer.
const WHITEOUT: &[u8] = b".wh.";
/// The name that removes everything that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// See the file's head.
pub(super) struct Tree {
    root: OwnedFd,
    caps: ImageCaps,
    bytes: u64,
    entries: u64,
    /// What this layer has made.
    made: BTreeSet<PathBuf>,
}

impl Tree {
    pub(super) fn new(dir: &Path, caps: ImageCaps) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let root = rustix::fs::openat(CWD, dir, flags, Mode::empty())?;
        Ok(Self { root, caps, bytes: 0, entries: 0, made: BTreeSet::new() })
    }

    /// Unpacks one archive; `layer`: it may remove what is there already.
    pub(super) fn unpack(&mut self, stream: impl Read, layer: bool) -> io::Result<()> {
        self.made.clear();
        let ceiling = self.caps.bytes.saturating_add(self.caps.entries.saturating_mul(OVERHEAD_BYTES));
        let mut archive = tar::Archive::new(stream.take(ceiling));
        for entry in archive.entries()? {
            let mut entry = entry?;
            self.count(entry.size())?;
            let Some(path) = plain(&entry.path()?)? else { continue };
            let name = path.file_name().unwrap_or_default().as_encoded_bytes().to_owned();
            if layer && name == OPAQUE {
                self.clear(path.parent().unwrap_or(Path::new("")))?;
            } else if let Some(hidden) = name.strip_prefix(WHITEOUT).filter(|_| layer) {
                let hidden = Path::new(std::str::from_utf8(hidden).map_err(io::Error::other)?);
                self.whiteout(path.parent().unwrap_or(Path::new("")), hidden)?;
            } else {
                self.make(&mut entry, &path)?;
                self.made.insert(path);
            }
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries += 1;
        if self.bytes > self.caps.bytes || self.entries > self.caps.entries {
            let ImageCaps { bytes, entries } = self.caps;
            return Err(refuse(format!("it has more than {bytes} bytes or {entries} entries")));
        }
        Ok(())
    }

    fn make(&self, entry: &mut tar::Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let kind = entry.header().entry_type();
        let parent = self.parent(path)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let name = Path::new(name);
        match kind {
            EntryType::Directory => self.make_dir(parent.as_fd(), path),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                remove(parent.as_fd(), name)?;
                let executable = entry.header().mode()? & 0o111 != 0;
                let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, name, flags, mode)?;
                // The node's mask must not make it unreadable for cells.
                rustix::fs::fchmod(&file, mode)?;
                io::copy(entry, &mut std::fs::File::from(file)).map(drop)
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.ok_or_else(|| refuse("a link to nothing"))?;
                remove(parent.as_fd(), name)?;
                // Wherever it leads, it is followed only inside.
                Ok(rustix::fs::symlinkat(&*target, &parent, name)?)
            }
            EntryType::Link => {
                let target = entry.link_name()?.ok_or_else(|| refuse("a link to nothing"))?;
                let target = plain(&target)?.ok_or_else(|| refuse("a second name of the root"))?;
                let (dir, old) = (self.parent(&target)?, target.file_name().unwrap_or_default());
                if file_type(dir.as_fd(), Path::new(old))? == Some(FileType::Directory) {
                    return Err(refuse(format!("`{}` is a second name of a directory", path.display())));
                }
                if target != path {
                    remove(parent.as_fd(), name)?;
                    rustix::fs::linkat(&dir, old, &parent, name, AtFlags::empty())?;
                }
                Ok(())
            }
            // Devices and pipes: a cell has its own, and others would be dead there.
            EntryType::Char | EntryType::Block | EntryType::Fifo => Ok(()),
            other => {
                Err(refuse(format!("`{}` is of the unknown kind {:?}", path.display(), other.as_byte())))
            }
        }
    }

    fn make_dir(&self, parent: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
        let name = Path::new(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        // A directory over a link to one leaves the link, as unpacking by hand would.
        match file_type(parent, name)? {
            Some(FileType::Directory) => return Ok(()),
            Some(FileType::Symlink) if self.inside(path).is_ok() => return Ok(()),
            Some(_) => remove(parent, name)?,
            None => {}
        }
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
        Ok(rustix::fs::chmodat(parent, name, Mode::from_raw_mode(0o755), AtFlags::empty())?)
    }

    /// The directory of a path, made where it is missing. Links on the way are followed as they would be inside.
    fn parent(&self, path: &Path) -> io::Result<OwnedFd> {
        let parent = path.parent().unwrap_or(Path::new(""));
        match self.inside(parent) {
            Ok(dir) => Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = self.parent(parent)?;
                self.make_dir(above.as_fd(), parent)?;
                self.inside(parent)
            }
            Err(error) => Err(error),
        }
    }

    /// A directory, found as `chroot` would: neither `..` nor a link leads above the root.
    fn inside(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        Ok(rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)?)
    }

    fn whiteout(&self, dir: &Path, name: &Path) -> io::Result<()> {
        if !matches!(name.components().collect::<Vec<_>>()[..], [Component::Normal(_)]) {
            return Err(refuse("a whiteout of no name"));
        }
        match self.inside(dir) {
            Ok(dir) => remove(dir.as_fd(), name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes what lower layers have in a directory.
    fn clear(&self, dir: &Path) -> io::Result<()> {
        let open = match self.inside(dir) {
            Ok(open) => open,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in std::fs::read_dir(by_descriptor(open.as_fd()))? {
            let name = PathBuf::from(entry?.file_name());
            let path = dir.join(&name);
            if !self.made.iter().any(|made| made.starts_with(&path)) {
                remove(open.as_fd(), &name)?;
            }
        }
        Ok(())
    }
}

/// The path without `.` and without a root; `None` for the root itself. What names something above is refused.
fn plain(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(refuse(format!("`{}` leads out of the image", path.display())));
            }
        }
    }
    Ok((!plain.as_os_str().is_empty()).then_some(plain))
}

fn file_type(dir: BorrowedFd<'_>, name: &Path) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes a name, whatever it is, without following it.
fn remove(dir: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match file_type(dir, name)? {
        None => Ok(()),
        Some(FileType::Directory) => std::fs::remove_dir_all(by_descriptor(dir).join(name)),
        Some(_) => Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?),
    }
}

/// A path to a directory that is open, however it was reached.
fn by_descriptor(dir: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()))
}

fn refuse(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
