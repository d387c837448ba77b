//! Why a question has no answer.

use std::{io, path::PathBuf};

use cella_event::Kind;
use cella_ledger::{ExportError, OpenError, ReadError};

/// A ledger cannot be opened.
pub const UNOPENED: &str = "CE4103";
/// A file that was named cannot be read.
pub const UNREADABLE: &str = "CE4101";

/// A question about a ledger that cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The ledger cannot be opened.
    #[error("the ledger cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The ledger cannot be handed over.
    #[error("the export broke off: {0}")]
    Export(#[from] ExportError),
    /// A file that was named cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Given {
        /// As it was given.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No node has run with this configuration yet.
    #[error("there is no ledger in {path} yet", path = path.display())]
    NoLedger {
        /// Where it would be.
        path: PathBuf,
    },
    /// An event or a call that is not in the ledger.
    #[error("{0}")]
    NoEvent(String),
    /// A kind of event that no version has written here.
    #[error("`{asked}` is no kind of event")]
    NoKind {
        /// As asked for.
        asked: String,
        /// The kind it looks like.
        near: Option<&'static str>,
    },
    /// A question about the ledger that is none.
    #[error("{0}")]
    Question(String),
}

impl AskError {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(_) => UNOPENED,
            Self::Read(_) => "CE4105",
            Self::Export(error) => error.code(),
            Self::Given { .. } => UNREADABLE,
            Self::Question(_) | Self::NoEvent(_) | Self::NoKind { .. } => "CE4109",
            Self::NoLedger { .. } => "CE4113",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Open(_) | Self::Read(_) | Self::Export(_) => "run: cella log verify".into(),
            Self::Given { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "give yourself access to it, or run this as the user it belongs to".into()
            }
            Self::Given { .. } => "check the path".into(),
            Self::Question(_) => "see: cella log --help".into(),
            Self::NoEvent(_) => {
                "find its number: cella log query --kind call.intended, or cella log tail".into()
            }
            Self::NoKind { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::NoKind { near: None, .. } => {
                let kinds: Vec<&str> = Kind::KNOWN.iter().map(|kind| kind.as_str()).collect();
                format!("there are: {}", kinds.join(", "))
            }
            Self::NoLedger { .. } => {
                "it begins with the first start: cella up; or name the configuration with --config".into()
            }
        }
    }
}
