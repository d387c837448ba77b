//! Files that hold a secret of the node: created once, readable by their owner only.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Random bytes behind a token or key: 256 bits, beyond guessing.
pub(crate) const SECRET_BYTES: usize = 32;

/// Makes a directory (and those above it) that only its owner can enter.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The secret in `path`, as 64 hexadecimal digits or whatever the operator wrote there; a new one if there is no file.
///
/// A file that others can read is used, with a warning in the log: refusing would lock out operators whose secrets are
/// mounted by an orchestrator, and keep nobody out who has read it already.
///
/// # Errors
/// The file cannot be read or made, or is empty.
pub(crate) fn read_or_create(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => checked(path, &text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(path),
        Err(e) => Err(e),
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(bytes)
}

fn create(path: &Path) -> io::Result<String> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        private_dir(dir)?;
    }
    let secret: String = random::<SECRET_BYTES>()?.iter().map(|b| format!("{b:02x}")).collect();
    // create_new: of two nodes starting at once one makes the file and the other reads it.
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(secret.as_bytes())?;
            file.sync_all()?;
            Ok(secret)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => checked(path, &fs::read_to_string(path)?),
        Err(e) => Err(e),
    }
}

fn checked(path: &Path, text: &str) -> io::Result<String> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), mode = format!("{:o}", mode & 0o777), "others can read this secret; run chmod 600");
    }
    let secret = text.trim();
    if secret.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty; delete it to get a new secret"));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/token");
        let first = read_or_create(&path).expect("made");
        assert_eq!(first.len(), SECRET_BYTES * 2);
        assert_eq!(read_or_create(&path).expect("read"), first);
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        fs::write(&path, "\n").expect("written");
        assert!(read_or_create(&path).expect_err("refused").to_string().contains("empty"));
    }
}
