//! A JSON-RPC request id, kept as its own JSON text so that `1`, `"1"` and `9007199254740993` come back as they went.

use std::{borrow::Cow, fmt};

use crate::{ID_BYTES_MAX, Raw, raw, text};

/// The JSON text of a request id: a string or an integer (JSON-RPC 2.0 section 4; MCP forbids null and fractions).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Box<str>);

impl Id {
    /// An integer id of our own making.
    #[must_use]
    pub fn number(n: u64) -> Self {
        Self(n.to_string().into_boxed_str())
    }

    /// A string id of our own making; `text` is escaped as JSON.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self(text::quoted(text).into_boxed_str())
    }

    /// Accepts JSON text that is a string or an integer, of at most [`ID_BYTES_MAX`] bytes.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let valid = text.starts_with(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if valid { Self::from_checked(text) } else { None }
    }

    /// Like [`Id::from_json`] for text that is known to be one JSON value.
    pub(crate) fn from_checked(text: &str) -> Option<Self> {
        let integer = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let string = text.starts_with('"') && text::unescape(text).is_some();
        ((integer || string) && text.len() <= ID_BYTES_MAX).then(|| Self(text.into()))
    }

    /// The JSON text, ready to be written into a message.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id as a JSON value, for example as `subscriptionId` or `requestId`.
    #[must_use]
    pub fn to_raw(&self) -> Raw {
        raw::copied(&self.0)
    }

    /// The number, if this is a non-negative integer that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The characters, if this is a string.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        text::unescape(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
