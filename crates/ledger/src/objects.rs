//! Large payloads: one file each, named by the SHA-256 of its bytes. A file appears under its name only after its bytes
//! are on the disk, and before the event that commits to it.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest as _, Sha256};

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
    address: Hash,
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
    pub(crate) fn stage(&self, bytes: &[u8]) -> Result<Staged, StoreError> {
        let address = Hash::from_bytes(Sha256::digest(bytes).into());
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let temporary = self.incoming().join(number.to_string());
        let mut file = File::create(&temporary).map_err(StoreError::file("creating", &temporary))?;
        let staged =
            |file| Staged { file, temporary, place: self.place(&address), address, bytes: bytes.len() };
        let written = file.write_all(bytes);
        let staged = staged(file);
        written.map_err(StoreError::file("writing", &staged.temporary))?;
        Ok(staged)
    }

    /// The bytes at an address; `None` when there are none.
    pub(crate) fn read(&self, address: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let place = self.place(address);
        match fs::read(&place) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::file("reading", &place)(e)),
        }
    }

    fn incoming(&self) -> PathBuf {
        self.dir.join("incoming")
    }

    fn place(&self, address: &Hash) -> PathBuf {
        let name = address.to_string();
        self.dir.join(&name[..2]).join(&name[2..])
    }
}

// === impl Staged ===

impl Staged {
    pub(crate) const fn address(&self) -> &Hash {
        &self.address
    }

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
