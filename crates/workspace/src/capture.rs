//! From a layer to what changed: the upper directory of an overlay, read as the kernel left it.
//!
//! Whoever filled it may have been hostile. Every name is opened beneath its directory and no link is followed; whiteouts
//! and the note of an opaque directory can be made by the kernel alone (`cella_cell` tests that); all else is content.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::fs::{FileType, Mode};

use crate::{
    After, Area, COPY_ENTRIES, Change, DISK_FREE_MIN, Digest, LeftOut, Raw, RelPath, Seen,
    beneath::{
        Facts, Nanos, Root, born, deeper, facts, link, names, open_dir, open_file, open_own_dir,
        open_own_file, some_names,
    },
    known::Memory,
    limits::{MANIFEST_NAMES_MAX, STORE_BYTES_MAX},
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
    /// Bytes of paths and contents of links.
    pub(crate) names: u64,
    /// Bytes that the store still takes.
    pub(crate) store: u64,
}

impl Budget {
    /// All that a run whose copies may come to so many bytes can leave in a store that has so many.
    pub(crate) fn new(bytes: u64, stored: u64) -> Self {
        let store = STORE_BYTES_MAX.saturating_sub(stored);
        Self { bytes, entries: COPY_ENTRIES, names: MANIFEST_NAMES_MAX, store }
    }

    /// Takes what one more entry needs, if it is there.
    fn entry(&mut self, names: u64) -> bool {
        let fits = self.entries > 0 && self.names(names);
        self.entries -= u64::from(fits);
        fits
    }

    fn names(&mut self, bytes: u64) -> bool {
        let left = self.names.checked_sub(bytes);
        self.names = left.unwrap_or(self.names);
        left.is_some()
    }
}

/// In which part of a cell's life its layer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// It works there and nothing is to be made of it yet: what will not change is read ahead.
    Ahead,
    /// It will go on there.
    Alive,
    /// It is gone.
    Ended,
}

/// Reads one layer.
pub(crate) struct Capture<'a, 'k> {
    objects: &'a Objects,
    /// When the cell's view of the host began.
    began: Nanos,
    budget: &'a mut Budget,
    memory: &'a mut Memory<'k>,
    when: When,
    changes: Vec<Change>,
    left_out: Vec<LeftOut>,
    /// Entries that nothing more is said of.
    past: u64,
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

impl<'a, 'k> Capture<'a, 'k> {
    pub(crate) fn new(
        objects: &'a Objects,
        began: Nanos,
        (budget, memory): (&'a mut Budget, &'a mut Memory<'k>),
        when: When,
    ) -> Self {
        let (changes, left_out) = (Vec::new(), Vec::new());
        Self { objects, began, budget, memory, when, changes, left_out, past: 0 }
    }

    /// What changed in `root`, whose layer is in `upper`.
    pub(crate) fn area(mut self, root: &Path, upper: &Path) -> io::Result<Area> {
        let layer = Root::open(upper.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        let name = upper.file_name().unwrap_or_default();
        let found = facts(layer.dir.as_fd(), name)?.ok_or(io::ErrorKind::NotFound)?;
        let (upper, opened) = self.open(layer.dir.as_fd(), name, &found)?;
        // Without it nothing that was removed would be known.
        let lower = Root::open(root)?;
        let lower = Some(lower.dir.as_fd());
        let walked = self.walk(&Place { upper: upper.as_fd(), lower, path: None, opaque: false });
        if opened && self.when != When::Ended {
            rustix::fs::fchmod(&upper, Mode::from_raw_mode(found.mode))?;
        }
        walked?;
        if self.past > 0 {
            let what = format!("{} entries past the limit, and all that is in them", self.past);
            self.left_out.extend(Raw::new(*b".").map(|path| LeftOut { path, what }));
        }
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(root.as_os_str());
        let path = Raw::new(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Area { changes: self.changes, left_out: self.left_out, path })
    }

    fn walk(&mut self, at: &Place<'_>) -> io::Result<()> {
        // One more than may be kept, so that it is said.
        let most = usize::try_from(self.budget.entries).unwrap_or(usize::MAX).saturating_add(1);
        let found = some_names(at.upper, most)?;
        for name in &found {
            let Some(path) = deeper(at.path, name) else {
                self.leave_out(at.path, "too deep, or too long a name");
                continue;
            };
            if self.budget.entry(path.written()) {
                if let Some(facts) = facts(at.upper, name)? {
                    self.entry(at, name, path, &facts)?;
                }
            } else {
                self.past += 1;
            }
        }
        let (Some(lower), true) = (at.lower, at.opaque) else { return Ok(()) };
        for name in names(lower)?.iter().filter(|name| found.binary_search(name).is_err()) {
            let Some(path) = deeper(at.path, name) else { continue };
            if self.budget.entry(path.written()) {
                let base = self.base(at, name, &path, (true, None));
                self.change(Change { after: After::Removed, base, path });
            } else {
                self.past += 1;
            }
        }
        Ok(())
    }

    fn entry(&mut self, at: &Place<'_>, name: &OsStr, path: RelPath, facts: &Facts) -> io::Result<()> {
        let made = born(at.upper, name);
        match facts.kind {
            _ if facts.is_whiteout() => {
                let base = self.base(at, name, &path, (true, made));
                if base != Seen::Absent {
                    self.change(Change { after: After::Removed, base, path });
                }
            }
            FileType::Directory => return self.directory(at, name, &path, facts),
            FileType::RegularFile => return self.file(at, name, path, facts, made),
            FileType::Symlink => {
                let target = link(at.upper, name)?;
                let base = self.base(at, name, &path, (true, made));
                if base != (Seen::Link { target: target.clone() }) {
                    self.change(Change { after: After::Link { target }, base, path });
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
        if self.when == When::Ahead && !self.memory.remembers(facts) {
            return Ok(());
        }
        let base = self.base(at, name, &path, (true, made));
        let (mode, most) = (facts.mode, self.budget.bytes);
        if facts.size > most {
            self.leave_out(Some(&path), "past the limit of bytes");
            return Ok(());
        }
        let known = self.memory.own(&path, facts);
        // Opened for writing and not changed, or changed and changed back: the kernel has copied it all the same.
        if matches!(base, Seen::File { mode: old, size, .. } if (old, size) == (mode, facts.size)) {
            let found = match known {
                Some(sha256) => (sha256, facts.size),
                None => digest(self.read(at, name)?, most)?,
            };
            self.memory.read += if known.is_none() { found.1 } else { 0 };
            let (sha256, size) = found;
            if base == (Seen::File { mode, sha256, size }) {
                self.memory.keep_own(&path, facts, sha256);
                return Ok(());
            }
        }
        // A checkpoint that somebody has discarded may have taken it along.
        let stored = known.filter(|sha256| self.objects.check(*sha256, facts.size).is_ok());
        let (sha256, size) = match stored {
            Some(sha256) => (sha256, facts.size),
            None => match self.store(at, name, &path, facts)? {
                Some(stored) => stored,
                None => return Ok(()),
            },
        };
        self.budget.bytes -= size;
        self.memory.keep_own(&path, facts, sha256);
        self.change(Change { after: After::File { mode, sha256, size }, base, path });
        Ok(())
    }

    /// Keeps a content; `None` if it does not fit.
    fn store(
        &mut self,
        at: &Place<'_>,
        name: &OsStr,
        path: &RelPath,
        facts: &Facts,
    ) -> io::Result<Option<(Digest, u64)>> {
        if facts.size > self.budget.store {
            self.leave_out(Some(path), "past what all workspaces may come to");
            return Ok(None);
        }
        // The room changes with each one, and with what others do on the disk.
        if facts.size > self.objects.free()?.saturating_sub(DISK_FREE_MIN) {
            self.leave_out(Some(path), "no room on the disk");
            return Ok(None);
        }
        let (sha256, size) = self.objects.put(self.read(at, name)?, self.budget.bytes)?;
        self.memory.read += size;
        self.memory.stored += size;
        self.budget.store = self.budget.store.saturating_sub(size);
        Ok(Some((sha256, size)))
    }

    /// A file of the layer. As for directories, nothing is changed for it while the cell runs.
    fn read(&self, at: &Place<'_>, name: &OsStr) -> io::Result<File> {
        if self.when == When::Ahead { open_file(at.upper, name) } else { open_own_file(at.upper, name) }
    }

    fn directory(&mut self, at: &Place<'_>, name: &OsStr, path: &RelPath, facts: &Facts) -> io::Result<()> {
        let (upper, opened) = self.open(at.upper, name, facts)?;
        let base = self.base(at, name, path, (false, None));
        let lower = match base {
            Seen::Directory { .. } => at.lower.and_then(|lower| open_dir(lower, name).ok()),
            _ => None,
        };
        let opaque = lower.is_some() && (at.opaque || is_opaque(&upper));
        if opaque || base != (Seen::Directory { mode: facts.mode }) {
            let after = After::Directory { mode: facts.mode, opaque };
            // A file in its place is compared whole, a directory by itself.
            self.change(Change { after, base, path: path.clone() });
        }
        let lower = lower.as_ref().map(AsFd::as_fd);
        let walked = self.walk(&Place { upper: upper.as_fd(), lower, path: Some(path), opaque });
        if opened {
            // Opened for this; when this breaks off, the next try is to find what the run had left.
            rustix::fs::fchmod(&upper, Mode::from_raw_mode(facts.mode))?;
        }
        walked
    }

    /// Opens a directory of the layer; and whether its permissions were changed for that. A cell that works there sees such a
    /// change, so it is made only where there is no other way.
    fn open(&self, dir: BorrowedFd<'_>, name: &OsStr, facts: &Facts) -> io::Result<(OwnedFd, bool)> {
        if self.when != When::Ended {
            match open_dir(dir, name) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.when == When::Alive => {
                }
                opened => return Ok((opened?, false)),
            }
        }
        let closed = facts.mode & Mode::RWXU.bits() != Mode::RWXU.bits();
        Ok((open_own_dir(dir, name)?, closed))
    }

    /// What the host has there, unless that was changed after the cell had made its own of it.
    fn base(
        &mut self,
        at: &Place<'_>,
        name: &OsStr,
        path: &RelPath,
        (whole, made): (bool, Option<Nanos>),
    ) -> Seen {
        let Some(lower) = at.lower else { return Seen::Absent };
        let look = self.look(lower, name, path, whole);
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

    /// Looks at what the host has, and does not read a file that was read before.
    fn look(&mut self, lower: BorrowedFd<'_>, name: &OsStr, path: &RelPath, whole: bool) -> Look {
        let found = facts(lower, name).ok().flatten().filter(|found| found.kind == FileType::RegularFile);
        if let Some(found) = found
            && let Some(seen) = self.memory.base(path, &found)
        {
            self.memory.keep_base(path, &found, &seen);
            return Look { seen, facts: Some(found), newest: found.changed };
        }
        let look = Look::at(lower, name, whole);
        // What was read is what it was before and after.
        if let (Some(before), Some(after), Seen::File { .. }) = (found, look.facts, &look.seen)
            && before == after
        {
            self.memory.keep_base(path, &after, &look.seen);
        }
        look
    }

    /// What it names beside its path is charged here.
    fn change(&mut self, change: Change) {
        let after = if let After::Link { target } = &change.after { target.written() } else { 0 };
        let base = if let Seen::Link { target } = &change.base { target.written() } else { 0 };
        if self.budget.names(after + base) { self.changes.push(change) } else { self.past += 1 }
    }

    fn leave_out(&mut self, path: Option<&RelPath>, what: &str) {
        let Some(path) = path.cloned().map(Raw::from).or_else(|| Raw::new(*b".")) else { return };
        // A path that is left out is said a second time, or is that of a directory with many such names.
        if self.budget.entry(path.written() + what.len() as u64) {
            self.left_out.push(LeftOut { path, what: what.to_owned() });
        } else {
            self.past += 1;
        }
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::known::{Known, Settled};

    #[test]
    fn names_past_the_limit_are_counted_and_not_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = std::fs::canonicalize(dir.path()).expect("a path");
        for name in ["root", "objects", "layer", "layer/upper"] {
            std::fs::create_dir(dir.join(name)).expect("a directory");
        }
        for number in 0..10 {
            let target = OsStr::from_bytes(&[0xff; 100]);
            let link = dir.join(format!("layer/upper/{number}"));
            std::os::unix::fs::symlink(target, link).expect("a link");
        }
        let objects = Objects::new(dir.join("objects"));
        let mut budget = Budget { bytes: 0, entries: 100, names: 1000, store: 0 };
        let nothing = Known::default();
        let mut memory = Memory::new(&nothing, Settled::NOTHING);
        let capture = Capture::new(&objects, 0, (&mut budget, &mut memory), When::Ended);
        let area = capture.area(&dir.join("root"), &dir.join("layer/upper")).expect("captured");
        let said: Vec<_> = area.left_out.iter().map(|left| left.what.as_str()).collect();
        assert_eq!(
            (area.changes.len(), said),
            (3, vec!["7 entries past the limit, and all that is in them"])
        );
    }
}
