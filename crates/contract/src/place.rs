//! Where a file stands: what relative paths in it mean, and where a term was written.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Where a file stands. The caller knows; nothing here looks at the disk or the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name as messages show it.
    pub file: Arc<str>,
    /// The absolute directory that relative paths in the file start from.
    pub dir: PathBuf,
    /// What `~` means; without it, `~` is an error.
    pub home: Option<PathBuf>,
}

/// A line of a file: where a term was written.
///
/// Two origins are always equal. A contract that says the same on another line is the same contract, and types that
/// carry origins can so derive their equality.
#[derive(Clone)]
pub struct Origin {
    /// As in [`Place::file`].
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
}

/// Why a text is not a path that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing written.
    #[error("the path is empty")]
    Empty,
    /// A NUL or another control character.
    #[error("the path has a control character")]
    Control,
    /// `..` climbs out of the directory it is relative to, or out of the root.
    #[error("the path leaves {dir} by `..`", dir = .dir.display())]
    Escapes {
        /// The directory that is left.
        dir: PathBuf,
    },
    /// `~` where no home is known, or `~user`.
    #[error("`~` is only understood as `~/`, and only where the home directory is known")]
    Home,
    /// `${...}` in a place where it is not replaced.
    #[error("variables are not replaced here")]
    Variable,
}

// === impl Place ===

impl Place {
    /// A file at an absolute path.
    #[must_use]
    pub fn of_file(file: &Path, home: Option<&Path>) -> Self {
        Self {
            file: file.display().to_string().into(),
            dir: file.parent().unwrap_or(Path::new("/")).to_owned(),
            home: home.map(Path::to_owned),
        }
    }

    /// Makes a written path absolute and removes `.` and `..` by looking at the text only.
    ///
    /// # Errors
    /// [`PathError`], above all for a relative path that leaves its directory: what a file in a project can name must
    /// be visible from the file.
    pub fn resolve(&self, written: &str) -> Result<PathBuf, PathError> {
        if written.is_empty() {
            return Err(PathError::Empty);
        }
        if written.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        if written.contains("${") {
            return Err(PathError::Variable);
        }
        if let Some(rest) = written.strip_prefix('~') {
            let home = self.home.as_ref().ok_or(PathError::Home)?;
            let rest = rest.strip_prefix('/').or(rest.is_empty().then_some("")).ok_or(PathError::Home)?;
            return walk(home, Path::new(rest));
        }
        let path = Path::new(written);
        match path.strip_prefix("/") {
            Ok(rest) => walk(Path::new("/"), rest),
            Err(_) => walk(&self.dir, path),
        }
    }
}

fn walk(base: &Path, rest: &Path) -> Result<PathBuf, PathError> {
    let mut inside = PathBuf::new();
    for component in rest.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::ParentDir => {
                if !inside.pop() {
                    return Err(PathError::Escapes { dir: base.to_owned() });
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    // `join` of an empty path would leave a slash at the end.
    Ok(if inside.as_os_str().is_empty() { base.to_owned() } else { base.join(inside) })
}

// === impl Origin ===

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::of_file(Path::new("/etc/cella/cella.toml"), Some(Path::new("/home/ada")))
    }

    #[test]
    fn relative_paths_start_at_the_file_and_home_is_where_the_caller_says() {
        for (written, path) in [
            ("a/./b", "/etc/cella/a/b"),
            ("a/../b", "/etc/cella/b"),
            (".", "/etc/cella"),
            ("/srv//x/../y/", "/srv/y"),
            ("~/work", "/home/ada/work"),
            ("~", "/home/ada"),
            ("/", "/"),
        ] {
            assert_eq!(place().resolve(written).as_deref(), Ok(Path::new(path)), "{written}");
        }
    }

    #[test]
    fn a_path_cannot_climb_out_of_where_it_starts() {
        for written in ["..", "../x", "a/../../x", "/..", "/a/../../etc", "~/../x"] {
            assert!(matches!(place().resolve(written), Err(PathError::Escapes { .. })), "{written}");
        }
        assert_eq!(place().resolve("~bob/x"), Err(PathError::Home));
        assert_eq!(place().resolve("a\0b"), Err(PathError::Control));
        assert_eq!(place().resolve("${HOME}/x"), Err(PathError::Variable));
    }
}
