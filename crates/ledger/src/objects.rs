//! Large payloads: one file each, named by its salted digest, which the event holds. A file appears under its name only
//! after its bytes are on the disk, and before the event that commits to it. Two payloads never share a file, so that
//! one can be deleted without asking who else needs it.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use cella_event::Hash;

use crate::StoreError;

/// The directory of objects.
#[derive(Debug)]
pub(crate) struct Objects {
    dir: PathBuf,
    staged: AtomicU64,
}

/// Bytes written but neither synced nor named yet; its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    temporary: PathBuf,
    place: PathBuf,
    bytes: usize,
}

// === impl Objects ===

impl Objects {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.join("objects"), staged: AtomicU64::new(0) }
    }

    /// Makes the directory and removes what a crash left half written. Only the writer may.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        let incoming = self.incoming();
        match fs::remove_dir_all(&incoming) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::file("clearing", &incoming)(e));
            }
            _ => {}
        }
        fs::create_dir_all(&incoming).map_err(StoreError::file("creating", &incoming))
    }

    /// Writes bytes to a temporary file. Blocking; does not wait for the disk.
    pub(crate) fn stage(&self, digest: &Hash, bytes: &[u8]) -> Result<Staged, StoreError> {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let temporary = self.incoming().join(number.to_string());
        let mut file = File::create(&temporary).map_err(StoreError::file("creating", &temporary))?;
        let written = file.write_all(bytes);
        let staged = Staged { file, temporary, place: self.place(digest), bytes: bytes.len() };
        written.map_err(StoreError::file("writing", &staged.temporary))?;
        Ok(staged)
    }

    /// The payload with that digest; `None` when there is none.
    pub(crate) fn read(&self, digest: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let place = self.place(digest);
        match fs::read(&place) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::file("reading", &place)(e)),
        }
    }

    /// Removes a payload; one that is not there is removed already.
    pub(crate) fn remove(&self, digest: &Hash) -> Result<(), StoreError> {
        let place = self.place(digest);
        match fs::remove_file(&place) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::file("removing", &place)(e)),
            _ => Ok(()),
        }
    }

    fn incoming(&self) -> PathBuf {
        self.dir.join("incoming")
    }

    fn place(&self, digest: &Hash) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(&name[2..])
    }
}

// === impl Staged ===

impl Staged {
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Syncs the bytes and gives them their name. Doing it again is harmless, so that a failed commit can be repeated.
    pub(crate) fn place(&self) -> Result<(), StoreError> {
        if self.place.exists() {
            return Ok(());
        }
        self.file.sync_all().map_err(StoreError::file("syncing", &self.temporary))?;
        let Some(parent) = self.place.parent() else { return Ok(()) };
        if !parent.exists() {
            fs::create_dir_all(parent).map_err(StoreError::file("creating", parent))?;
            parent.parent().map_or(Ok(()), sync_dir)?;
        }
        fs::rename(&self.temporary, &self.place).map_err(StoreError::file("renaming", &self.temporary))?;
        sync_dir(parent)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone when it was placed; else nobody names it.
        let _gone = fs::remove_file(&self.temporary);
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::file("syncing", dir))
}
