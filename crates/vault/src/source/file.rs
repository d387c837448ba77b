//! The key in a file: for machines without a keyring, and for operators who mount one.

use std::{fs::File, io, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

use zeroize::Zeroizing;

use crate::{
    SourceKind, VaultError,
    file::{beside, check_private, failed, make_dir, sync_dir},
    key::{Key, system_random},
    limits::KEY_TEXT_BYTES_MAX,
};

/// The key that is there. The file beside the vault must be the owner's alone. One that the user named may be readable for
/// others, as orchestrators mount them, but not writable: who can write it could exchange the vault with it.
pub(super) fn read(path: &Path, named: bool) -> Result<Key, VaultError> {
    let kind = SourceKind::File;
    let file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            VaultError::NoKey { kind, why: format!("{} is not there", path.display()) }
        }
        _ => failed("opening", path)(e),
    })?;
    let about = file.metadata().map_err(failed("looking at", path))?;
    if !named {
        check_private(path, &about)?;
    } else if about.mode() & 0o022 != 0 {
        return Err(VaultError::Exposed {
            path: path.to_owned(),
            how: format!("can be written by other users (mode {:o})", about.mode() & 0o777),
            fix: format!("chmod go-w {}", path.display()),
        });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(KEY_TEXT_BYTES_MAX).read_to_end(&mut text).map_err(failed("reading", path))?;
    Key::parse(&text).ok_or_else(|| VaultError::KeyText { kind, place: path.display().to_string() })
}

/// The key that is there, or a new one. Called under the vault's lock. Written beside its place and then linked into it, so
/// that the file is there whole or not at all: half a key would be a vault that nobody can open.
pub(super) fn make(path: &Path, named: bool) -> Result<Key, VaultError> {
    match read(path, named) {
        Err(VaultError::NoKey { .. }) => {}
        other => return other,
    }
    make_dir(path)?;
    let key = Key::fresh(&mut system_random)?;
    let fresh = beside(path, &format!("{}.new", std::process::id()));
    let text = Zeroizing::new(format!("{}\n", &*key.hex()));
    let made = crate::file::create(&fresh, text.as_bytes())
        // Two vaults may share a named key; of two that start at once, the second takes the first one's.
        .and_then(|()| match std::fs::hard_link(&fresh, path) {
            Ok(()) => sync_dir(path).map(|()| None),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => read(path, named).map(Some),
            Err(e) => Err(failed("making", path)(e)),
        });
    let _best_effort = std::fs::remove_file(&fresh);
    Ok(made?.unwrap_or(key))
}
