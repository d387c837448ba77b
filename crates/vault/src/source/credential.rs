//! The key as systemd gives it to a service: a file in memory that only the service can read.

use std::{fs::File, io, io::Read as _, path::Path};

use zeroize::Zeroizing;

use crate::{SourceKind, VaultError, file::failed, key::Key, limits::KEY_TEXT_BYTES_MAX};

/// The key that is there. Who may read the file is systemd's to see to.
pub(super) fn read(path: &Path) -> Result<Key, VaultError> {
    let kind = SourceKind::Credential;
    if path.as_os_str().is_empty() {
        return Err(VaultError::NoKey {
            kind,
            why: "CREDENTIALS_DIRECTORY is not set, as a unit sets it".into(),
        });
    }
    let mut text = Zeroizing::new(Vec::new());
    match File::open(path) {
        Ok(file) => {
            file.take(KEY_TEXT_BYTES_MAX).read_to_end(&mut text).map_err(failed("reading", path))?;
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(VaultError::NoKey { kind, why: format!("{} is not there", path.display()) });
        }
        Err(e) => return Err(failed("opening", path)(e)),
    }
    Key::parse(&text).ok_or_else(|| VaultError::KeyText { kind, place: path.display().to_string() })
}
