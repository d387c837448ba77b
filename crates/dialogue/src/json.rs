//! JSON that passes through.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Valid JSON text, kept byte for byte: schemas and a wire's own items are never re-serialised. Equal when the bytes are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Checks that the text is one JSON value, and keeps it as it is.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(Self)
    }

    /// The text of a value.
    ///
    /// # Errors
    /// A map with keys that are no texts, which our own types have not.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// `{}`.
    #[must_use]
    pub fn empty_object() -> Self {
        Self::parse("{}").unwrap_or_else(|fault| unreachable!("a literal that is no JSON: {fault}"))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
