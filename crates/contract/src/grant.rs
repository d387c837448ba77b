//! Which parts of the host's files a cell is shown.

use std::path::{Path, PathBuf};

use crate::{Origin, read::choices};

/// Directories that are never shown as a whole: who can read or write them has left the cell.
const NEVER: [&str; 5] = ["/", "/proc", "/sys", "/dev", "/run"];

choices! {
    /// What may be done with the files under a path.
    pub enum Mode {
        /// Read and execute.
        Read = "read",
        /// Read, execute and change.
        Write = "write",
    }
}

/// One directory or file of the host that a cell is shown, at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileGrant {
    /// Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// What may be done.
    pub mode: Mode,
    /// Where it was written; `None` when it follows from the server's command line.
    pub origin: Option<Origin>,
}

/// Whether a path may be granted at all.
#[must_use]
pub fn grantable(path: &Path) -> bool {
    path.is_absolute()
        && NEVER.iter().all(|never| path != Path::new(never))
        && ["/proc", "/sys", "/dev"].iter().all(|never| !path.starts_with(never))
}
