//! Follows a path link by link, because inside a cell every link on the way must exist too.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// Links on the way to one file: as many as the kernel follows (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// The way from a name to a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// The file under each of its names, with real directories: first the one that was asked for, last the file itself.
    pub(super) stops: Vec<PathBuf>,
    /// Directory links passed, with their content. (A link that is itself a stop lies in what is shown of that stop.)
    pub(super) links: Vec<(PathBuf, PathBuf)>,
}

impl Trail {
    /// Walks from `/`. A name that leads nowhere ends the walk.
    pub(super) fn of(path: &Path) -> Self {
        let mut trail = Self::default();
        let mut ahead = path.to_owned();
        for _ in 0..LINKS_MAX {
            let (Some(parent), Some(name)) = (ahead.parent(), ahead.file_name()) else { break };
            let Some(dir) = trail.real_dir(parent) else { break };
            let stop = dir.join(name);
            let Ok(metadata) = fs::symlink_metadata(&stop) else { break };
            trail.stops.push(stop.clone());
            match fs::read_link(&stop) {
                Ok(content) if metadata.is_symlink() => ahead = dir.join(content),
                _ => break,
            }
        }
        trail
    }

    fn real_dir(&mut self, path: &Path) -> Option<PathBuf> {
        let mut real = PathBuf::from("/");
        for part in path.components() {
            match part {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => drop(real.pop()),
                Component::Normal(name) => {
                    let next = real.join(name);
                    if let Ok(content) = fs::read_link(&next) {
                        let target = fs::canonicalize(&next).ok()?;
                        if !self.links.iter().any(|(known, _)| *known == next) && self.links.len() < LINKS_MAX
                        {
                            self.links.push((next, content.clone()));
                            // A link to a link: the second must exist too.
                            self.real_dir(&real.join(content));
                        }
                        real = target;
                    } else {
                        real = next;
                    }
                }
            }
        }
        Some(real)
    }
}
