//! Where a node keeps its things: the XDG base directories, one folder per configuration file.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use cella_history::History;
use cella_workspace::{Store, Workspaces};

use crate::{StartError, load::load};

/// The directories and files of one node. Nothing is created by naming it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The configuration file, absolute.
    pub config: PathBuf,
    /// What must survive: ledger, lists, key, token. `$XDG_STATE_HOME/cella/NAME`.
    pub state: PathBuf,
    /// Installed server packages, shared by all nodes of this user. `$XDG_DATA_HOME/cella/store`.
    pub store: PathBuf,
    /// The local door. `$XDG_RUNTIME_DIR/cella/NAME.sock`, beside the state where there is no runtime directory.
    pub socket: PathBuf,
}

impl Places {
    /// The places that belong to a configuration file. `var` looks up the environment.
    ///
    /// The user's own `cella.toml` is the node `default`; any other file gets a name with a digest of its path, so that
    /// two projects never share a ledger.
    #[must_use]
    pub fn of(config: &Path, var: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let config = std::path::absolute(config).unwrap_or_else(|_| config.to_path_buf());
        let home = var("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let base = |key: &str, fallback: &str| match var(key) {
            // The XDG specification: a relative path in these variables is to be ignored.
            Some(dir) if Path::new(&dir).is_absolute() => PathBuf::from(dir),
            _ => home.join(fallback),
        };
        let name = if config == Self::user_config(var) { "default".to_owned() } else { named(&config) };
        let state = match var("STATE_DIRECTORY") {
            // Set by systemd for a unit with StateDirectory=.
            Some(dir) => PathBuf::from(dir),
            None => base("XDG_STATE_HOME", ".local/state").join("cella").join(&name),
        };
        let socket = match var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|d| d.is_absolute()) {
            Some(dir) => dir.join("cella").join(format!("{name}.sock")),
            None => state.join("cella.sock"),
        };
        Self { config, store: base("XDG_DATA_HOME", ".local/share").join("cella/store"), state, socket }
    }

    /// The user's own configuration file.
    #[must_use]
    pub fn user_config(var: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
        let home = var("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let base = match var("XDG_CONFIG_HOME").map(PathBuf::from) {
            Some(dir) if dir.is_absolute() => dir,
            _ => home.join(".config"),
        };
        base.join("cella/cella.toml")
    }

    /// The ledger, where the configuration names no other.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.state.join("ledger.db")
    }

    /// What may be asked of the ledger of the node with these places, running or not.
    ///
    /// # Errors
    /// There is no ledger, or it cannot be read.
    pub fn history(&self) -> Result<History, StartError> {
        Ok(History::open(&self.ledger_dir())?)
    }

    /// The access token for the HTTP door, where no other file is named.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.state.join("token")
    }

    /// The key that seals handles, so that sessions and parked calls survive a restart.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.state.join("key")
    }

    /// The secrets of this node's servers, sealed.
    #[must_use]
    pub fn vault(&self) -> PathBuf {
        self.state.join("vault")
    }

    /// What cells changed in their copies.
    #[must_use]
    pub fn workspaces(&self) -> PathBuf {
        self.state.join("workspaces")
    }

    /// The same, with the ledger that has what is done with it while no node runs.
    #[must_use]
    pub fn recorded_workspaces(&self) -> Workspaces {
        Workspaces::of_directory(Store::new(self.workspaces()), self.ledger_dir())
    }

    /// Lists of servers that are not running, one file per server.
    #[must_use]
    pub fn lists(&self) -> PathBuf {
        self.state.join("lists")
    }

    /// The directory of the ledger, as the configuration says if it can be read.
    pub(crate) fn ledger_dir(&self) -> PathBuf {
        let configured = load(&self.config).ok().and_then(|l| l.config.ledger.path);
        let base = self.config.parent().map_or_else(PathBuf::new, PathBuf::from);
        configured.map_or_else(|| self.ledger(), |path| base.join(path))
    }

    /// What a running node says of itself: pid, addresses.
    #[must_use]
    pub fn announcement(&self) -> PathBuf {
        self.state.join("node.json")
    }
}

fn named(config: &Path) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(config.as_os_str().as_encoded_bytes());
    let parent = config.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let readable: String = parent
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(24)
        .collect();
    let digest: String = digest.iter().take(5).map(|b| format!("{b:02x}")).collect();
    format!("{readable}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |key| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| OsString::from(v))
    }

    #[test]
    fn the_users_own_file_is_the_default_node() {
        let var = env(&[("HOME", "/home/a")]);
        let places = Places::of(Path::new("/home/a/.config/cella/cella.toml"), &var);
        assert_eq!(places.state, Path::new("/home/a/.local/state/cella/default"));
        assert_eq!(places.socket, Path::new("/home/a/.local/state/cella/default/cella.sock"));
    }

    #[test]
    fn two_projects_never_share_a_state() {
        let var = env(&[("HOME", "/home/a"), ("XDG_RUNTIME_DIR", "/run/user/7")]);
        let (a, b) = (
            Places::of(Path::new("/x/app/cella.toml"), &var),
            Places::of(Path::new("/y/app/cella.toml"), &var),
        );
        assert_ne!(a.state, b.state);
        assert!(a.socket.starts_with("/run/user/7/cella"));
    }
}
