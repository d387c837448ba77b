//! Large payloads: one file each, named by its salted digest, which the event holds. A file appears under its name only
//! after its bytes are on the disk, and before the event that commits to it. Two payloads never share a file, so that
//! one can be deleted without asking who else needs it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use cella_event::Hash;

use crate::{
    StoreError,
    private::{DIR_MODE, create_file, make_dir, tighten},
};

/// The directory of objects.
#[derive(Debug)]
pub(crate) struct Objects {
    dir: PathBuf,
    staged: AtomicU64,
    shared: Arc<Shared>,
}

/// What placing needs of the directory.
#[derive(Debug)]
struct Shared {
    disk: Box<dyn Disk>,
    /// Directories whose own names are known to be on the disk: by this process, since it started.
    confirmed: Mutex<BTreeSet<PathBuf>>,
}

/// Waiting for the disk, as a trait: a disk that fails cannot be had for a test.
trait Disk: Send + Sync + std::fmt::Debug {
    fn sync_file(&self, file: &File) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

#[derive(Debug)]
struct RealDisk;

/// Bytes written but neither synced nor named yet; its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    temporary: PathBuf,
    place: PathBuf,
    /// Kept until the commit: after a failed sync nobody knows what the file holds.
    bytes: Vec<u8>,
    progress: Progress,
    shared: Arc<Shared>,
}

/// How far the placing of one object has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Written,
    /// A sync failed. The kernel may have dropped the pages and report success the next time.
    Doubtful,
    /// Under its name, which may not be on the disk yet.
    Named,
    Durable,
}

// === impl Objects ===

impl Objects {
    pub(crate) fn new(dir: &Path) -> Self {
        Self::on(dir, Box::new(RealDisk))
    }

    fn on(dir: &Path, disk: Box<dyn Disk>) -> Self {
        let shared = Arc::new(Shared { disk, confirmed: Mutex::default() });
        Self { dir: dir.join("objects"), staged: AtomicU64::new(0), shared }
    }

    /// Makes the directory and removes what a crash left half written. Only the writer may.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        // Nobody enters, so the modes of the objects in it do not matter.
        tighten(&self.dir, DIR_MODE);
        let incoming = self.incoming();
        match fs::remove_dir_all(&incoming) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::file("clearing", &incoming)(e));
            }
            _ => {}
        }
        make_dir(&incoming)
    }

    /// Writes bytes to a temporary file. Blocking; does not wait for the disk.
    pub(crate) fn stage(&self, digest: &Hash, bytes: Vec<u8>) -> Result<Staged, StoreError> {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let temporary = self.incoming().join(number.to_string());
        let file = create_file(&temporary)?;
        let mut staged = Staged {
            file,
            temporary,
            place: self.place(digest),
            bytes,
            progress: Progress::Written,
            shared: Arc::clone(&self.shared),
        };
        staged.write()?;
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

// === impl Shared ===

impl Shared {
    fn sync(&self, dir: &Path) -> Result<(), StoreError> {
        self.disk.sync_dir(dir).map_err(StoreError::file("syncing", dir))
    }

    /// Makes the directory of an object, and its name durable, unless this process did so before. That it exists proves
    /// nothing: it may be there since an attempt whose sync failed.
    fn confirm(&self, dir: &Path) -> Result<(), StoreError> {
        let confirmed = || self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed().contains(dir) {
            return Ok(());
        }
        make_dir(dir)?;
        if let Some(parent) = dir.parent() {
            self.sync(parent)?;
        }
        confirmed().insert(dir.to_owned());
        Ok(())
    }
}

// === impl RealDisk ===

impl Disk for RealDisk {
    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir).and_then(|d| d.sync_all())
    }
}

// === impl Staged ===

impl Staged {
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Syncs the bytes and gives them their name. To be repeated after a failure until it succeeds; nothing counts as
    /// done that the disk has not confirmed.
    pub(crate) fn place(&mut self) -> Result<(), StoreError> {
        if self.progress == Progress::Doubtful {
            self.again()?;
        }
        if self.progress == Progress::Written {
            if let Err(e) = self.shared.disk.sync_file(&self.file) {
                self.progress = Progress::Doubtful;
                return Err(StoreError::file("syncing", &self.temporary)(e));
            }
            self.name()?;
        }
        if self.progress == Progress::Named {
            if let Some(parent) = self.place.parent() {
                self.shared.sync(parent)?;
            }
            self.progress = Progress::Durable;
        }
        Ok(())
    }

    fn name(&mut self) -> Result<(), StoreError> {
        if let Some(parent) = self.place.parent() {
            self.shared.confirm(parent)?;
        }
        fs::rename(&self.temporary, &self.place).map_err(StoreError::file("renaming", &self.temporary))?;
        self.progress = Progress::Named;
        Ok(())
    }

    /// Writes the bytes to another file: the old one's pages may count as clean although they never reached the disk.
    fn again(&mut self) -> Result<(), StoreError> {
        let _gone = fs::remove_file(&self.temporary);
        self.file = create_file(&self.temporary)?;
        self.write()?;
        self.progress = Progress::Written;
        Ok(())
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.file.write_all(&self.bytes).map_err(StoreError::file("writing", &self.temporary))
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
    RealDisk.sync_dir(dir).map_err(StoreError::file("syncing", dir))
}

#[cfg(test)]
mod tests;
