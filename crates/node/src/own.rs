//! Cella's own places on the host, which no cell is shown: whoever holds the token or the socket is the user, whoever writes
//! the configuration decides what runs, and the ledger is the record of everything.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use cella_cell::{Access, Mount};
use cella_contract::{ContractSource, Run, Text, expand};

use crate::{
    Places, Whereabouts,
    load::{Loaded, Served},
};

/// The name of Cella's folder in each of the XDG base directories.
const FOLDER: &str = "cella";

/// Where a node's own things are, by their real paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnPlaces {
    hidden: Vec<PathBuf>,
    /// Packages: to be read by the cells that run them.
    store: PathBuf,
}

// === impl OwnPlaces ===

impl OwnPlaces {
    /// The places of a node.
    pub(crate) fn of(places: &Places, about: &Whereabouts) -> Self {
        let users_own = places.config == Places::user_config(&|name| std::env::var_os(name));
        let config = if users_own { whole_folder(&places.config) } else { places.config.clone() };
        let socket =
            if about.socket == places.socket { whole_folder(&about.socket) } else { about.socket.clone() };
        // Whichever configuration this node has: another start may take the user's own.
        let users = whole_folder(&Places::user_config(&|name| std::env::var_os(name)));
        let (state, token, ledger) =
            (whole_folder(&places.state), about.token_file.clone(), about.ledger.clone());
        let named = [config, users, state, token, ledger, socket];
        // The key of the vault, where it is not beside it.
        let keys = [cella_vault::KEY_FILE, "CREDENTIALS_DIRECTORY"].into_iter().filter_map(std::env::var_os);
        let keys = keys.map(PathBuf::from).filter(|path| path.exists());
        let mut hidden: Vec<PathBuf> = named.into_iter().chain(keys).map(|path| real(&path)).collect();
        hidden.sort();
        hidden.dedup();
        Self { hidden, store: real(&places.store) }
    }

    /// Makes Cella's own folders where a cell may write beside them: what does not exist cannot be covered, and a cell that
    /// made a configuration would decide what the next node runs.
    pub(crate) fn cover(&self, mounts: &[Mount]) {
        let named = self.hidden.iter().filter(|path| path.file_name().is_some_and(|name| name == FOLDER));
        for folder in named.chain([&self.store]) {
            let mut written = mounts.iter().filter(|mount| mount.access != Access::Read);
            if written.any(|mount| folder.starts_with(&mount.source)) {
                let _cannot_be_made_by_the_cell_either = fs::create_dir_all(folder);
            }
        }
    }

    /// The place that a mount would show or lies in. A grant of what contains one is no such mount: there it is covered.
    pub(crate) fn shown_by(&self, mount: &Mount) -> Option<&Path> {
        let store = (mount.access != Access::Read).then_some(&self.store);
        self.hidden.iter().chain(store).map(PathBuf::as_path).find(|own| mount.source.starts_with(own))
    }

    /// The place that one of a program's files lies in.
    pub(crate) fn holds(&self, file: &Path) -> Option<&Path> {
        self.hidden
            .iter()
            .map(PathBuf::as_path)
            .find(|own| file.starts_with(own) && !file.starts_with(&self.store))
    }

    /// Everything to be covered in the cell of one server: the places, every contract, and the files with other servers'
    /// secrets.
    pub(crate) fn masks(&self, loaded: &Loaded, server: &str) -> Vec<PathBuf> {
        self.covered(&loaded.servers, Some(server))
    }

    /// Everything to be covered in a cell that is no server's.
    pub(crate) fn masks_of(&self, loaded: Option<&Loaded>) -> Vec<PathBuf> {
        let none = BTreeMap::new();
        self.covered(loaded.map_or(&none, |loaded| &loaded.servers), None)
    }

    fn covered(&self, servers: &BTreeMap<Arc<str>, Arc<Served>>, server: Option<&str>) -> Vec<PathBuf> {
        let mut masks = self.hidden.clone();
        masks.push(self.store.clone());
        for (name, served) in servers {
            if let ContractSource::File(path) = &served.config.contract {
                masks.push(real(&served.base.join(path)));
            }
            let values = match &served.config.run {
                Run::Program(program) => &program.env,
                Run::Remote(remote) => &remote.headers,
            };
            // A server is given its own secrets anyway.
            let others = values.iter().filter(|_| Some(&**name) != server);
            masks.extend(
                others.filter_map(|(_, value)| secret_file(value)).map(|path| real(&served.base.join(path))),
            );
        }
        masks.sort();
        masks.dedup();
        masks
    }
}

fn secret_file(value: &str) -> Option<PathBuf> {
    let Text::File(path) = Text::read(value) else { return None };
    expand(&path.to_string_lossy(), &|name| std::env::var(name).ok()).ok().map(PathBuf::from)
}

/// `~/.local/state/cella` for what lies in it, so that other nodes of this user are covered too; else the path itself. Only
/// for places that are chosen by Cella: a project's own directory may have that name.
fn whole_folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|parent| parent.file_name().is_some_and(|name| name == FOLDER));
    folder.map_or_else(|| path.to_owned(), Path::to_owned)
}

/// The real path; masks are compared with real paths.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(dir: &Path) -> OwnPlaces {
        let places = Places {
            config: dir.join("project/cella.toml"),
            state: dir.join("home/.local/state/cella/project"),
            store: dir.join("home/.local/share/cella/store"),
            socket: dir.join("run/cella/project.sock"),
        };
        fs::create_dir_all(&places.state).expect("a directory");
        fs::create_dir_all(dir.join("run/cella")).expect("a directory");
        fs::create_dir_all(dir.join("project")).expect("a directory");
        fs::write(&places.config, "").expect("a file");
        let about = Whereabouts {
            socket: places.socket.clone(),
            token_file: places.token(),
            ledger: places.state.clone(),
        };
        fs::create_dir_all(&places.store).expect("a directory");
        OwnPlaces::of(&places, &about)
    }

    fn mount(source: PathBuf, access: Access) -> Mount {
        Mount { target: source.clone(), source, access }
    }

    #[test]
    fn a_grant_of_what_contains_cellas_places_is_covered_and_one_within_them_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = fs::canonicalize(dir.path()).expect("a path");
        let own = own(&dir);
        for path in ["home", "project", "run"] {
            assert_eq!(own.shown_by(&mount(dir.join(path), Access::Write)), None, "{path}");
        }
        for path in [
            "home/.local/state/cella",
            "home/.local/state/cella/project/lists",
            "project/cella.toml",
            "run/cella",
        ] {
            assert!(own.shown_by(&mount(dir.join(path), Access::Read)).is_some(), "{path}");
        }
        let package = dir.join("home/.local/share/cella/store/npm-x");
        assert_eq!(own.shown_by(&mount(package.clone(), Access::Read)), None);
        assert!(own.shown_by(&mount(package, Access::Write)).is_some());
    }

    #[test]
    fn contracts_and_other_servers_secrets_are_covered_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = fs::canonicalize(dir.path()).expect("a path");
        let own = own(&dir);
        let text = "[servers.a]\ncommand = \"x\"\ncontract = \"a.toml\"\nenv = { K = \"file:secrets/a\" }\n\
            [servers.b]\ncommand = \"x\"\nenv = { K = \"file:secrets/b\" }\n";
        fs::write(dir.join("project/cella.toml"), text).expect("a file");
        fs::write(dir.join("project/a.toml"), "").expect("a file");
        let loaded = crate::load(&dir.join("project/cella.toml")).expect("loaded");
        let masks = own.masks(&loaded, "a");
        for path in [
            "project/cella.toml",
            "project/a.toml",
            "project/secrets/b",
            "home/.local/state/cella",
            "run/cella",
        ] {
            assert!(masks.contains(&dir.join(path)), "{path} in {masks:?}");
        }
        assert!(!masks.contains(&dir.join("project/secrets/a")));
    }
}
