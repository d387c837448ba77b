//! Knowing a directory of installed files again: cheaply at each start, completely when something looks different.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of a file read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What a directory held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// `sha256:HEX` over the path, kind and content of everything.
    pub digest: String,
    /// `sha256:HEX` over path, kind, size and times of everything: as long as it is the same, nobody has written there.
    pub index: String,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One thing in the directory.
struct Entry {
    path: PathBuf,
    meta: fs::Metadata,
}

// === impl Tree ===

impl Tree {
    /// Reads all of it, but the files of that name at its top.
    pub fn read(dir: &Path, but: &str) -> io::Result<Self> {
        let entries = entries(dir, but)?;
        let mut content = Sha256::new();
        let (mut files, mut bytes) = (0, 0);
        for Entry { path, meta } in &entries {
            add_path(&mut content, path);
            let full = dir.join(path);
            if meta.is_file() {
                files += 1;
                bytes += meta.len();
                content.update(if meta.mode() & 0o111 == 0 { b"f" } else { b"x" });
                content.update(of_file(&full)?.finalize());
            } else if meta.is_symlink() {
                content.update(b"l");
                add_path(&mut content, &fs::read_link(&full)?);
            } else {
                content.update(b"d");
            }
        }
        Ok(Self { digest: hex(content), index: index(&entries), files, bytes })
    }

    /// Whether nobody has written there since: looks at the names and times of everything, at the content of nothing.
    pub fn looks_unchanged(&self, dir: &Path, but: &str) -> io::Result<bool> {
        Ok(index(&entries(dir, but)?) == self.index)
    }
}

/// A file's content, hashed as it is read: an archive may be larger than this process should become.
pub fn of_file(path: &Path) -> io::Result<Sha256> {
    let (mut file, mut hash) = (fs::File::open(path)?, Sha256::new());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hash),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// Bytes of all files below; what goes away meanwhile does not count.
pub fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, meta)| if meta.is_dir() { bytes_below(&path) } else { meta.len() })
        .fold(0, u64::saturating_add)
}

/// Everything below, sorted by path.
fn entries(dir: &Path, but: &str) -> io::Result<Vec<Entry>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(within) = open.pop() {
        for entry in fs::read_dir(dir.join(&within))? {
            let entry = entry?;
            let path = within.join(entry.file_name());
            let meta = entry.metadata()?;
            if path == Path::new(but) {
                continue;
            }
            if meta.is_dir() {
                open.push(path.clone());
            }
            found.push(Entry { path, meta });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The time of change is not at the disposal of who writes a file, as that of modification is. A directory's times say
/// nothing that its entries do not, but change when what is left out is written.
fn index(entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    for Entry { path, meta } in entries {
        add_path(&mut hash, path);
        hash.update(meta.mode().to_le_bytes());
        if !meta.is_dir() {
            let facts = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
            hash.update(meta.len().to_le_bytes());
            facts.iter().for_each(|fact| hash.update(fact.to_le_bytes()));
        }
    }
    hex(hash)
}

fn add_path(hash: &mut Sha256, path: &Path) {
    let bytes = path.as_os_str().as_encoded_bytes();
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// `sha256:HEX`
pub fn hex(hash: Sha256) -> String {
    let digits: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_seen_and_a_copy_of_the_same_is_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("bin")).expect("a directory");
        fs::write(at("bin/a"), "one").expect("a file");
        fs::write(at("mark"), "left out").expect("a file");
        let tree = Tree::read(dir.path(), "mark").expect("read");
        assert_eq!((tree.files, tree.bytes), (1, 3));
        fs::write(at("mark"), "other").expect("a file");
        assert!(tree.looks_unchanged(dir.path(), "mark").expect("read"));

        fs::write(at("bin/a"), "two").expect("a file");
        assert!(
            !tree.looks_unchanged(dir.path(), "mark").expect("read"),
            "same size, another time of change"
        );
        assert_ne!(Tree::read(dir.path(), "mark").expect("read").digest, tree.digest);
        fs::write(at("bin/a"), "one").expect("a file");
        assert!(!tree.looks_unchanged(dir.path(), "mark").expect("read"));
        assert_eq!(Tree::read(dir.path(), "mark").expect("read").digest, tree.digest);
        std::os::unix::fs::symlink("a", at("bin/b")).expect("a link");
        assert_ne!(Tree::read(dir.path(), "mark").expect("read").digest, tree.digest);
    }
}
