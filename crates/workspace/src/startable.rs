//! Can a cell start from what another one changed?

use std::path::PathBuf;

use crate::{
    After, Delta, Kept, Store, WorkspaceError,
    commit::{self, SoFar},
};

impl Store {
    /// Whether a cell can start from it: all that it needs is there, and the host is what it was made over. Blocking.
    ///
    /// # Errors
    /// It cannot.
    pub fn check(&self, kept: &Kept) -> Result<(), WorkspaceError> {
        let delta = self.delta(kept)?;
        for change in delta.areas.iter().flat_map(|area| &area.changes) {
            if let After::File { sha256, size, .. } = change.after {
                self.objects().check(sha256, size)?;
            }
        }
        let conflicts = commit::conflicts(&delta, SoFar::Nothing)?;
        if conflicts.is_empty() { Ok(()) } else { Err(WorkspaceError::Conflicts { conflicts }) }
    }
}

/// A delta is laid only over what it was made over.
pub(crate) fn startable(delta: &Delta, roots: &[PathBuf]) -> Result<(), WorkspaceError> {
    let other = delta.areas.iter().map(|area| area.path.to_path_buf()).find(|path| !roots.contains(path));
    if let Some(path) = other {
        return Err(WorkspaceError::OtherAreas { path });
    }
    let conflicts = commit::conflicts(delta, SoFar::Nothing)?;
    if conflicts.is_empty() { Ok(()) } else { Err(WorkspaceError::Conflicts { conflicts }) }
}
