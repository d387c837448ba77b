//! What was read before. A file that is the same one, unchanged, is not read again.
//!
//! Same is what the kernel says of it: inode, size, mode, owner, and both times. That of the last change cannot be set back by
//! anybody, but two changes within one tick of the clock have the same one, so what changed only just now is not remembered.
//! A change through a mapping of the file moves the time only when the page was clean before, so the disk gets all of it
//! first ([`Settled::after_sync`]).

use std::{collections::HashMap, fs::File, io, path::Path, time::Duration};

use crate::{
    Digest, RelPath, Seen,
    beneath::{Facts, Nanos},
    layers::now,
};

/// What a tick of a file system's clock may come to, and more. What changed so little before is read again.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// File systems in memory. They never see a page clean, so a change through a mapping moves no time.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// What is known of the files of one area.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Those in the layer.
    own: HashMap<RelPath, (Facts, Digest)>,
    /// What they have beneath them.
    bases: HashMap<RelPath, (Facts, Seen)>,
}

/// The moment before which a change must lie to be seen by its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled(Nanos);

/// One pass over an area: what an earlier one left, and what this one leaves.
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    before: &'a Known,
    pub(crate) now: Known,
    settled: Settled,
    /// Bytes of files in the layer that were read.
    pub(crate) read: u64,
    /// Bytes of contents that were written.
    pub(crate) stored: u64,
}

/// What was changed before this, was changed before that moment by every clock here.
pub(crate) fn before_tick(moment: Nanos) -> Nanos {
    moment - Nanos::try_from(TICK.as_nanos()).unwrap_or(Nanos::MAX)
}

// === impl Settled ===

impl Settled {
    /// Nothing is remembered.
    pub(crate) const NOTHING: Self = Self(Nanos::MIN);

    /// Brings what lies there to the disk; a change from here on moves a file's time.
    pub(crate) fn after_sync(dir: &Path) -> io::Result<Self> {
        let before = now();
        let dir = File::open(dir)?;
        rustix::fs::syncfs(&dir)?;
        let kind = rustix::fs::fstatfs(&dir)?.f_type;
        Ok(if kind == TMPFS_MAGIC { Self::NOTHING } else { Self(before_tick(before)) })
    }

    fn holds(self, facts: &Facts) -> bool {
        facts.changed < self.0
    }
}

// === impl Memory ===

impl<'a> Memory<'a> {
    pub(crate) fn new(before: &'a Known, settled: Settled) -> Self {
        Self { before, now: Known::default(), settled, read: 0, stored: 0 }
    }

    /// The content of a file in the layer, if it is still what it was.
    pub(crate) fn own(&self, path: &RelPath, facts: &Facts) -> Option<Digest> {
        self.before.own.get(path).filter(|(known, _)| known == facts).map(|(_, digest)| *digest)
    }

    /// Whether what changed last then is remembered.
    pub(crate) fn remembers(&self, facts: &Facts) -> bool {
        self.settled.holds(facts)
    }

    pub(crate) fn keep_own(&mut self, path: &RelPath, facts: &Facts, digest: Digest) {
        if self.settled.holds(facts) {
            self.now.own.insert(path.clone(), (*facts, digest));
        }
    }

    /// What the host has at a path, if that is still the same.
    pub(crate) fn base(&self, path: &RelPath, facts: &Facts) -> Option<Seen> {
        self.before.bases.get(path).filter(|(known, _)| known == facts).map(|(_, seen)| seen.clone())
    }

    pub(crate) fn keep_base(&mut self, path: &RelPath, facts: &Facts, seen: &Seen) {
        if self.settled.holds(facts) {
            self.now.bases.insert(path.clone(), (*facts, seen.clone()));
        }
    }
}
