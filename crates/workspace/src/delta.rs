//! What a run changed, as it is written down: `spec/workspace-v1.md`.

use serde::{Deserialize, Serialize};

use crate::{Digest, Raw, RelPath};

/// Version of the manifest that this program writes and reads.
pub const DELTA_VERSION: u32 = 1;

/// Begins what is hashed for a delta's digest, so that it is no digest of anything else.
const DOMAIN: &[u8] = b"cella/workspace/v1\0";

/// What a run changed in all directories that it had as copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delta {
    /// One for each directory, sorted by path.
    pub areas: Vec<Area>,
    /// The delta that the run started from.
    pub parent: Option<Digest>,
    version: u32,
}

/// What changed in one directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// Sorted by path.
    pub changes: Vec<Change>,
    /// What is in the layer and in no change.
    pub left_out: Vec<LeftOut>,
    /// The directory of the host, absolute.
    pub path: Raw,
}

/// One path that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What it is now.
    pub after: After,
    /// What it was on the host.
    pub base: Seen,
    /// Beneath the area's directory.
    pub path: RelPath,
}

/// What a path is after a run. Modes are the nine permission bits; set-id and sticky bits are never kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum After {
    /// A regular file.
    File {
        /// Permissions.
        mode: u32,
        /// Of its content, under which the store has it.
        sha256: Digest,
        /// Bytes.
        size: u64,
    },
    /// A directory.
    Directory {
        /// Permissions.
        mode: u32,
        /// It was made anew where one had been: each thing that was in the old one and is not in it is a removal of its own.
        opaque: bool,
    },
    /// A symbolic link, never followed.
    Link {
        /// Its content.
        target: Raw,
    },
    /// Nothing.
    Removed,
}

/// What is at a path of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Seen {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Permissions.
        mode: u32,
        /// Of its content.
        sha256: Digest,
        /// Bytes.
        size: u64,
    },
    /// A directory that stays one.
    Directory {
        /// Permissions.
        mode: u32,
    },
    /// A directory that is no longer one, with all that was in it.
    Tree {
        /// Files, directories and links in it.
        entries: u64,
        /// Of the list of their paths, kinds, permissions, sizes and times of change.
        sha256: Digest,
    },
    /// A symbolic link.
    Link {
        /// Its content.
        target: Raw,
    },
    /// Neither file, directory nor link, or nothing that may be read.
    Other,
    /// It was changed on the host after the run had made its own of it.
    Changed,
}

/// Something in a layer that no delta can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Where; of one that is too deep or too long, the directory that can still be named.
    pub path: Raw,
    /// What it is, in words.
    pub what: String,
}

/// A manifest that is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not JSON of this shape.
    #[error("it is no manifest: {0}")]
    Shape(#[from] serde_json::Error),
    /// A version of a later program.
    #[error("expected version {DELTA_VERSION}, got {0}")]
    Version(u32),
    /// The same thing written in another way: it would have another digest.
    #[error("it is not in canonical form")]
    Form,
    /// Paths that are not sorted, or the same one twice.
    #[error("`{0}` is out of order")]
    Order(String),
    /// A relative path of an area.
    #[error("`{0}` is no absolute path")]
    Relative(String),
}

// === impl Delta ===

impl Delta {
    /// Sorts what it is given.
    #[must_use]
    pub fn new(mut areas: Vec<Area>, parent: Option<Digest>) -> Self {
        for area in &mut areas {
            area.changes.sort_by(|a, b| a.path.cmp(&b.path));
            area.left_out.sort_by(|a, b| a.path.cmp(&b.path));
        }
        areas.sort_by(|a, b| a.path.cmp(&b.path));
        Self { areas, parent, version: DELTA_VERSION }
    }

    /// True when nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.areas.iter().all(|area| area.changes.is_empty() && area.left_out.is_empty())
    }

    /// JSON with sorted keys and without white space.
    #[must_use]
    pub fn canonical(&self) -> String {
        // Through a value, whose maps are sorted; it has texts and whole numbers only, and cannot fail.
        serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default()
    }

    /// `SHA-256("cella/workspace/v1\0" || canonical JSON)`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&[DOMAIN, self.canonical().as_bytes()].concat())
    }

    /// Reads a manifest as [`Delta::canonical`] writes it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let delta: Self = serde_json::from_str(text)?;
        if delta.version != DELTA_VERSION {
            return Err(Fault::Version(delta.version));
        }
        for area in &delta.areas {
            if !area.path.as_path().is_absolute() {
                return Err(Fault::Relative(area.path.to_string()));
            }
            if let Some(pair) = area.changes.windows(2).find(|pair| pair[0].path >= pair[1].path) {
                return Err(Fault::Order(pair[1].path.to_string()));
            }
        }
        if let Some(pair) = delta.areas.windows(2).find(|pair| pair[0].path >= pair[1].path) {
            return Err(Fault::Order(pair[1].path.to_string()));
        }
        if delta.canonical() == text { Ok(delta) } else { Err(Fault::Form) }
    }

    /// The contents that it needs.
    pub fn contents(&self) -> impl Iterator<Item = Digest> {
        self.areas.iter().flat_map(|area| &area.changes).filter_map(|change| match change.after {
            After::File { sha256, .. } => Some(sha256),
            _ => None,
        })
    }

    /// How many paths were added, changed and removed.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let all = || self.areas.iter().flat_map(|area| &area.changes);
        let removed = all().filter(|change| change.after == After::Removed).count();
        let added = all().filter(|change| change.base == Seen::Absent).count();
        (added, all().count() - added - removed, removed)
    }
}
