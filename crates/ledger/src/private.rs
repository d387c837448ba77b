//! Files and directories that nobody but their owner can read, whatever the directory around them or the umask allow:
//! payloads are arguments and answers in the clear. What is there already and can be read by others, because it was
//! copied or made by something else, is closed to them when it is opened.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crate::StoreError;

/// Of files that are made.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Of directories that are made.
pub(crate) const DIR_MODE: u32 = 0o700;

/// Opens a file for reading and writing, making it when it is absent.
pub(crate) fn open_file(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(StoreError::file("opening", path))?;
    tighten(path, FILE_MODE);
    Ok(file)
}

/// Takes from others what they may do with a file or directory of ours, if it is there. One that belongs to somebody else
/// is used as it is: refusing would take the ledger away and hide nothing that was not open already.
pub(crate) fn tighten(path: &Path, mode: u32) {
    let tightened = || -> io::Result<()> {
        let now = fs::symlink_metadata(path)?;
        // The link's target may be anything; what is opened through it is not ours to change.
        if now.is_symlink() || now.permissions().mode() & 0o077 == 0 {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    match tightened() {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, file = %path.display(), "others can read this; run chmod go= on it");
        }
        _ => {}
    }
}

/// Makes a file, or empties the one that is there.
pub(crate) fn create_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(StoreError::file("creating", path))
}

/// Makes a directory and those above it; one that is there stays as it is.
pub(crate) fn make_dir(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path).map_err(StoreError::file("creating", path))
}
