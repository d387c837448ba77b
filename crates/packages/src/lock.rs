//! `cella.lock`: what exactly was installed, so that another machine installs the same or nothing. Beside `cella.toml`, and
//! committed with it. It names no registry and no directory of this machine.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{InstallError, Pin, Recipe, lines, pins, tree};

/// The format that this program reads and writes.
pub const LOCK_SCHEMA: &str = "cella-lock/v1";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// [`LOCK_SCHEMA`].
    schema: String,
    /// By [`Recipe::key`].
    packages: BTreeMap<String, Locked>,
}

/// One recipe and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The requirements as they were asked for; for readers.
    pub asked: Vec<String>,
    /// npm's own lock file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    npm: Option<serde_json::Value>,
    /// Python packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pypi: Vec<Pin>,
}

// === impl Lock ===

impl Default for Lock {
    fn default() -> Self {
        Self { schema: LOCK_SCHEMA.to_owned(), packages: BTreeMap::new() }
    }
}

impl Lock {
    /// Where the lock of a configuration is: `cella.lock` for `cella.toml`.
    #[must_use]
    pub fn path(config: &Path) -> PathBuf {
        config.with_extension("lock")
    }

    /// Reads it; one that does not exist is empty.
    ///
    /// # Errors
    /// A file that cannot be read, or not as a lock of this version.
    pub fn read(path: &Path) -> Result<Self, InstallError> {
        let broken = |why: String| InstallError::Lock { path: path.to_owned(), why };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(broken(e.to_string())),
        };
        Self::parse(&text).map_err(broken)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lock: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if lock.schema != LOCK_SCHEMA {
            return Err(format!("its schema is `{}`, this program reads `{LOCK_SCHEMA}`", lock.schema));
        }
        let both = |(_, locked): &(&String, &Locked)| locked.npm.is_some() != locked.pypi.is_empty();
        if let Some((key, _)) = lock.packages.iter().find(both) {
            return Err(format!("`{key}` has to have one of `npm` and `pypi`"));
        }
        if let Some((key, _)) =
            lock.packages.iter().find(|(_, l)| !l.npm.as_ref().is_none_or(pins::stays_below))
        {
            return Err(format!("`{key}` has packages elsewhere than below node_modules"));
        }
        let pins = lock.packages.values().flat_map(|locked| &locked.pypi);
        let whole = |pin: &&Pin| pin.is_plain() && !pin.hashes.is_empty();
        match pins.into_iter().find(|pin| !whole(pin)) {
            Some(pin) => Err(format!("`{}` has no plain name, version and digest", pin.name.escape_debug())),
            None => Ok(lock),
        }
    }

    /// The text of the file: sorted, so that the same content is the same text.
    #[must_use]
    pub fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{text}\n")
    }

    /// What a recipe is to come to.
    #[must_use]
    pub fn get(&self, recipe: &Recipe) -> Option<&Locked> {
        self.packages.get(&recipe.key())
    }

    /// Enters what a recipe came to.
    pub fn set(&mut self, recipe: &Recipe, locked: Locked) {
        self.packages.insert(recipe.key(), locked);
    }

    /// Forgets every recipe but these. True if one was forgotten.
    pub fn keep(&mut self, recipes: &[Recipe]) -> bool {
        let keys: Vec<String> = recipes.iter().map(Recipe::key).collect();
        let before = self.packages.len();
        self.packages.retain(|key, _| keys.contains(key));
        self.packages.len() != before
    }
}

// === impl Locked ===

impl Locked {
    /// Of npm's own lock; `None` if something in it has no digest, or is named by an address.
    #[must_use]
    pub fn npm(recipe: &Recipe, lock: serde_json::Value) -> Option<Self> {
        let asked = recipe.packages.clone();
        let complete =
            pins::of_npm(&lock).iter().all(|pin| !pin.hashes.is_empty()) && pins::stays_below(&lock);
        (is_lockable(recipe) && complete).then_some(Self { asked, npm: Some(lock), pypi: Vec::new() })
    }

    /// Of the pins of an environment; `None` if one has no digest, or something was asked for by an address.
    #[must_use]
    pub fn pypi(recipe: &Recipe, pins: Vec<Pin>) -> Option<Self> {
        let asked = recipe.packages.clone();
        let complete = !pins.is_empty() && pins.iter().all(|pin| pin.is_plain() && !pin.hashes.is_empty());
        (is_lockable(recipe) && complete).then_some(Self { asked, npm: None, pypi: pins })
    }

    /// npm's lock file, for a recipe of npm.
    pub fn npms(&self) -> Option<&serde_json::Value> {
        self.npm.as_ref()
    }

    /// Everything that is to be installed.
    #[must_use]
    pub fn pins(&self) -> Vec<Pin> {
        self.npm.as_ref().map_or_else(|| self.pypi.clone(), pins::of_npm)
    }

    /// A digest of what is to be installed; two locks with the same come to the same.
    pub fn digest(&self) -> String {
        let text = serde_json::to_vec(&(&self.npm, &self.pypi)).unwrap_or_default();
        tree::hex(Sha256::new().chain_update(text))
    }
}

/// What is named by an address or a path is not locked: the one may hold credentials, the other is on this machine only.
fn is_lockable(recipe: &Recipe) -> bool {
    !recipe.packages.iter().any(|package| lines::names_a_place(package))
}

#[cfg(test)]
mod tests;
