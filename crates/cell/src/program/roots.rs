//! How much of the host a program needs around one of its files, and what is too much.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::process;

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
        if process::is_system_path(path) {
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
        if !added && !process::is_system_path(file) {
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
        let root = above.iter().find(|dir| PACKAGE_MARKS.iter().any(|mark| dir.join(mark).exists()));
        let root = root.or(above.first());
        let added = root.is_some_and(|root| self.add(root));
        if !added && !process::is_system_path(file) {
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
    let homes = [Path::new("/home"), Path::new("/Users"), Path::new("/var/home")];
    let in_homes = path.parent().is_some_and(|parent| homes.contains(&parent));
    let of_home = |home: &Path| {
        home.starts_with(path) || SHARED_HOME_DIRS.iter().any(|shared| path == home.join(shared))
    };
    let someones = path.ancestors().find(|dir| dir.parent().is_some_and(|parent| homes.contains(&parent)));
    let known = [env::home_dir(), Some(PathBuf::from("/root")), someones.map(Path::to_owned)];
    depth <= 1 || in_homes || known.into_iter().flatten().any(|home| of_home(&home))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_too_broad;

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
