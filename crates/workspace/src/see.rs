//! What is at a path of the host, for comparing it with what a cell saw there.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::FileType;
use sha2::{Digest as _, Sha256};

use crate::{
    Digest, RelPath, Seen,
    beneath::{Facts, Nanos, deeper, facts, link, names, open_dir, open_file},
    digest::copied,
    limits::TREE_ENTRIES_MAX,
};

/// What was found.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) seen: Seen,
    pub(crate) facts: Option<Facts>,
    /// When it, or anything in it, was changed last. Nobody can set this back.
    pub(crate) newest: Nanos,
}

impl Look {
    /// Nothing is there.
    pub(crate) const NOTHING: Self = Self { seen: Seen::Absent, facts: None, newest: Nanos::MIN };

    /// Something that cannot be looked at.
    pub(crate) const CLOSED: Self = Self { seen: Seen::Other, facts: None, newest: Nanos::MIN };

    /// Whether it could not be looked at.
    pub(crate) fn is_closed(&self) -> bool {
        self.seen == Seen::Other && self.facts.is_none()
    }

    /// Looks at a name; `whole`: a directory with all that is in it. What may not be read is [`Seen::Other`].
    pub(crate) fn at(dir: BorrowedFd<'_>, name: &OsStr, whole: bool) -> Self {
        let found = match facts(dir, name) {
            Ok(Some(found)) => found,
            Ok(None) => return Self::NOTHING,
            Err(_) => return Self::CLOSED,
        };
        let mut newest = found.changed;
        let seen = match found.kind {
            FileType::RegularFile => open_file(dir, name)
                .and_then(|file| digest(file, u64::MAX))
                .map(|(sha256, size)| Seen::File { mode: found.mode, sha256, size }),
            FileType::Symlink => link(dir, name).map(|target| Seen::Link { target }),
            FileType::Directory if whole => tree(dir, name, &found, &mut newest),
            FileType::Directory => Ok(Seen::Directory { mode: found.mode }),
            _ => Ok(Seen::Other),
        };
        Self { seen: seen.unwrap_or(Seen::Other), facts: Some(found), newest }
    }
}

/// The digest of what can be read, and how much that was.
pub(crate) fn digest(from: impl Read, most: u64) -> io::Result<(Digest, u64)> {
    copied(from, &mut io::sink(), most)
}

/// A whole directory by what is listed of it: reading all of it would take minutes where a cell removed a build's output.
fn tree(dir: BorrowedFd<'_>, name: &OsStr, facts: &Facts, newest: &mut Nanos) -> io::Result<Seen> {
    let mut listing = Listing { hash: Sha256::new(), entries: 0, newest };
    let top = open_dir(dir, name)?;
    listing.line('d', facts.mode, 0, 0, "");
    listing.list(top.as_fd(), None)?;
    let Listing { hash, entries, .. } = listing;
    Ok(Seen::Tree { entries, sha256: Digest::new(hash.finalize().into()) })
}

struct Listing<'a> {
    hash: Sha256,
    entries: u64,
    newest: &'a mut Nanos,
}

impl Listing<'_> {
    fn list(&mut self, dir: BorrowedFd<'_>, path: Option<&RelPath>) -> io::Result<()> {
        for name in names(dir)? {
            let path = deeper(path, &name).ok_or(io::ErrorKind::InvalidInput)?;
            let found = facts(dir, &name)?.ok_or(io::ErrorKind::NotFound)?;
            *self.newest = found.changed.max(*self.newest);
            self.entries += 1;
            if self.entries > TREE_ENTRIES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let text = path.text();
            match found.kind {
                FileType::Directory => {
                    self.line('d', found.mode, 0, 0, &text);
                    self.list(open_dir(dir, &name)?.as_fd(), Some(&path))?;
                }
                FileType::RegularFile => {
                    self.line('f', found.mode, found.size, found.modified, &text);
                }
                FileType::Symlink => {
                    // A text has no NUL, so no name ends like this.
                    self.line('l', 0, 0, 0, &format!("{text}%00{}", link(dir, &name)?.text()));
                }
                _ => self.line('o', found.mode, 0, found.modified, &text),
            }
        }
        Ok(())
    }

    /// `kind mode size modified path`, the last escaped, so that no name looks like the next line.
    fn line(&mut self, kind: char, mode: u32, size: u64, modified: Nanos, path: &str) {
        self.hash.update(format!("{kind} {mode:o} {size} {modified} {path}\n"));
    }
}
