//! Identifiers and names that stand at the top of an event.

use std::{fmt, sync::Arc};

/// Longest run or call id, in bytes. Stops a client from making every event of its run large; past it the id is refused.
pub const ID_BYTES_MAX: usize = 64;

/// Longest principal, server or tool name, in bytes. Stops a server with endless tool names from filling the ledger;
/// past it [`Label::new`] refuses and [`Label::clipped`] cuts with a mark.
pub const LABEL_BYTES_MAX: usize = 256;

/// What a clipped label ends with.
const CLIP_MARK: &str = "…";

/// Why a text is not an id or a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing there.
    #[error("expected a name, got nothing")]
    Empty,
    /// Past the limit.
    #[error("expected at most {max} bytes, got {got}")]
    TooLong {
        /// The limit in bytes.
        max: usize,
        /// The length found.
        got: usize,
    },
    /// An id holds a character outside letters, digits and `_.:-`.
    #[error("expected letters, digits and _ . : - only, got byte {got:#04x} at {at}")]
    BadByte {
        /// Its place.
        at: usize,
        /// The byte.
        got: u8,
    },
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        ///
        /// 1 to 64 bytes of ASCII letters, digits and `_.:-`. Cheap to clone.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`NameError`] says which rule it breaks.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, NameError> {
                let text = text.into();
                check_id(&text)?;
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    )+};
}

ids! {
    /// Names one run: one goal being pursued.
    RunId,
    /// Names one call within a ledger; all events of the call carry it.
    CallId,
}

/// A principal, server or tool name: 1 to 256 bytes of any text. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(Arc<str>);

// === impl Label ===

impl Label {
    /// Checks and wraps a text.
    ///
    /// # Errors
    /// [`NameError`] when it is empty or past [`LABEL_BYTES_MAX`].
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let text = text.into();
        check_length(&text, LABEL_BYTES_MAX)?;
        Ok(Self(text))
    }

    /// For a name that a peer chose: never fails. Past the limit it is cut and ends in `…`; an empty one becomes `…`.
    #[must_use]
    pub fn clipped(text: &str) -> Self {
        if !text.is_empty() && text.len() <= LABEL_BYTES_MAX {
            return Self(text.into());
        }
        let cut = text.floor_char_boundary(LABEL_BYTES_MAX - CLIP_MARK.len());
        Self(format!("{}{CLIP_MARK}", &text[..cut]).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Label {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

fn check_length(text: &str, max: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        got if got > max => Err(NameError::TooLong { max, got }),
        _ => Ok(()),
    }
}

fn check_id(text: &str) -> Result<(), NameError> {
    check_length(text, ID_BYTES_MAX)?;
    let bad = |b: &u8| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-'));
    match text.bytes().enumerate().find(|(_, b)| bad(b)) {
        Some((at, got)) => Err(NameError::BadByte { at, got }),
        None => Ok(()),
    }
}
