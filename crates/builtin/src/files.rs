//! `files`: reading and writing beneath given directories.

use std::path::{Component, Path, PathBuf};

use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most bytes of one file that `read_file` returns. Stops a model's context (and our memory) from being filled by one
/// call; past it the caller is told the size and to read a part.
const READ_BYTES_MAX: u64 = 1 << 20;

/// Most entries `list_directory` and `search_files` return; past it `truncated` is true.
const ENTRIES_MAX: usize = 2_000;

/// Most directories `search_files` descends; stops a walk through a whole disk.
const DEPTH_MAX: usize = 32;

/// The `files` server.
#[derive(Clone, Debug)]
pub struct Files {
    roots: Vec<PathBuf>,
    tool_router: ToolRouter<Self>,
}

/// Names one file or directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AtPath {
    /// Absolute, or relative to the first directory this server offers.
    pub path: String,
}

/// Arguments of `read_file`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ReadFile {
    /// Absolute, or relative to the first directory this server offers.
    pub path: String,
    /// First line wanted, from 1.
    pub from_line: Option<usize>,
    /// How many lines.
    pub lines: Option<usize>,
}

/// Arguments of `write_file`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WriteFile {
    /// Absolute, or relative to the first directory this server offers.
    pub path: String,
    /// The whole new content, UTF-8.
    pub content: String,
}

/// Arguments of `search_files`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SearchFiles {
    /// Where to begin; the first directory this server offers when absent.
    pub path: Option<String>,
    /// Part of the file name, case ignored.
    pub name_contains: String,
}

/// One directory entry.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// File name, or path for a search.
    pub name: String,
    /// `file`, `directory`, `link` or `other`.
    pub kind: String,
    /// Size in bytes, for files.
    pub bytes: u64,
}

/// A list of entries.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Entries {
    /// In name order.
    pub entries: Vec<Entry>,
    /// True when there are more than could be returned.
    pub truncated: bool,
}

/// The directories this server offers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Roots {
    /// Absolute paths.
    pub directories: Vec<String>,
}

#[tool_router(router = tool_router)]
impl Files {
    /// A server that offers `roots`; the working directory when there are none.
    #[must_use]
    pub fn new(mut roots: Vec<PathBuf>) -> Self {
        if roots.is_empty() {
            roots.push(PathBuf::from("."));
        }
        let roots = roots.into_iter().map(|r| std::fs::canonicalize(&r).unwrap_or(r)).collect();
        Self { roots, tool_router: Self::tool_router() }
    }

    /// Lists the directories this server may use.
    #[tool(name = "list_roots", annotations(read_only_hint = true, open_world_hint = false))]
    async fn list_roots(&self) -> Json<Roots> {
        Json(Roots { directories: self.roots.iter().map(|r| r.display().to_string()).collect() })
    }

    /// Lists a directory.
    #[tool(name = "list_directory", annotations(read_only_hint = true, open_world_hint = false))]
    async fn list_directory(&self, Parameters(at): Parameters<AtPath>) -> Result<Json<Entries>, String> {
        let dir = self.inside(&at.path)?;
        let mut entries = read_dir(&dir).map_err(|e| said(&dir, &e))?;
        let truncated = entries.len() > ENTRIES_MAX;
        entries.truncate(ENTRIES_MAX);
        Ok(Json(Entries { entries, truncated }))
    }

    /// Reads a text file, whole or some lines of it.
    #[tool(name = "read_file", annotations(read_only_hint = true, open_world_hint = false))]
    async fn read_file(&self, Parameters(want): Parameters<ReadFile>) -> Result<String, String> {
        let path = self.inside(&want.path)?;
        let bytes = std::fs::metadata(&path).map_err(|e| said(&path, &e))?.len();
        let partial = want.from_line.is_some() || want.lines.is_some();
        if bytes > READ_BYTES_MAX && !partial {
            return Err(format!(
                "{} has {bytes} bytes, more than {READ_BYTES_MAX}; ask for some lines with from_line and lines",
                path.display()
            ));
        }
        read_lines(&path, want.from_line.unwrap_or(1), want.lines.unwrap_or(usize::MAX))
    }

    /// Writes a file, replacing what it held.
    #[tool(
        name = "write_file",
        annotations(destructive_hint = true, idempotent_hint = true, open_world_hint = false)
    )]
    async fn write_file(&self, Parameters(want): Parameters<WriteFile>) -> Result<String, String> {
        let path = self.inside(&want.path)?;
        std::fs::write(&path, &want.content).map_err(|e| said(&path, &e))?;
        Ok(format!("wrote {} bytes to {}", want.content.len(), path.display()))
    }

    /// Makes a directory, and those above it where they are missing.
    #[tool(name = "create_directory", annotations(idempotent_hint = true, open_world_hint = false))]
    async fn create_directory(&self, Parameters(at): Parameters<AtPath>) -> Result<String, String> {
        let path = self.inside(&at.path)?;
        std::fs::create_dir_all(&path).map_err(|e| said(&path, &e))?;
        Ok(format!("{} is there", path.display()))
    }

    /// Finds files by part of their name.
    #[tool(name = "search_files", annotations(read_only_hint = true, open_world_hint = false))]
    async fn search_files(&self, Parameters(want): Parameters<SearchFiles>) -> Result<Json<Entries>, String> {
        let start = self.inside(want.path.as_deref().unwrap_or("."))?;
        let needle = want.name_contains.to_lowercase();
        let (mut entries, mut waiting) = (Vec::new(), vec![(start, 0)]);
        while let Some((dir, depth)) = waiting.pop() {
            // A directory that cannot be read is left out of a search, as find(1) does.
            for entry in read_dir(&dir).unwrap_or_default() {
                let path = dir.join(&entry.name);
                if entry.kind == "directory" && depth < DEPTH_MAX {
                    waiting.push((path.clone(), depth + 1));
                }
                if entry.name.to_lowercase().contains(&needle) {
                    entries.push(Entry { name: path.display().to_string(), ..entry });
                }
            }
            if entries.len() > ENTRIES_MAX {
                break;
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let truncated = entries.len() > ENTRIES_MAX;
        entries.truncate(ENTRIES_MAX);
        Ok(Json(Entries { entries, truncated }))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Files {}

impl Files {
    /// The real path of `given`, when it lies beneath an offered directory. For a file that does not exist yet its
    /// nearest existing ancestor decides. The cell is the wall; this is the sign on it.
    fn inside(&self, given: &str) -> Result<PathBuf, String> {
        let path = self.roots[0].join(given);
        if path.components().any(|c| c == Component::ParentDir) {
            return Err(format!("`{given}`: `..` is not accepted; name the path itself"));
        }
        let existing = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        let real = std::fs::canonicalize(existing).map_err(|e| said(existing, &e))?;
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            let offered: Vec<_> = self.roots.iter().map(|r| r.display().to_string()).collect();
            return Err(format!(
                "{} is outside of what this server offers: {}",
                path.display(),
                offered.join(", ")
            ));
        }
        let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
        Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
    }
}

fn read_dir(dir: &Path) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir)?.take(ENTRIES_MAX + 1) {
        let entry = entry?;
        let kind = entry.file_type()?;
        let bytes = if kind.is_file() { entry.metadata().map_or(0, |m| m.len()) } else { 0 };
        let kind = match kind {
            k if k.is_dir() => "directory",
            k if k.is_file() => "file",
            k if k.is_symlink() => "link",
            _ => "other",
        };
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            kind: kind.into(),
            bytes,
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn read_lines(path: &Path, from: usize, count: usize) -> Result<String, String> {
    use std::io::{BufRead, Read};
    let file = std::fs::File::open(path).map_err(|e| said(path, &e))?;
    let mut reader = std::io::BufReader::new(file);
    let mut skipped = Vec::new();
    for _ in 1..from.max(1) {
        skipped.clear();
        if reader.by_ref().take(READ_BYTES_MAX).read_until(b'\n', &mut skipped).map_err(|e| said(path, &e))?
            == 0
        {
            break;
        }
    }
    let mut out = Vec::new();
    let mut left = reader.take(READ_BYTES_MAX);
    for _ in 0..count {
        if left.read_until(b'\n', &mut out).map_err(|e| said(path, &e))? == 0 {
            break;
        }
    }
    String::from_utf8(out).map_err(|_| format!("{} is not UTF-8 text", path.display()))
}

fn said(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::new(vec![dir.path().to_path_buf()]);
        (dir, files)
    }

    #[tokio::test]
    async fn what_was_written_is_read_back() {
        let (_dir, files) = server();
        let text = WriteFile { path: "a.txt".into(), content: "one\ntwo\nthree\n".into() };
        files.write_file(Parameters(text)).await.expect("written");
        let want = ReadFile { path: "a.txt".into(), from_line: Some(2), lines: Some(1) };
        assert_eq!(files.read_file(Parameters(want)).await.expect("read"), "two\n");
    }

    #[tokio::test]
    async fn a_link_that_leads_outside_is_refused() {
        let (dir, files) = server();
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).expect("a link");
        let want = ReadFile { path: "out/hostname".into(), from_line: None, lines: None };
        assert!(files.read_file(Parameters(want)).await.expect_err("outside").contains("outside"));
        assert!(files.inside("../x").is_err());
        assert!(files.inside("/etc/hosts").is_err());
    }

    #[tokio::test]
    async fn a_search_finds_by_part_of_the_name() {
        let (dir, files) = server();
        std::fs::create_dir_all(dir.path().join("x/y")).expect("directories");
        std::fs::write(dir.path().join("x/y/Invoice-7.txt"), "").expect("a file");
        let want = SearchFiles { path: None, name_contains: "invoice".into() };
        let Json(found) = files.search_files(Parameters(want)).await.expect("a list");
        assert_eq!(found.entries.len(), 1);
    }
}
