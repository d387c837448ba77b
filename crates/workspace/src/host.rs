//! What the host has now at the paths of a delta, seen as a commit sees it: through no link, and never waiting for a pipe.

use std::{
    io::{self, Read},
    os::fd::AsFd,
};

use crate::{
    Area, Change, RelPath, Seen, WorkspaceError,
    beneath::{Root, open_file},
    commit,
};

/// The directory of one area.
#[derive(Debug)]
pub struct Host {
    root: Root,
}

impl Host {
    /// Opens it.
    ///
    /// # Errors
    /// It is gone, or is reached through a link.
    pub fn open(area: &Area) -> Result<Self, WorkspaceError> {
        let path = area.path.to_path_buf();
        Ok(Self { root: Root::open(&path).map_err(WorkspaceError::system(&path))? })
    }

    /// What is at a change's path, in the way in which its base was seen.
    #[must_use]
    pub fn seen(&self, change: &Change) -> Seen {
        commit::look(&self.root, change, false).seen
    }

    /// A file's content, if it is no larger than that.
    ///
    /// # Errors
    /// It is no file, or may not be read.
    pub fn content(&self, path: &RelPath, most: u64) -> io::Result<Option<Vec<u8>>> {
        let file = open_file(self.root.parent_of(path)?.as_fd(), path.name())?;
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= most).then_some(bytes))
    }
}
