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
    beneath::{Root, facts, open_dir, some_names},
};

/// The digest of some layers. Nothing is opened but directories, and nothing is changed: a cell works there.
pub(crate) fn survey<'a>(uppers: impl IntoIterator<Item = &'a Path>) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    for upper in uppers {
        list(Root::open(upper)?.dir.as_fd(), DEPTH_MAX, &mut hash)?;
    }
    Ok(Digest::new(hash.finalize().into()))
}

fn list(dir: BorrowedFd<'_>, left: usize, hash: &mut Sha256) -> io::Result<()> {
    let most = usize::try_from(COPY_ENTRIES).unwrap_or(usize::MAX);
    for name in some_names(dir, most)? {
        let Some(found) = facts(dir, &name)? else { continue };
        hash.update(format!("{name:?} {found:?}\n"));
        if found.kind != FileType::Directory || left == 0 {
            continue;
        }
        match open_dir(dir, &name) {
            Ok(inner) => list(inner.as_fd(), left - 1, hash)?,
            // The next look finds it as it is then.
            Err(error) if is_moving(&error) => hash.update("gone\n"),
            // What nobody may look into is compared by its own times alone.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
        hash.update("end\n");
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
