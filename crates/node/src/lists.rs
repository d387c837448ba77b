//! Lists of servers on disk, so that clients see every tool before a single server has started.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use cella_catalog::{ListKey, ListStore};

/// A directory with one file per server.
#[derive(Debug)]
pub(crate) struct ListFiles {
    dir: PathBuf,
}

impl ListFiles {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The file of a key; the digest in its name makes a changed server start anew.
    fn file(&self, key: &ListKey) -> PathBuf {
        let digest: String = key.digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        self.dir.join(format!("{}-{digest}.json", key.server))
    }
}

impl ListStore for ListFiles {
    fn load(&self, key: &ListKey) -> Option<Vec<u8>> {
        fs::read(self.file(key)).ok()
    }

    fn save(&self, key: &ListKey, bytes: &[u8]) {
        if let Err(error) = save(&self.dir, &self.file(key), bytes) {
            tracing::warn!(%error, server = %key.server, "the list cannot be kept for the next start");
        }
    }
}

fn save(dir: &Path, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    // Lists of one server under older configurations are of no more use.
    let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let server = name.rsplit_once('-').map_or(name, |(server, _)| server);
    for entry in fs::read_dir(dir)?.flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        if other != name && other.rsplit_once('-').is_some_and(|(of, _)| of == server) {
            let _gone_already = fs::remove_file(entry.path());
        }
    }
    let fresh = file.with_extension("new");
    let mut out = fs::File::create(&fresh)?;
    out.write_all(bytes)?;
    fs::rename(&fresh, file)
}
