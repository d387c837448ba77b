//! The file on the disk: only its owner's, exchanged in one step, written by one process at a time.

use std::{
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    VaultError,
    limits::{LOCK_WAIT_MAX, VAULT_BYTES_MAX},
};

/// Of files that are made.
const FILE_MODE: u32 = 0o600;

/// Of directories that are made.
const DIR_MODE: u32 = 0o700;

/// How often a lock that is held is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The right to write a vault. The kernel drops it with its holder, however that died.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

// === impl Lock ===

impl Lock {
    /// Waits until nobody else writes.
    pub(crate) fn take(vault: &Path) -> Result<Self, VaultError> {
        Self::take_within(vault, LOCK_WAIT_MAX)
    }

    fn take_within(vault: &Path, most: Duration) -> Result<Self, VaultError> {
        make_dir(vault)?;
        let path = beside(vault, "lock");
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        let file = open.map_err(failed("opening", &path))?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(e)) => return Err(failed("locking", &path)(e)),
                Err(TryLockError::WouldBlock) if since.elapsed() > most => {
                    return Err(VaultError::Busy { path: vault.to_owned() });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            }
        }
    }
}

/// The bytes of a vault; nothing where there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, VaultError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("opening", path)(e)),
    };
    let about = file.metadata().map_err(failed("looking at", path))?;
    if !about.is_file() || about.len() > VAULT_BYTES_MAX as u64 {
        return Err(VaultError::Foreign { path: path.to_owned() });
    }
    check_private(path, &about)?;
    let mut bytes = Vec::new();
    file.take(VAULT_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(failed("reading", path))?;
    Ok(Some(bytes))
}

/// Puts a text in the place of a file, only for its owner, durably and in one step: whoever reads sees the old text or the
/// new one, after a loss of power too.
pub(crate) fn replace(path: &Path, text: &[u8]) -> Result<(), VaultError> {
    let fresh = beside(path, "new");
    // Left by a writer that was killed; the lock says that it is nobody's now.
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("removing", &fresh)(e)),
        _ => {}
    }
    create(&fresh, text)?;
    fs::rename(&fresh, path).map_err(failed("replacing", path))?;
    sync_dir(path)
}

/// A new file that only its owner can read, on the disk when this returns.
pub(crate) fn create(path: &Path, text: &[u8]) -> Result<(), VaultError> {
    let open = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    let mut file = open.map_err(failed("making", path))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(failed("writing", path))
}

/// Makes the name of a new file durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), VaultError> {
    let dir = parent(path);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("writing", dir))
}

/// Makes the directory of a file, for its owner only; one that is there stays as it is.
pub(crate) fn make_dir(path: &Path) -> Result<(), VaultError> {
    let dir = parent(path);
    fs::DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).map_err(failed("making", dir))
}

/// Refuses a file that is another user's, or that others can read or write: it may be anybody's work.
pub(crate) fn check_private(path: &Path, about: &Metadata) -> Result<(), VaultError> {
    check_owner(path, about)?;
    let mode = about.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(VaultError::Exposed {
        path: path.to_owned(),
        how: format!("can be reached by other users (mode {mode:o})"),
        fix: format!("chmod 600 {}", path.display()),
    })
}

/// Refuses a file of another user. The administrator's would do, but then it could not be written.
fn check_owner(path: &Path, about: &Metadata) -> Result<(), VaultError> {
    let me = rustix::process::geteuid().as_raw();
    if about.uid() == me {
        return Ok(());
    }
    Err(VaultError::Exposed {
        path: path.to_owned(),
        how: format!("belongs to the user {}, and this runs as {me}", about.uid()),
        fix: "run this as the user it belongs to".into(),
    })
}

/// A file beside the vault.
pub(crate) fn beside(vault: &Path, ending: &str) -> PathBuf {
    let mut name = vault.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// The error for what the system refused.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    move |error| VaultError::File { doing, path: path.to_owned(), error }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writes_and_the_next_is_told_who_hangs() {
        let dir = tempfile::tempdir().expect("a directory");
        let vault = dir.path().join("vault");
        let held = Lock::take(&vault).expect("taken");
        assert_eq!(Lock::take_within(&vault, Duration::ZERO).expect_err("refused").code(), "CE2411");
        drop(held);
        Lock::take_within(&vault, Duration::ZERO).expect("taken again");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let about = fs::metadata("/proc/1/environ").or_else(|_| fs::metadata("/etc/passwd")).expect("there");
        let mine = rustix::process::geteuid().as_raw() == about.uid();
        assert_eq!(check_owner(Path::new("x"), &about).is_ok(), mine);
    }

    #[test]
    fn what_is_replaced_is_whole_and_private_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("vault");
        for text in [&b"one"[..], b"two"] {
            replace(&path, text).expect("replaced");
            assert_eq!(fs::read(&path).expect("read"), text);
        }
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, FILE_MODE);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
