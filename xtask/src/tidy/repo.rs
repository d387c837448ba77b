//! What the rules look at: the repository's files, our packages and everything they depend on.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::code::{self, Token};

/// Everything tidy reads, read once.
#[derive(Debug)]
pub struct Repo {
    /// Where the repository is.
    pub root: PathBuf,
    /// Files that git tracks or would track, relative to the root, in order.
    pub files: Vec<String>,
    /// Our own packages.
    pub packages: Vec<Package>,
    /// Every package in the lock file that this platform builds, ours left out.
    pub dependencies: Vec<Dependency>,
    /// Every Rust source of ours.
    pub sources: Vec<Source>,
}

/// One package of ours.
#[derive(Debug)]
pub struct Package {
    /// `cella-node`.
    pub name: String,
    /// `crates/node`.
    pub folder: String,
    /// Names of our packages it depends on, with true for a dev-dependency.
    pub ours: Vec<(String, bool)>,
}

/// A package of somebody else's.
#[derive(Debug)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its SPDX expression, empty when it states none.
    pub licence: String,
    /// Names of the packages that pull it in.
    pub parents: BTreeSet<String>,
}

/// One Rust file.
#[derive(Debug)]
pub struct Source {
    /// `crates/node/src/lib.rs`.
    pub path: String,
    /// The name of the crate's folder, `node`; empty outside `crates/`.
    pub krate: String,
    /// Its text.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<Token>,
}

impl Source {
    /// Lines that do not belong to test code.
    #[must_use]
    pub fn lines_without_tests(&self) -> usize {
        let test = self.tokens.iter().filter(|t| t.test).map(|t| (*t.lines.start(), *t.lines.end()));
        let test: BTreeSet<usize> = spans(test).into_iter().flat_map(|(a, b)| a..=b).collect();
        self.text.lines().count().saturating_sub(test.len())
    }

    /// Lines of the inline test module.
    #[must_use]
    pub fn lines_of_tests(&self) -> usize {
        self.text.lines().count() - self.lines_without_tests()
    }

    /// True when the whole file is test code.
    #[must_use]
    pub fn is_test(&self) -> bool {
        is_test_path(&self.path)
    }
}

/// Reads the repository.
pub fn read() -> Result<Repo, String> {
    let root = PathBuf::from(run("git", &["rev-parse", "--show-toplevel"], Path::new("."))?.trim());
    let listed = run("git", &["ls-files", "-co", "--exclude-standard"], &root)?;
    let mut files: Vec<String> =
        listed.lines().map(str::to_owned).filter(|f| root.join(f).is_file()).collect();
    files.sort();
    let (packages, dependencies) = metadata(&root)?;
    let mut sources = Vec::new();
    for path in files.iter().filter(|f| f.ends_with(".rs")) {
        let text = std::fs::read_to_string(root.join(path)).map_err(|e| format!("{path}: {e}"))?;
        let krate = path.strip_prefix("crates/").and_then(|p| p.split('/').next()).unwrap_or_default();
        let tokens = code::tokens(&text, is_test_path(path));
        sources.push(Source { path: path.clone(), krate: krate.to_owned(), text, tokens });
    }
    Ok(Repo { root, files, packages, dependencies, sources })
}

fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.starts_with("fuzz/")
}

/// Joins the lines of neighbouring tokens, so that blank lines and comments between them count too.
fn spans(lines: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    /// A gap longer than this separates two test items.
    const GAP_LINES: usize = 25;
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (from, to) in lines {
        match out.last_mut() {
            Some(last) if from <= last.1 + GAP_LINES => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

fn metadata(root: &Path) -> Result<(Vec<Package>, Vec<Dependency>), String> {
    let text = run("cargo", &["metadata", "--format-version=1", "--filter-platform", &host()?], root)?;
    let all: Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let ours: BTreeSet<String> = list(&all["workspace_members"]).iter().map(word).collect();
    let names: BTreeMap<String, String> =
        list(&all["packages"]).iter().map(|p| (word(&p["id"]), word(&p["name"]))).collect();
    let mut parents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in list(&all["resolve"]["nodes"]) {
        let name = names.get(&word(&node["id"])).cloned().unwrap_or_default();
        parents.entry(word(&node["id"])).or_default();
        for id in list(&node["dependencies"]) {
            parents.entry(word(&id)).or_default().insert(name.clone());
        }
    }
    let mut packages = Vec::new();
    let mut dependencies = Vec::new();
    for package in list(&all["packages"]) {
        let id = word(&package["id"]);
        if ours.contains(&id) {
            packages.push(own_package(&package, root));
        } else if let Some(parents) = parents.remove(&id) {
            dependencies.push(Dependency {
                name: word(&package["name"]),
                version: word(&package["version"]),
                licence: word(&package["license"]),
                parents,
            });
        }
    }
    Ok((packages, dependencies))
}

fn own_package(package: &Value, root: &Path) -> Package {
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().and_then(|p| p.strip_prefix(root).ok());
    let path_dependencies = package["dependencies"].as_array().into_iter().flatten();
    Package {
        name: package["name"].as_str().unwrap_or_default().to_owned(),
        folder: folder.unwrap_or(Path::new("")).display().to_string(),
        ours: path_dependencies
            .filter(|d| d["path"].is_string())
            .map(|d| (d["name"].as_str().unwrap_or_default().to_owned(), d["kind"] == "dev"))
            .collect(),
    }
}

fn host() -> Result<String, String> {
    let text = run("rustc", &["-vV"], Path::new("."))?;
    let host = text.lines().find_map(|l| l.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

fn run(program: &str, args: &[&str], dir: &Path) -> Result<String, String> {
    let out = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
