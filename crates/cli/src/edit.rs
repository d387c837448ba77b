//! Changing other programs' files: shown first, backed up, exchanged in one step, and undone on request.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One change, as the backup folder remembers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Whose file.
    pub(crate) client: String,
    /// The file that was changed.
    pub(crate) file: PathBuf,
    /// The copy of what it held; `None` when it did not exist.
    pub(crate) backup: Option<PathBuf>,
    /// SHA-256 of what was written, to see whether somebody else wrote since.
    pub(crate) written: String,
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// The client's own entries that were taken out, each as the keys that lead to it. Lists written before Cella took
    /// any out have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) taken: Vec<Vec<String>>,
}

/// Where backups and their list are kept.
#[derive(Debug)]
pub(crate) struct Backups {
    dir: PathBuf,
}

// === impl Backups ===

impl Backups {
    pub(crate) fn new(state: &Path) -> Self {
        Self { dir: state.join("client-backups") }
    }

    /// Writes `text`, which lacks the entries `taken`, to `file`, keeping what it held.
    pub(crate) fn write(
        &self,
        client: &str,
        file: &Path,
        text: &str,
        taken: Vec<Vec<String>>,
    ) -> io::Result<Change> {
        fs::create_dir_all(&self.dir)?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700))?;
        let at =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let backup = match fs::read(file) {
            Ok(bytes) => {
                let copy = self.free_name(client, at);
                fs::write(&copy, bytes)?;
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))?;
                Some(copy)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let change = Change {
            client: client.to_owned(),
            file: file.to_path_buf(),
            backup,
            written: digest(text.as_bytes()),
            at,
            taken,
        };
        // The note comes first: a change that cannot be undone must not be made.
        let mut changes = self.list()?;
        changes.push(change.clone());
        self.save(&changes)?;
        exchange(file, text.as_bytes())?;
        Ok(change)
    }

    /// Changes that were not undone, oldest first. A list that cannot be read is an error and never an empty one: the
    /// next change would write over it, and nothing could be undone any more.
    pub(crate) fn list(&self) -> io::Result<Vec<Change>> {
        match fs::read_to_string(self.file()) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// The list's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("changes.json")
    }

    /// Forgets the changes of a client, after they were undone.
    pub(crate) fn forget(&self, client: &str) -> io::Result<()> {
        let kept: Vec<Change> = self.list()?.into_iter().filter(|c| c.client != client).collect();
        self.save(&kept)
    }

    fn save(&self, changes: &[Change]) -> io::Result<()> {
        exchange(&self.file(), serde_json::to_string_pretty(changes)?.as_bytes())
    }

    fn free_name(&self, client: &str, at: u64) -> PathBuf {
        let name = |n: u32| self.dir.join(format!("{client}-{at}-{n}.bak"));
        (0..).map(name).find(|p| !p.exists()).unwrap_or_else(|| name(0))
    }
}

/// Hexadecimal SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Puts `content` in the place of a file's content in one step; owner and mode stay. Follows a symbolic link, so that a
/// file kept in a repository of dotfiles stays where it is.
pub(crate) fn exchange(file: &Path, content: &[u8]) -> io::Result<()> {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let dir = real.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut fresh = tempfile::NamedTempFile::new_in(dir)?;
    fresh.write_all(content)?;
    if let Ok(old) = fs::metadata(&real) {
        fresh.as_file().set_permissions(old.permissions())?;
        // Only root can give a file away; for everybody else the owner is the same already.
        let _not_root = chown(fresh.path(), Some(old.uid()), Some(old.gid()));
    }
    fresh.as_file().sync_all()?;
    fresh.persist(&real).map_err(|e| e.error)?;
    Ok(())
}

/// The difference between two texts, as `diff -u` shows it.
pub(crate) fn difference(file: &Path, before: &str, after: &str) -> String {
    let name = file.display().to_string();
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&name, &name)
        .to_string()
}

/// The difference as it may be shown: with asterisks for values that look like secrets.
pub(crate) fn masked_difference(file: &Path, before: &str, after: &str) -> String {
    let shown = difference(file, before, after);
    shown.lines().map(|line| cella_contract::masked_line(line) + "\n").collect()
}

/// Keeps a copy of a configuration that is about to be changed, for its owner only, below the node's state.
pub(crate) fn keep_copy(state: &Path, file: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let dir = state.join("config-backups");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let content = fs::read(file)?;
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut n = 0_u32;
    loop {
        let copy = dir.join(format!("cella-{at}-{n}.toml"));
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy) {
            Ok(mut kept) => {
                kept.write_all(&content)?;
                kept.sync_all()?;
                return Ok(copy);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_keeps_mode_and_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let (real, link) = (dir.path().join("real.json"), dir.path().join("link.json"));
        fs::write(&real, "old").expect("written");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        exchange(&link, b"new").expect("exchanged");
        assert_eq!(fs::read_to_string(&real).expect("read"), "new");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_change_is_remembered_with_what_was_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("mcp.json");
        fs::write(&file, "before").expect("written");
        let backups = Backups::new(dir.path());
        let change = backups.write("cursor", &file, "after", Vec::new()).expect("changed");
        assert_eq!(fs::read_to_string(change.backup.expect("kept")).expect("read"), "before");
        assert_eq!(
            (backups.list().expect("a list").len(), fs::read_to_string(&file).expect("read").as_str()),
            (1, "after")
        );
        backups.forget("cursor").expect("forgotten");
        assert!(backups.list().expect("a list").is_empty());
    }
}
