//! Snapshots of guests that have booted and know nothing yet: kept between cells, and believed only when nothing differs.
//!
//! A snapshot is named after everything it depends on: the machine, the program that is the machine, and each file that the
//! guest was made of. It holds no cell's files, arguments or environment, because it is taken before any arrives.

use std::{
    collections::HashSet,
    fmt, fs,
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};

use crate::tools;

/// Bytes of one snapshot. Stops a guest from filling the disk; past it none is kept. A guest has about 100 MiB.
const SNAPSHOT_BYTES_MAX: u64 = 512 << 20;
/// Snapshots that are kept, one for each shape of a machine. Stops many contracts from filling the disk; past it the
/// oldest goes.
const SNAPSHOTS_MAX: usize = 8;
/// How long one is used. What a kernel drew at its start (its address layout, the keys of its hash tables) is the same in
/// all guests of a snapshot; past it the next guest boots and is the new one.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes copied at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Ends of the names: of a snapshot, and of the note that its digest was right.
const SUFFIX: &str = "guest";
const NOTE_SUFFIX: &str = "verified";
const MAGIC: &[u8; 16] = b"cella guest v1\n\0";
/// Magic, length of the stream, its digest.
const HEAD_BYTES: u64 = 16 + 8 + 32;

/// Where snapshots are kept.
#[derive(Clone, Debug)]
pub(super) struct Store {
    dir: PathBuf,
    /// Shapes of which one is being taken by this node.
    taking: Arc<Mutex<HashSet<Shape>>>,
}

/// Everything a snapshot depends on, as a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape(String);

/// A snapshot that may be woken.
#[derive(Debug)]
pub(super) struct Stored {
    /// At the stream's beginning.
    pub(super) file: fs::File,
}

/// A snapshot that is being taken. Dropped before it is whole, it is gone.
pub(super) struct Taking {
    store: Store,
    shape: Shape,
    file: Option<tempfile::NamedTempFile>,
}

/// One that was written down, of which nobody knows yet that the machine had sent everything. Dropped, it is gone.
pub(super) struct Written {
    taking: Taking,
    file: tempfile::NamedTempFile,
}

// === impl Shape ===

impl Shape {
    pub(super) fn of(material: &str) -> Self {
        Self(Sha256::digest(material.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Store ===

impl Store {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, taking: Arc::default() }
    }

    /// Of this user, in the usual place.
    pub(super) fn of_user() -> Option<Self> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(Self::new(cache.join("cella/guests")))
    }

    /// The snapshot of this shape, if there is one that can be believed. Blocks.
    pub(super) fn find(&self, shape: &Shape) -> Option<Stored> {
        match self.open(shape) {
            Ok(stored) => Some(stored),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, %shape, "a guest's snapshot is not used");
                self.reject(shape);
                None
            }
        }
    }

    fn open(&self, shape: &Shape) -> io::Result<Stored> {
        let refused = |why: &str| io::Error::other(why.to_owned());
        let dir = fs::symlink_metadata(&self.dir)?;
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(self.path(shape))?;
        let metadata = file.metadata()?;
        if !(metadata.is_file() && own(&metadata) && own(&dir)) {
            return Err(refused("somebody else could have written it"));
        }
        if SystemTime::now().duration_since(metadata.modified()?).is_ok_and(|age| age > AGE_MAX) {
            return Err(refused("it is too old"));
        }
        let (length, digest) = head(&mut file)?;
        if length > SNAPSHOT_BYTES_MAX || metadata.len() != HEAD_BYTES + length {
            return Err(refused("its length is wrong"));
        }
        let identity = identity(&metadata);
        if fs::read_to_string(self.note(shape)).ok().as_deref() != Some(&identity) {
            if digest_of(&mut file)? != digest {
                return Err(refused("its digest is wrong"));
            }
            file.seek(io::SeekFrom::Start(HEAD_BYTES))?;
            self.verified(shape, &identity);
        }
        Ok(Stored { file })
    }

    /// Removes a snapshot that did not wake.
    pub(super) fn reject(&self, shape: &Shape) {
        let _not_there = fs::remove_file(self.path(shape));
        let _not_there = fs::remove_file(self.note(shape));
    }

    /// Begins to take one, unless somebody is at it or there is no place. Blocks.
    pub(super) fn take(&self, shape: &Shape) -> Option<Taking> {
        if !self.taking().insert(shape.clone()) {
            return None;
        }
        let mut taking = Taking { store: self.clone(), shape: shape.clone(), file: None };
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&self.dir);
        let usable =
            made.and_then(|()| fs::symlink_metadata(&self.dir)).is_ok_and(|dir| dir.is_dir() && own(&dir));
        if !usable {
            tracing::debug!(dir = %self.dir.display(), "no place for snapshots of guests");
            return None;
        }
        self.tidy();
        taking.file = self.unfinished().ok();
        taking.file.is_some().then_some(taking)
    }

    fn unfinished(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new().prefix(&tools::marked(tools::TAKING_PREFIX)).tempfile_in(&self.dir)
    }

    fn path(&self, shape: &Shape) -> PathBuf {
        self.dir.join(format!("{shape}.{SUFFIX}"))
    }

    /// Which version of the file had the right digest. Reading 100 MB takes longer than waking; any change since would show.
    fn note(&self, shape: &Shape) -> PathBuf {
        self.dir.join(format!("{shape}.{NOTE_SUFFIX}"))
    }

    fn verified(&self, shape: &Shape, identity: &str) {
        // Not noted, it is read again.
        let noted = self.unfinished().and_then(|mut file| {
            file.write_all(identity.as_bytes())?;
            file.persist(self.note(shape)).map_err(|error| error.error)
        });
        drop(noted);
    }

    fn taking(&self) -> std::sync::MutexGuard<'_, HashSet<Shape>> {
        self.taking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what is too old or too many, and what a node that is gone left half taken. What has another name is not ours.
    fn tidy(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
        for path in entries.map(|entry| entry.path()) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let Ok(modified) = fs::symlink_metadata(&path).and_then(|file| file.modified()) else { continue };
            let old = SystemTime::now().duration_since(modified).is_ok_and(|age| age > AGE_MAX);
            let gone = match of_a_shape(name) {
                Some(SUFFIX) if !old => {
                    kept.push((modified, path));
                    continue;
                }
                Some(NOTE_SUFFIX) => old || !path.with_extension(SUFFIX).exists(),
                Some(_) => old,
                // Half a one may be somebody's who is at it just now.
                None => tools::is_stale(name),
            };
            if gone {
                drop(fs::remove_file(path));
            }
        }
        kept.sort();
        let too_many = kept.len().saturating_sub(SNAPSHOTS_MAX);
        kept.iter().take(too_many).for_each(|(_, path)| drop(fs::remove_file(path)));
    }
}

// === impl Taking ===

impl Taking {
    /// Writes down what the machine sends. A stream that breaks looks like one that ends. Blocks.
    pub(super) fn write(mut self, mut stream: impl Read) -> io::Result<Written> {
        let mut file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        let (mut length, mut digest, mut chunk) = (0_u64, Sha256::new(), vec![0; CHUNK_BYTES]);
        file.write_all(&[0; HEAD_BYTES as usize])?;
        loop {
            let count = stream.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            length += count as u64;
            if length > SNAPSHOT_BYTES_MAX {
                return Err(io::Error::other("a snapshot of more bytes than one may have"));
            }
            digest.update(&chunk[..count]);
            file.write_all(&chunk[..count])?;
        }
        file.seek(io::SeekFrom::Start(0))?;
        file.write_all(&[&MAGIC[..], &length.to_le_bytes(), &digest.finalize()].concat())?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(Written { taking: self, file })
    }
}

// === impl Written ===

impl Written {
    /// For who was told that it is whole. Blocks.
    pub(super) fn keep(self) -> io::Result<()> {
        let Taking { store, shape, .. } = &self.taking;
        let file = self.file.persist(store.path(shape)).map_err(|error| error.error)?;
        store.verified(shape, &identity(&file.metadata()?));
        store.tidy();
        Ok(())
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.store.taking().remove(&self.shape);
    }
}

// === free functions ===

/// The end of a name that begins with a shape.
fn of_a_shape(name: &str) -> Option<&'static str> {
    let (shape, end) = name.split_once('.')?;
    let digest = shape.len() == 64 && shape.bytes().all(|byte| byte.is_ascii_hexdigit());
    [SUFFIX, NOTE_SUFFIX].into_iter().find(|suffix| digest && *suffix == end)
}

/// What tells one version of a file from every other without reading it: nobody but the kernel sets the time of the last change.
pub(super) fn identity(metadata: &fs::Metadata) -> String {
    let of = metadata;
    format!(
        "{} {} {} {}.{} {}.{}",
        of.dev(),
        of.ino(),
        of.len(),
        of.mtime(),
        of.mtime_nsec(),
        of.ctime(),
        of.ctime_nsec()
    )
}

/// The same of the file at a path, with its name.
pub(super) fn identity_of(path: &Path) -> io::Result<String> {
    Ok(format!("{} {}", path.display(), identity(&fs::metadata(path)?)))
}

/// Whether nobody but this user (and root) can change it.
fn own(metadata: &fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

fn head(file: &mut fs::File) -> io::Result<(u64, [u8; 32])> {
    let (mut magic, mut length, mut digest) = ([0; 16], [0; 8], [0; 32]);
    file.read_exact(&mut magic)?;
    file.read_exact(&mut length)?;
    file.read_exact(&mut digest)?;
    if &magic != MAGIC {
        return Err(io::Error::other("it is no snapshot"));
    }
    Ok((u64::from_le_bytes(length), digest))
}

fn digest_of(stream: &mut impl Read) -> io::Result<[u8; 32]> {
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(digest.finalize().into()),
            count => digest.update(&chunk[..count]),
        }
    }
}

#[cfg(test)]
mod tests;
