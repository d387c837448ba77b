//! Files and directories of the store, written whole and for this user alone.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{DIR_MODE, FILE_MODE, LOCK};
use crate::{Delta, WorkspaceError, limits::MANIFEST_BYTES_MAX};

/// The names in a directory of the store; none where it does not exist yet.
pub(super) fn listed(dir: &Path) -> Result<Vec<String>, WorkspaceError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(WorkspaceError::system(dir))?,
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// The lock of one workspace; `None` while somebody else has it, or when it was removed while this waited for it.
pub(super) fn lock(dir: &Path) -> io::Result<Option<File>> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(FILE_MODE).open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok((file.metadata()?.nlink() > 0).then_some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a directory for this user alone, unless it is there.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
}

pub(super) fn read_delta(dir: &Path) -> Result<Delta, WorkspaceError> {
    let path = dir.join("manifest.json");
    let text = read_text(&path)?;
    Delta::parse(&text).map_err(|fault| WorkspaceError::Manifest { path, fault })
}

pub(super) fn read_text(path: &Path) -> Result<String, WorkspaceError> {
    use io::Read;
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text));
    read.map_err(WorkspaceError::system(path))?;
    Ok(text)
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, WorkspaceError> {
    let text = read_text(path)?;
    let damaged = |error: serde_json::Error| WorkspaceError::Damaged {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    serde_json::from_str(&text).map_err(damaged)
}

/// Whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), WorkspaceError> {
    let written =
        serde_json::to_vec(value).map_err(io::Error::other).and_then(|bytes| write_whole(path, &bytes));
    written.map_err(WorkspaceError::system(path))
}

pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
