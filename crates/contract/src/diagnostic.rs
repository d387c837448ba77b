//! What is wrong in a file, where, why, and what to write instead.

mod text;

use std::{fmt, ops::Range, sync::Arc};

use crate::Code;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used; somebody should look.
    Warning,
}

/// One thing to say about a file. `Display` is the plain form of it; what looks like a secret is masked in
/// `source_line`, so that a message may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its number.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The file, as the caller named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// The whole line, without its end.
    pub source_line: String,
    /// What stands under the marked part.
    pub label: String,
    /// Why it is wrong, where the message does not say it.
    pub cause: Option<String>,
    /// What to write instead.
    pub fix: Option<String>,
}

/// Everything that is wrong with a file: never empty, in the order of the file, warnings included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Diagnostic>);

/// A value, and what should still be said about the file it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked<T> {
    /// The value.
    pub value: T,
    /// Nothing here stops the value from being used.
    pub warnings: Vec<Diagnostic>,
}

// === impl Mistakes ===

impl Mistakes {
    /// `None` when there is no error among them.
    pub(crate) fn among(found: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, Self> {
        if found.iter().any(|d| d.severity == Severity::Error) { Err(Self(found)) } else { Ok(found) }
    }

    /// Errors and warnings in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[Diagnostic] {
        &self.0
    }

    /// The errors in the order of the file.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Error)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

// === impl Severity ===

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}
