//! Files that hold a secret of the node: created once, readable by their owner only.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// A file of the node cannot be made or read.
pub const UNUSABLE_FILE: &str = "CE4102";

/// Random bytes behind a token or key: 256 bits, beyond guessing.
const SECRET_BYTES: usize = 32;

/// Shortest secret that is taken, in characters: 128 bits in hexadecimal. Stops a token that can be guessed.
const SECRET_CHARS_MIN: usize = 32;

/// What is wrong with a secret's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It is there and cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is not there and cannot be made.
    #[error("it cannot be made: {0}")]
    Unmakeable(io::Error),
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// It could be guessed.
    #[error("the secret in it has {0} characters, and at least {SECRET_CHARS_MIN} are needed")]
    Short(usize),
    /// No client could send it as it is.
    #[error("the secret in it has blanks, control characters or letters beyond ASCII")]
    Odd,
}

impl SecretError {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) | Self::Unmakeable(_) => UNUSABLE_FILE,
            Self::Empty | Self::Short(_) | Self::Odd => "CE4116",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self, path: &Path) -> String {
        let shown = path.display();
        match self {
            Self::Unreadable(e) if e.kind() == io::ErrorKind::IsADirectory => {
                format!("{shown} is a directory; name a file")
            }
            Self::Unreadable(e) if e.kind() == io::ErrorKind::InvalidData => {
                format!("{shown} is not a text; name another file, or delete it to get a new secret")
            }
            Self::Unreadable(_) => format!("make {shown} readable for the user of the node"),
            Self::Unmakeable(e) => unwritten(path.parent().unwrap_or(path), e),
            Self::Empty => format!("delete {shown} to get a new secret, or write one into it"),
            Self::Short(_) | Self::Odd => format!(
                "delete {shown} to get a new secret, or write {SECRET_CHARS_MIN} or more random letters and digits \
                 into it: openssl rand -hex 32"
            ),
        }
    }
}

/// What to do about a place that takes no files.
#[must_use]
pub fn unwritten(path: &Path, source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return "that file system is read-only; name a directory that can be written in XDG_STATE_HOME"
            .into();
    }
    format!(
        "make {} writable for the user of the node, or name another directory in XDG_STATE_HOME",
        path.display()
    )
}

/// Makes a directory (and those above it) that only its owner can enter.
///
/// # Errors
/// It cannot be made.
pub fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The secret in `path`, as 64 hexadecimal digits or what the operator wrote there; a new one if there is no file.
///
/// A file that others can read is used, with a warning in the log: refusing would lock out operators whose secrets are
/// mounted by an orchestrator, and keep nobody out who has read it already.
///
/// # Errors
/// The file cannot be read or made, or what it holds is no secret.
pub fn read_or_create(path: &Path) -> Result<String, SecretError> {
    match fs::read_to_string(path) {
        Ok(text) => checked(path, &text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(path),
        Err(e) => Err(SecretError::Unreadable(e)),
    }
}

/// Random bytes from the operating system.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(bytes)
}

fn create(path: &Path) -> Result<String, SecretError> {
    let made = write_new(path).map_err(SecretError::Unmakeable)?;
    match made {
        Some(secret) => Ok(secret),
        None => checked(path, &fs::read_to_string(path).map_err(SecretError::Unreadable)?),
    }
}

/// A new secret in a new file; nothing when somebody has made the file meanwhile.
fn write_new(path: &Path) -> io::Result<Option<String>> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        private_dir(dir)?;
    }
    let secret: String = random::<SECRET_BYTES>()?.iter().map(|b| format!("{b:02x}")).collect();
    // create_new: of two nodes starting at once one makes the file and the other reads it.
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(secret.as_bytes())?;
            file.sync_all()?;
            Ok(Some(secret))
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(e) => Err(e),
    }
}

fn checked(path: &Path, text: &str) -> Result<String, SecretError> {
    let mode = fs::metadata(path).map_err(SecretError::Unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), mode = format!("{:o}", mode & 0o777), "others can read this secret; run chmod 600");
    }
    let secret = text.trim();
    match secret.chars().count() {
        0 => Err(SecretError::Empty),
        // What goes into a header is one word of printable ASCII.
        _ if !secret.bytes().all(|b| b.is_ascii_graphic()) => Err(SecretError::Odd),
        count if count < SECRET_CHARS_MIN => Err(SecretError::Short(count)),
        _ => Ok(secret.to_owned()),
    }
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
    fn what_is_no_secret_is_refused_with_the_remedy_for_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let refused = |text: &str| {
            fs::write(&path, text).expect("written");
            let error = read_or_create(&path).expect_err("refused");
            (error.to_string(), error.fix(&path))
        };
        let (said, fix) = refused("\n");
        assert!(said.contains("empty") && fix.contains("delete"), "{said} {fix}");
        assert!(refused("short\n").0.contains("5 characters"));
        assert!(refused(&format!("{0} {0}\n", "a".repeat(32))).0.contains("blanks"));
        fs::write(&path, format!("{}\n", "a".repeat(32))).expect("written");
        assert_eq!(read_or_create(&path).expect("taken").len(), 32);
    }

    #[test]
    fn a_directory_is_no_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = read_or_create(dir.path()).expect_err("refused");
        assert!(error.fix(dir.path()).contains("name a file"), "{error}");
    }
}
