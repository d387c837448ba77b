//! From a layer to what changed: the upper directory of an overlay, read as the kernel left it.
//!
//! Whoever filled it may have been hostile. Every name is opened beneath its directory and no link is followed; whiteouts
//! and the note of an opaque directory can be made by the kernel alone (`cella_cell` tests that); all else is content.

use std::{
    ffi::OsStr,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::fs::FileType;

use crate::{
    After, Area, Change, LeftOut, Raw, RelPath, Seen,
    beneath::{
        Facts, Nanos, Root, born, deeper, facts, link, names, open_dir, open_file, open_own_dir,
        open_own_file,
    },
    objects::Objects,
    see::{Look, digest},
};

/// The kernel's note that a directory hides the lower one of its name.
const OPAQUE: &str = "user.overlay.opaque";

/// The kernel's note of what a file was copied from, and how long it can be.
const ORIGIN: &str = "user.overlay.origin";
const ORIGIN_BYTES_MAX: usize = 256;

/// What may still be captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// Reads one layer.
pub(crate) struct Capture<'a> {
    objects: &'a Objects,
    /// When the cell's view of the host began.
    began: Nanos,
    budget: &'a mut Budget,
    changes: Vec<Change>,
    left_out: Vec<LeftOut>,
}

/// Where the walk is.
struct Place<'a> {
    upper: BorrowedFd<'a>,
    /// What the upper one lies over; `None` where that is no directory.
    lower: Option<BorrowedFd<'a>>,
    path: Option<&'a RelPath>,
    /// Nothing of the lower one is seen but what is in the upper one.
    opaque: bool,
}

impl<'a> Capture<'a> {
    pub(crate) fn new(objects: &'a Objects, began: Nanos, budget: &'a mut Budget) -> Self {
        Self { objects, began, budget, changes: Vec::new(), left_out: Vec::new() }
    }

    /// What changed in `root`, whose layer is in `upper`.
    pub(crate) fn area(mut self, root: &Path, upper: &Path) -> io::Result<Area> {
        let upper = Root::open(upper)?;
        let lower = Root::open(root).ok();
        let lower = lower.as_ref().map(|lower| lower.dir.as_fd());
        self.walk(&Place { upper: upper.dir.as_fd(), lower, path: None, opaque: false })?;
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(root.as_os_str());
        let path = Raw::new(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Area { changes: self.changes, left_out: self.left_out, path })
    }

    fn walk(&mut self, at: &Place<'_>) -> io::Result<()> {
        let found = names(at.upper)?;
        for name in &found {
            let Some(path) = deeper(at.path, name) else {
                self.leave_out(at.path, "too deep, or too long a name");
                continue;
            };
            if self.budget.entries == 0 {
                self.leave_out(Some(&path), "past the limit of entries, with all that follows");
                return Ok(());
            }
            self.budget.entries -= 1;
            if let Some(facts) = facts(at.upper, name)? {
                self.entry(at, name, path, &facts)?;
            }
        }
        let (Some(lower), true) = (at.lower, at.opaque) else { return Ok(()) };
        for name in names(lower)?.iter().filter(|name| !found.contains(name)) {
            if let Some(path) = deeper(at.path, name) {
                let base = self.base(at, name, true, None);
                self.changes.push(Change { after: After::Removed, base, path });
            }
        }
        Ok(())
    }

    fn entry(&mut self, at: &Place<'_>, name: &OsStr, path: RelPath, facts: &Facts) -> io::Result<()> {
        let made = born(at.upper, name);
        match facts.kind {
            _ if facts.is_whiteout() => {
                let base = self.base(at, name, true, made);
                if base != Seen::Absent {
                    self.changes.push(Change { after: After::Removed, base, path });
                }
            }
            FileType::Directory => return self.directory(at, name, &path, facts),
            FileType::RegularFile => return self.file(at, name, path, facts, made),
            FileType::Symlink => {
                let target = link(at.upper, name)?;
                let base = self.base(at, name, true, made);
                if base != (Seen::Link { target: target.clone() }) {
                    self.changes.push(Change { after: After::Link { target }, base, path });
                }
            }
            FileType::Fifo => self.leave_out(Some(&path), "a named pipe"),
            FileType::Socket => self.leave_out(Some(&path), "a socket"),
            _ => self.leave_out(Some(&path), "a device"),
        }
        Ok(())
    }

    fn file(
        &mut self,
        at: &Place<'_>,
        name: &OsStr,
        path: RelPath,
        facts: &Facts,
        made: Option<Nanos>,
    ) -> io::Result<()> {
        let base = self.base(at, name, true, made);
        let (mode, most) = (facts.mode, self.budget.bytes);
        if facts.size > most {
            self.leave_out(Some(&path), "past the limit of bytes");
            return Ok(());
        }
        // Opened for writing and not changed, or changed and changed back: the kernel has copied it all the same.
        if matches!(base, Seen::File { mode: old, size, .. } if (old, size) == (mode, facts.size)) {
            let (sha256, size) = digest(open_own_file(at.upper, name)?, most)?;
            if base == (Seen::File { mode, sha256, size }) {
                return Ok(());
            }
        }
        let (sha256, size) = self.objects.put(open_own_file(at.upper, name)?, most)?;
        self.budget.bytes -= size;
        self.changes.push(Change { after: After::File { mode, sha256, size }, base, path });
        Ok(())
    }

    fn directory(&mut self, at: &Place<'_>, name: &OsStr, path: &RelPath, facts: &Facts) -> io::Result<()> {
        let upper = open_own_dir(at.upper, name)?;
        let base = self.base(at, name, false, None);
        let lower = match base {
            Seen::Directory { .. } => at.lower.and_then(|lower| open_dir(lower, name).ok()),
            _ => None,
        };
        let opaque = lower.is_some() && (at.opaque || is_opaque(&upper));
        if opaque || base != (Seen::Directory { mode: facts.mode }) {
            let after = After::Directory { mode: facts.mode, opaque };
            // A file in its place is compared whole, a directory by itself.
            self.changes.push(Change { after, base, path: path.clone() });
        }
        let lower = lower.as_ref().map(AsFd::as_fd);
        self.walk(&Place { upper: upper.as_fd(), lower, path: Some(path), opaque })
    }

    /// What the host has there, unless that was changed after the cell had made its own of it.
    fn base(&self, at: &Place<'_>, name: &OsStr, whole: bool, made: Option<Nanos>) -> Seen {
        let Some(lower) = at.lower else { return Seen::Absent };
        let look = Look::at(lower, name, whole);
        // Only what the kernel copied up was made of what the host had at that moment. Anything else may have replaced an
        // earlier own one, made before the host changed: it counts from the begin of the run, and a conflict too many is
        // the safe side.
        let since = match made {
            Some(made) if is_copied_up(at.upper, name) => made,
            made => made.map_or(self.began, |made| made.min(self.began)),
        };
        let compared = !matches!(look.seen, Seen::Directory { .. } | Seen::Absent);
        if compared && look.newest > since { Seen::Changed } else { look.seen }
    }

    fn leave_out(&mut self, path: Option<&RelPath>, what: &str) {
        let path = path.cloned().map(Raw::from).or_else(|| Raw::new(*b"."));
        self.left_out.extend(path.map(|path| LeftOut { path, what: what.to_owned() }));
    }
}

/// The kernel's note of which file of the host one was copied from; links and removals have none.
fn is_copied_up(dir: BorrowedFd<'_>, name: &OsStr) -> bool {
    let size = open_file(dir, name)
        .and_then(|file| Ok(rustix::fs::fgetxattr(file, ORIGIN, &mut [0_u8; ORIGIN_BYTES_MAX][..])?));
    size.is_ok()
}

fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0; 2];
    matches!(rustix::fs::fgetxattr(dir, OPAQUE, &mut value[..]), Ok(1) if value[0] == b'y')
}
