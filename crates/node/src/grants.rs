//! Which paths of the host a server's contract names, resolved once, when the configuration is read.
//!
//! A path is looked at again by every start, and between two starts a cell that may write beside it could put a link in
//! its place. So links are followed here and only here: what a start mounts is the path found then, opened without following any
//! link. A grant that leads through a link which a cell may change is not used at all.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use cella_contract::{Contract, Mode, Run, ServerConfig, expand};

/// Links followed on the way to one path: as many as the kernel follows (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// What one server is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Grants of the contract, in its order.
    pub(crate) declared: Vec<Grant>,
    /// What the arguments name, where the preset grants that.
    pub(crate) named: Vec<Grant>,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// As it was written, made absolute.
    pub(crate) written: PathBuf,
    /// Where it leads; a part that does not exist yet is taken as written.
    pub(crate) path: PathBuf,
    /// What may be done with it.
    pub(crate) mode: Mode,
    /// Links on the way, by their real place.
    links: Vec<PathBuf>,
    /// Why it is not used.
    pub(crate) refused: Option<Refused>,
}

/// Why a grant is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It contains a variable that is not set.
    Variable(String),
    /// It leads through a link that a cell may change.
    Redirectable {
        /// The link.
        link: PathBuf,
        /// Whose cell.
        server: Arc<str>,
    },
}

// === impl Grants ===

impl Grants {
    /// Looks at the host once. `base` is what relative paths of the contract start from.
    pub(crate) fn of(server: &ServerConfig, contract: &Contract, base: &Path, config_base: &Path) -> Self {
        let Run::Program(program) = &server.run else { return Self::with(contract, base, &[], None) };
        let args: Vec<String> = program.args.iter().filter_map(|arg| expanded(arg).ok()).collect();
        let cwd = program.cwd.as_ref().and_then(|cwd| expanded(cwd).ok()).map(|cwd| config_base.join(cwd));
        Self::with(contract, base, &args, cwd.as_deref())
    }

    /// The same for a command line whose variables are replaced already.
    pub(crate) fn with(contract: &Contract, base: &Path, args: &[String], cwd: Option<&Path>) -> Self {
        let declared = contract.files.iter().map(|grant| Grant::of(&grant.path, base, grant.mode)).collect();
        let Some(mode) = contract.preset.named_files() else { return Self { declared, named: Vec::new() } };
        let args = args.iter().map(Path::new).filter(|path| path.is_absolute());
        let named = args.chain(cwd).filter(|path| path.parent().is_some());
        Self { declared, named: named.map(|path| Grant::at(path, mode, None)).collect() }
    }

    /// True when a directory is part of what is granted.
    pub(crate) fn show(&self, dir: &Path) -> bool {
        self.declared.iter().chain(&self.named).any(|grant| dir.starts_with(&grant.path))
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Grant> {
        self.declared.iter_mut().chain(&mut self.named)
    }
}

/// Refuses every grant that leads through a link in a directory which some cell may write, at once or by a commit.
pub(crate) fn refuse_redirectable(grants: &mut BTreeMap<Arc<str>, Grants>) {
    let writers: Vec<(Arc<str>, PathBuf)> = grants
        .iter()
        .flat_map(|(server, grants)| {
            let grants = grants.declared.iter().chain(&grants.named);
            grants.filter(|grant| grant.mode != Mode::Read).map(|grant| (server.clone(), grant.path.clone()))
        })
        .collect();
    for grant in grants.values_mut().flat_map(Grants::all) {
        let changed = grant.links.iter().find_map(|link| {
            let (server, _) = writers.iter().find(|(_, path)| link.starts_with(path) && link != path)?;
            Some(Refused::Redirectable { link: link.clone(), server: server.clone() })
        });
        grant.refused = grant.refused.take().or(changed);
    }
}

// === impl Grant ===

impl Grant {
    fn of(written: &Path, base: &Path, mode: Mode) -> Self {
        let refused = |variable| Some(Refused::Variable(variable));
        let (text, refused) = match expanded(&written.to_string_lossy()) {
            Ok(text) => (PathBuf::from(text), None),
            Err(variable) => (written.to_owned(), refused(variable)),
        };
        Self::at(&base.join(text), mode, refused)
    }

    fn at(path: &Path, mode: Mode, refused: Option<Refused>) -> Self {
        let written = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut links = Vec::new();
        follow(&written, &mut links);
        Self { path: resolved(&written), written, mode, links, refused }
    }

    /// Where it leads now, if that is not where it led when the configuration was read.
    pub(crate) fn led_elsewhere(&self) -> Option<PathBuf> {
        fs::canonicalize(&self.path).ok().filter(|now| *now != self.path)
    }
}

fn expanded(text: &str) -> Result<String, String> {
    expand(text, &|name| std::env::var(name).ok())
}

/// The real path, as far as it exists, and the rest as written.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut at = path;
    loop {
        if let Ok(real) = fs::canonicalize(at) {
            return rest.iter().rev().fold(real, |path, name| path.join(name));
        }
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else { return path.to_owned() };
        rest.push(name);
        at = parent;
    }
}

/// Walks from `/` and notes every link, those that links lead to included. Gives the real path as far as it got.
fn follow(path: &Path, links: &mut Vec<PathBuf>) -> PathBuf {
    let mut real = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            Component::Normal(name) => {
                let next = real.join(name);
                real = match fs::read_link(&next) {
                    Ok(content) if links.len() < LINKS_MAX => {
                        links.push(next);
                        follow(&real.join(content), links)
                    }
                    _ => next,
                };
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use cella_contract::{FileGrant, Preset};

    use super::*;

    fn grants(dir: &Path, files: &[(&str, Mode)]) -> Grants {
        let mut contract = Contract::preset(Preset::Untrusted);
        let file = |(path, mode): &(&str, Mode)| FileGrant { path: dir.join(path), mode: *mode };
        contract.files = files.iter().map(file).collect();
        let server = "[servers.x]\ncommand = \"x\"\n";
        let (config, _) = cella_contract::Config::parse("c", server).expect("a configuration");
        Grants::of(&config.servers["x"], &contract, dir, dir)
    }

    #[test]
    fn a_link_is_followed_once_and_what_comes_later_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = fs::canonicalize(dir.path()).expect("a path");
        fs::create_dir(dir.join("real")).expect("a directory");
        symlink(dir.join("real"), dir.join("link")).expect("a link");
        let grant = grants(&dir, &[("link", Mode::Read)]).declared.remove(0);
        assert_eq!((grant.path.as_path(), grant.led_elsewhere()), (dir.join("real").as_path(), None));
        fs::create_dir(dir.join("secret")).expect("a directory");
        fs::remove_dir(dir.join("real")).expect("removed");
        symlink(dir.join("secret"), dir.join("real")).expect("a link");
        assert_eq!(grant.led_elsewhere(), Some(dir.join("secret")));
    }

    #[test]
    fn what_does_not_exist_yet_is_taken_as_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = fs::canonicalize(dir.path()).expect("a path");
        let grant = grants(&dir, &[("later/file", Mode::Read)]).declared.remove(0);
        assert_eq!(grant.path, dir.join("later/file"));
    }

    #[test]
    fn a_grant_through_a_link_that_another_cell_may_change_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = fs::canonicalize(dir.path()).expect("a path");
        fs::create_dir_all(dir.join("shared")).expect("a directory");
        fs::create_dir(dir.join("data")).expect("a directory");
        symlink(dir.join("data"), dir.join("shared/out")).expect("a link");
        symlink(dir.join("shared"), dir.join("way")).expect("a link");
        let mut all = BTreeMap::from([
            (Arc::from("writer"), grants(&dir, &[("shared", Mode::Write), ("data", Mode::Read)])),
            (Arc::from("reader"), grants(&dir, &[("way/out", Mode::Read), ("way", Mode::Read)])),
        ]);
        refuse_redirectable(&mut all);
        let refused = Refused::Redirectable { link: dir.join("shared/out"), server: "writer".into() };
        assert_eq!(all["reader"].declared[0].refused, Some(refused));
        assert_eq!(all["reader"].declared[1].refused, None, "its link lies where nobody writes");
        assert!(all["writer"].declared.iter().all(|grant| grant.refused.is_none()));
    }
}
