//! Lists of servers on disk, so that clients see every tool before a single server has started.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use cella_catalog::{ListKey, ListStore};
use serde_json::Value;

use crate::Places;

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

/// The tools of a server with the first line of what they do, as it listed them last; without a node and without asking
/// the server.
#[must_use]
pub fn known_tools(places: &Places, server: &str) -> Vec<(String, Option<String>)> {
    let files = fs::read_dir(places.lists()).into_iter().flatten().flatten().map(|entry| entry.path());
    let of_server = |path: &PathBuf| {
        let name = path.file_stem().and_then(|n| n.to_str()).and_then(|n| n.rsplit_once('-'));
        name.is_some_and(|(of, _)| of == server)
    };
    let texts = files.filter(of_server).filter_map(|path| fs::read_to_string(path).ok());
    let lists = texts.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
    let mut tools: Vec<(String, Option<String>)> = lists.flat_map(|lists| named(&lists)).collect();
    tools.sort();
    tools.dedup();
    tools
}

fn named(lists: &Value) -> Vec<(String, Option<String>)> {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let pages = array(&lists["lists"]).into_iter().flat_map(|list| array(&list["pages"]));
    let tools = pages.flat_map(|page| array(&page["result"]["tools"]));
    tools
        .filter_map(|tool| {
            let line = tool["description"].as_str().and_then(|text| text.lines().next()).map(str::to_owned);
            Some((tool["name"].as_str()?.to_owned(), line))
        })
        .collect()
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
