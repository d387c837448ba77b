//! A JSON-RPC request id, kept as its own JSON text so that `1`, `"1"` and `9007199254740993` come back as they went.

use std::fmt;

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
        Self(serde_json::Value::from(text).to_string().into_boxed_str())
    }

    /// Accepts JSON text that is a string or an integer.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let text = text.trim();
        let body = text.strip_prefix('-').unwrap_or(text);
        let integer = !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit());
        let string = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
        (integer || string).then(|| Self(text.into()))
    }

    /// The JSON text, ready to be written into a message.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The number, if this is a non-negative integer that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
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
