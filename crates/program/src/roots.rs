//! How much of the host a program needs around one of its files, and what is too much.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use cella_cell::is_system_path;

/// Directories of a user's home in which unrelated things lie side by side, secrets among them: never shown whole.
const SHARED_HOME_DIRS: [&str; 6] = [".local", ".local/share", ".cargo", ".config", ".cache", "bin"];
/// What marks the root of a package.
const PACKAGE_MARKS: [&str; 6] =
    ["package.json", "node_modules", "pyproject.toml", "setup.py", "pyvenv.cfg", "deno.json"];
/// Levels above a file at which a package's root is looked for.
const PACKAGE_DEPTH: usize = 8;

/// Directories and files to show, none within another.
#[derive(Debug, Default)]
pub(super) struct Roots(Vec<PathBuf>);

impl Roots {
    /// Adds a directory, unless it is too much to show.
    pub(super) fn add(&mut self, path: &Path) -> bool {
        if is_system_path(path) {
            return true;
        }
        if is_too_broad(path) {
            return false;
        }
        self.0.push(path.to_owned());
        true
    }

    /// The installation that an executable is part of: the directory above its `bin`, if that is one, else the file alone.
    pub(super) fn add_installation(&mut self, file: &Path) {
        let bin = file.parent().filter(|dir| ["bin", "sbin"].iter().any(|name| dir.ends_with(name)));
        let prefix = bin.and_then(Path::parent).filter(|prefix| {
            // A `bin` alone is a collection of programs, not an installation.
            ["lib", "lib64", "libexec", "share", "include"].iter().any(|name| prefix.join(name).is_dir())
        });
        let added = prefix.is_some_and(|prefix| self.add(prefix));
        // A link is made anew inside; a mount through one would be refused.
        if !added && !is_system_path(file) && !file.is_symlink() {
            self.0.push(file.to_owned());
        }
    }

    /// The package that a script is part of, and the modules that it finds by looking upwards.
    pub(super) fn add_package(&mut self, file: &Path) {
        let above: Vec<&Path> = file.ancestors().skip(1).take(PACKAGE_DEPTH).collect();
        let modules = Path::new("node_modules");
        // Within installed modules everything is found in the outermost of them.
        if let Some(outermost) = above.iter().rev().find(|dir| dir.ends_with(modules)) {
            self.add(outermost);
            return;
        }
        let is_package = |dir: &&&Path| PACKAGE_MARKS.iter().any(|mark| dir.join(mark).exists());
        let root = above.iter().filter(|dir| !is_hidden_home_dir(dir) && !is_too_broad(dir)).find(is_package);
        // Without a mark the files beside it are its modules, but not where people's programs keep their settings.
        let beside = above.first().filter(|dir| !is_below_hidden_home_dir(dir));
        let added = root.or(beside).is_some_and(|root| self.add(root));
        if !added && !is_system_path(file) {
            self.0.push(file.to_owned());
        }
        // A workspace keeps its modules at its top, beside packages that are none of this one's business.
        let hoisted = above.iter().map(|dir| dir.join(modules)).filter(|dir| dir.is_dir());
        for dir in hoisted.collect::<Vec<_>>() {
            self.add(&dir);
        }
    }

    /// The list, sorted, without what lies within another.
    pub(super) fn into_paths(mut self) -> Vec<PathBuf> {
        self.0.sort();
        let mut kept: Vec<PathBuf> = Vec::new();
        for path in self.0 {
            if !covers(&kept, &path) {
                kept.push(path);
            }
        }
        kept
    }
}

/// Whether a path is one of these or within one.
pub(super) fn covers(shown: &[PathBuf], path: &Path) -> bool {
    shown.iter().any(|root| path.starts_with(root))
}

/// The root, anything directly below it, a home directory or what contains one, and its shared parts.
fn is_too_broad(path: &Path) -> bool {
    let depth = path.components().count().saturating_sub(1);
    let of_home = |home: &Path| {
        home.starts_with(path) || SHARED_HOME_DIRS.iter().any(|shared| path == home.join(shared))
    };
    depth <= 1 || homes(path).iter().any(|home| of_home(home))
}

/// `~/.kube`, `~/.ssh`: a directory of settings and credentials, whatever else lies in it.
fn is_hidden_home_dir(path: &Path) -> bool {
    hidden_home_dir(path).is_some_and(|dir| dir == path)
}

/// The same, or anything within.
fn is_below_hidden_home_dir(path: &Path) -> bool {
    hidden_home_dir(path).is_some()
}

fn hidden_home_dir(path: &Path) -> Option<PathBuf> {
    homes(path).into_iter().find_map(|home| {
        let first = path.strip_prefix(&home).ok()?.components().next()?;
        first.as_os_str().as_encoded_bytes().starts_with(b".").then(|| home.join(first))
    })
}

/// Home directories that a path could be of: this user's, root's, and the one it lies in.
fn homes(path: &Path) -> Vec<PathBuf> {
    let tops = [Path::new("/home"), Path::new("/Users"), Path::new("/var/home")];
    let someones = path.ancestors().find(|dir| dir.parent().is_some_and(|parent| tops.contains(&parent)));
    let own = env::home_dir().map(|home| fs::canonicalize(&home).unwrap_or(home));
    [own, Some(PathBuf::from("/root")), someones.map(Path::to_owned)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_hidden_home_dir, is_too_broad};

    #[test]
    fn directories_of_settings_in_a_home_are_known() {
        for path in ["/home/u/.kube", "/root/.ssh", "/home/u/.aws"] {
            assert!(is_hidden_home_dir(Path::new(path)), "{path}");
        }
        for path in ["/home/u/app", "/home/u/.venvs/app", "/srv/.app", "/home/u"] {
            assert!(!is_hidden_home_dir(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn homes_and_what_contains_them_are_never_shown() {
        for path in [
            "/",
            "/root",
            "/home",
            "/home/u",
            "/opt",
            "/srv",
            "/home/u/.local",
            "/home/u/.cargo",
            "/root/.config",
        ] {
            assert!(is_too_broad(Path::new(path)), "{path}");
        }
        for path in
            ["/opt/node", "/home/u/.nvm/versions/node/v20", "/root/.pyenv/versions/3.11.7", "/srv/app"]
        {
            assert!(!is_too_broad(Path::new(path)), "{path}");
        }
    }
}
