//! Whether a layer was changed between two moments: what the kernel says of everything in it, as one digest.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use rustix::{fs::FileType, io::Errno};
use sha2::{Digest as _, Sha256};

use crate::{
    COPY_ENTRIES, DEPTH_MAX, Digest,
    beneath::{Facts, Nanos, Root, facts, open_dir, some_names},
};

/// What some layers were at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    digest: Digest,
    /// When something in them was changed last.
    pub(crate) newest: Nanos,
}

/// Looks at some layers. Nothing is opened but directories, and nothing is changed: a cell works there.
pub(crate) fn survey<'a>(uppers: impl IntoIterator<Item = &'a Path>) -> io::Result<Survey> {
    let mut seen = Seen { hash: Sha256::new(), newest: Nanos::MIN };
    for upper in uppers {
        let root = Root::open(upper)?;
        seen.take(&Facts::of(&rustix::fs::fstat(&root.dir)?));
        list(root.dir.as_fd(), DEPTH_MAX, &mut seen)?;
    }
    Ok(Survey { digest: Digest::new(seen.hash.finalize().into()), newest: seen.newest })
}

struct Seen {
    hash: Sha256,
    newest: Nanos,
}

impl Seen {
    fn take(&mut self, found: &Facts) {
        self.newest = self.newest.max(found.changed);
        self.hash.update(format!("{found:?}\n"));
    }
}

fn list(dir: BorrowedFd<'_>, left: usize, seen: &mut Seen) -> io::Result<()> {
    let most = usize::try_from(COPY_ENTRIES).unwrap_or(usize::MAX);
    for name in some_names(dir, most)? {
        let Some(found) = facts(dir, &name)? else { continue };
        seen.hash.update(format!("{name:?} "));
        seen.take(&found);
        if found.kind != FileType::Directory || left == 0 {
            continue;
        }
        match open_dir(dir, &name) {
            Ok(inner) => list(inner.as_fd(), left - 1, seen)?,
            // The next look finds it as it is then.
            Err(error) if is_moving(&error) => seen.hash.update("gone\n"),
            // What nobody may look into is compared by its own times alone.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
        seen.hash.update("end\n");
    }
    Ok(())
}

/// What comes of looking at something that is just being changed.
pub(crate) fn is_moving(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE | Errno::AGAIN))
        || error.kind() == io::ErrorKind::InvalidInput
        || error.kind() == io::ErrorKind::FileTooLarge
}
