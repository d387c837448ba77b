//! Files and directories that nobody but their owner can read, whatever the directory around them or the umask allow:
//! payloads are arguments and answers in the clear.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::StoreError;

/// Of files that are made.
const FILE_MODE: u32 = 0o600;

/// Of directories that are made.
const DIR_MODE: u32 = 0o700;

/// Opens a file for reading and writing, making it when it is absent.
pub(crate) fn open_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(StoreError::file("opening", path))
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
