//! What can go wrong with a workspace, and what to do about it.

use std::{fmt, io, path::PathBuf};

use crate::{
    Fault, RelPath, Seen,
    plain::{plain, plain_path},
};

/// Conflicts that a message names; the others are counted.
const SHOWN: usize = 10;

/// A failure. Each has a code (`docs/errors/`), a cause (its text) and a fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// No workspace of that name.
    #[error("there is no workspace `{}`", plain(asked))]
    Unknown {
        /// As typed.
        asked: String,
    },
    /// More than one.
    #[error("`{}` is the beginning of several workspaces: {}", plain(asked), found.join(", "))]
    Ambiguous {
        /// As typed.
        asked: String,
        /// Their ids.
        found: Vec<String>,
    },
    /// A server's name where only an id will do: what it last left is not what somebody looked at before.
    #[error("`{}` is a server, not a workspace; it has {}", plain(asked), found.join(", "))]
    Named {
        /// As typed.
        asked: String,
        /// The ids of its workspaces, the newest last.
        found: Vec<String>,
    },
    /// The host is no longer what the cell saw.
    #[error("{}", conflicts_text(conflicts))]
    Conflicts {
        /// Which paths, and why.
        conflicts: Vec<Conflict>,
    },
    /// The directory to be copied contains the place for its changes.
    #[error("`{}` cannot be shown as a copy: Cella's own state is in it", plain_path(path))]
    Overlap {
        /// Host path.
        path: PathBuf,
    },
    /// Only directories can be copied.
    #[error("`{}` cannot be shown as a copy: it is not a directory", plain_path(path))]
    NoDirectory {
        /// Host path.
        path: PathBuf,
    },
    /// A cell with a kernel of its own.
    #[error("a cell of class {class} shows no copies, and `{}` is granted as one", plain_path(path))]
    Class {
        /// Which class.
        class: String,
        /// Host path.
        path: PathBuf,
    },
    /// The delta is for other directories than the run has as copies.
    #[error("`{}` was changed in the workspace to start from, and is no copy in this run", plain_path(path))]
    OtherAreas {
        /// Host path.
        path: PathBuf,
    },
    /// Something in the store is not what its name says.
    #[error("the workspace store is damaged: `{}`: {cause}", plain_path(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A manifest that cannot be read.
    #[error("the manifest `{}` cannot be used: {fault}", plain_path(path))]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: Fault,
    },
    /// A cell is still working in it, or somebody else commits it.
    #[error("the workspace `{id}` is in use")]
    Busy {
        /// Its id.
        id: String,
    },
    /// A checkpoint of a cell that cannot be made to stand still and did not stop writing.
    #[error("the cell of workspace `{id}` changed its copies each of the {tries} times that they were read")]
    Restless {
        /// Its id.
        id: String,
        /// How often.
        tries: u32,
    },
    /// The operating system said no.
    #[error("`{}`: {source}", plain_path(path))]
    System {
        /// To what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A path whose content on the host is neither what the cell saw nor what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The area's directory.
    pub root: PathBuf,
    /// Beneath it.
    pub path: RelPath,
    /// What the cell saw.
    pub expected: Seen,
    /// What is there.
    pub found: Seen,
}

// === impl WorkspaceError ===

impl WorkspaceError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Ambiguous { .. } | Self::Named { .. } => "CE2501",
            Self::Conflicts { .. } => "CE2502",
            Self::Overlap { .. } => "CE2503",
            Self::NoDirectory { .. } | Self::Class { .. } => "CE2504",
            Self::OtherAreas { .. } => "CE2505",
            Self::Damaged { .. } | Self::Manifest { .. } => "CE2506",
            Self::Busy { .. } => "CE2507",
            Self::System { .. } => "CE2508",
            Self::Restless { .. } => "CE2509",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Ambiguous { .. } => "see which there are: cella workspace ls",
            Self::Named { .. } => "name the one that you looked at by its id: cella workspace diff ID",
            Self::Conflicts { .. } => {
                "look at them: cella workspace diff ID; take the workspace's side with --force, or discard it"
            }
            Self::Overlap { .. } => {
                "grant a directory within it, or keep Cella's state elsewhere (XDG_STATE_HOME)"
            }
            Self::NoDirectory { .. } => "grant the directory that it lies in, or write mode = \"write\"",
            Self::Class { .. } => "write mode = \"read\" or \"write\", or class = \"process\"",
            Self::OtherAreas { .. } => "run it under the contract that the workspace was made under",
            Self::Damaged { .. } | Self::Manifest { .. } => {
                "it cannot be repaired; discard the workspace: cella workspace discard ID"
            }
            Self::Busy { .. } => "wait until its cell has ended, or stop it",
            Self::Restless { .. } => {
                "wait until it has nothing to do, or give it a limit (processes, memory_bytes), so that it can be frozen"
            }
            Self::System { .. } => "give yourself access to it, or make room on that disk",
        }
    }

    /// Whether the operating system said that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::System { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The operating system said no; about which path.
    pub(crate) fn system(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System { path, source }
    }
}

fn conflicts_text(conflicts: &[Conflict]) -> String {
    let mut text = "the host is no longer what the cell saw".to_owned();
    for conflict in conflicts.iter().take(SHOWN) {
        text.push_str(&format!("\n  {conflict}"));
    }
    if conflicts.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", conflicts.len() - SHOWN));
    }
    text
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = plain_path(&self.root.join(self.path.as_path()));
        if self.expected == Seen::Changed {
            return write!(f, "{path}: it was changed on the host while the cell ran");
        }
        write!(f, "{path}: the cell saw {}, now there is {}", word(&self.expected), word(&self.found))
    }
}

fn word(seen: &Seen) -> &'static str {
    match seen {
        Seen::Absent => "nothing",
        Seen::File { .. } => "a file with other content or mode",
        Seen::Directory { .. } => "a directory",
        Seen::Tree { .. } => "a directory with other content",
        Seen::Link { .. } => "a symbolic link",
        Seen::Other => "something that cannot be compared",
        Seen::Changed => "something that changed meanwhile",
    }
}

#[cfg(test)]
mod tests {
    use super::{Conflict, WorkspaceError};
    use crate::{RelPath, Seen};

    #[test]
    fn a_name_in_an_error_does_nothing_to_a_terminal() {
        let path = RelPath::new("a\u{1b}]0;title\u{7}\rb").expect("a path");
        let (expected, found) = (Seen::Absent, Seen::Other);
        let conflict = Conflict { root: "/srv\u{202e}".into(), path, expected, found };
        let error = WorkspaceError::Conflicts { conflicts: vec![conflict] }.to_string();
        assert!(error.contains("/srv%E2%80%AE/a%1B]0;title%07%0Db: the cell saw nothing"), "{error}");
    }
}
