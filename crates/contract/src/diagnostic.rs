//! What is wrong with a file: where, what, and what to do. Rendered for people, kept as data for programs.

mod masked;

use std::{fmt, ops::Range};

pub use self::masked::masked_line;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used all the same.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// `CE10##`, with a page in `docs/errors`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file, as it was named by the caller.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text, with asterisks for values that look like secrets.
    pub source_line: String,
    /// How many characters of it are meant.
    pub width: usize,
    /// What to do.
    pub fix: Option<String>,
}

/// Everything that is wrong with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// A text and its name, against which places are resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

// === impl Diagnostics ===

impl Diagnostics {
    /// True when the file must not be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, diagnostic) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

// === impl Origin ===

impl Origin<'_> {
    /// A diagnostic at a place of this text (byte offsets).
    pub(crate) fn at(
        &self,
        place: Range<usize>,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        fix: Option<String>,
    ) -> Diagnostic {
        let start = self.text.floor_char_boundary(place.start);
        let end = self.text.floor_char_boundary(place.end.max(start));
        let before = &self.text[..start];
        let from = before.rfind('\n').map_or(0, |n| n + 1);
        let to = self.text[start..].find('\n').map_or(self.text.len(), |n| start + n);
        Diagnostic {
            severity,
            code,
            message: message.into(),
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: self.text[from..start].chars().count() + 1,
            source_line: masked_line(self.text[from..to].trim_end_matches('\r')),
            width: self.text[start..end.min(to).max(start)].chars().count().max(1),
            fix,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}[{}]: {}", self.code, self.message)?;
        let gutter = self.line.to_string().len();
        writeln!(f, "{:gutter$}--> {}:{}:{}", "", self.file, self.line, self.column)?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{} | {}", self.line, self.source_line)?;
        write!(f, "{:gutter$} | {}{}", "", " ".repeat(self.column - 1), "^".repeat(self.width))?;
        if let Some(fix) = &self.fix {
            write!(f, "\n{:gutter$} = fix: {fix}", "")?;
        }
        Ok(())
    }
}
