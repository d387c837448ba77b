//! The walk over the tree: what it knows while it walks, and how it complains.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Fault, Word};
use crate::{Code, Diagnostic, Origin, Place, Severity, secret, suggest};

/// Things that are said about one file. A file with more is not a configuration file.
const DIAGNOSTICS_MAX: usize = 100;

/// A node of the tree with its place.
pub(crate) type Node<'a> = Spanned<DeValue<'a>>;

/// A value that can stand at a key.
pub(crate) trait Read: Sized {
    /// `None`: it is wrong, and the reader has been told.
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// JSON Schema of the value.
    fn schema() -> Value;
}

/// A key of a table.
pub(crate) struct KeySpec {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: fn() -> Value,
}

/// What is known during the walk over one file.
pub(crate) struct Reader<'a> {
    pub(crate) place: &'a Place,
    text: &'a str,
    line_starts: Vec<usize>,
    /// Names of the tables around, and whether the last is an element of an array.
    path: Vec<(String, bool)>,
    /// The key whose value is read.
    key: String,
    /// The value is an element of an array.
    in_array: bool,
    schema: fn() -> Value,
    found: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, place: &'a Place, schema: fn() -> Value) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self {
            place,
            text,
            line_starts: [0].into_iter().chain(starts).collect(),
            path: Vec::new(),
            key: String::new(),
            in_array: false,
            schema,
            found: Vec::new(),
        }
    }

    /// What was found, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| (d.span.start, d.severity));
        self.found
    }

    // --- complaints ---

    pub(crate) fn error(&mut self, span: Range<usize>, label: impl Into<String>, fault: Fault) {
        self.say(Severity::Error, span, label.into(), fault);
    }

    pub(crate) fn warn(&mut self, span: Range<usize>, label: impl Into<String>, fault: Fault) {
        self.say(Severity::Warning, span, label.into(), fault);
    }

    /// A complaint about a line whose span is not at hand any more; marks what stands in it.
    pub(crate) fn error_at_line(&mut self, line: u32, label: impl Into<String>, fault: Fault) {
        let start = self.line_starts.get(line.saturating_sub(1) as usize).copied().unwrap_or(0);
        let whole = self.text[start..].lines().next().unwrap_or_default();
        let indent = whole.len() - whole.trim_start().len();
        self.error(start + indent..start + whole.trim_end().len(), label, fault);
    }

    fn say(&mut self, severity: Severity, span: Range<usize>, label: String, fault: Fault) {
        if self.found.len() >= DIAGNOSTICS_MAX {
            return;
        }
        let (line, column, source_line) = self.position(span.start);
        self.found.push(Diagnostic {
            code: fault.code,
            severity,
            message: fault.message,
            file: self.place.file.clone(),
            line,
            column,
            span,
            source_line: secret::mask(source_line),
            label,
            cause: fault.cause,
            fix: fault.fix,
        });
    }

    /// Line and column (in characters), both from 1, and the line itself.
    fn position(&self, at: usize) -> (u32, u32, &'a str) {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.line_starts.partition_point(|start| *start <= at).max(1);
        let start = self.line_starts[line - 1];
        let rest = &self.text[start..];
        let whole = rest.split('\n').next().unwrap_or_default();
        let column = self.text[start..at].chars().count() + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(column), whole.strip_suffix('\r').unwrap_or(whole))
    }

    pub(crate) fn origin(&self, span: &Range<usize>) -> Origin {
        Origin { file: self.place.file.clone(), line: self.position(span.start).0 }
    }

    /// Where the walk is, in words: `[servers.github]`.
    pub(crate) fn section(&self) -> String {
        let Some((_, in_array)) = self.path.last() else { return "the top level".to_owned() };
        let names: Vec<String> = self.path.iter().map(|(name, _)| bare(name)).collect();
        let path = names.join(".");
        if *in_array { format!("[[{path}]]") } else { format!("[{path}]") }
    }

    /// Reads what is inside the table at the key; the top level has no key.
    pub(crate) fn enter<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let (key, in_array) = (std::mem::take(&mut self.key), std::mem::take(&mut self.in_array));
        let named = !key.is_empty();
        if named {
            self.path.push((key, in_array));
        }
        let value = read(self);
        if named && let Some((key, in_array)) = self.path.pop() {
            (self.key, self.in_array) = (key, in_array);
        }
        value
    }

    /// Reads one element of the list at the key.
    pub(crate) fn element<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.in_array, true);
        let value = read(self);
        self.in_array = before;
        value
    }

    /// Names the key whose value is read next.
    pub(crate) fn at_key(&mut self, key: &str) {
        key.clone_into(&mut self.key);
    }

    // --- values ---

    pub(crate) fn word<T: Word>(&mut self, node: &Node<'_>) -> Option<T> {
        let DeValue::String(text) = node.get_ref() else {
            self.wrong_type(node, T::EXPECTED);
            return None;
        };
        match T::parse(text, self.place) {
            Ok(value) => Some(value),
            Err(mut fault) => {
                fault.message = format!("{}, at `{}` in {}", fault.message, self.key, self.section());
                self.error(node.span(), format!("expected {}", T::EXPECTED), fault);
                None
            }
        }
    }

    /// The name of an entry.
    pub(crate) fn name<T: Word>(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>) -> Option<T> {
        match T::parse(key.get_ref(), self.place) {
            Ok(name) => Some(name),
            Err(mut fault) => {
                fault.message = format!("{}, in {}", fault.message, self.section());
                self.error(key.span(), format!("expected {}", T::EXPECTED), fault);
                None
            }
        }
    }

    pub(crate) fn too_many(&mut self, span: Range<usize>, limit: usize) {
        let message = format!("`{}` in {} has too many entries", self.key, self.section());
        self.error(span, format!("over {limit}"), Fault::new(Code::TOO_LARGE, message));
    }

    pub(crate) fn wrong_type(&mut self, node: &Node<'_>, expected: &str) {
        let message = format!("`{}` in {} is {}", self.key, self.section(), kind(node.get_ref()));
        let mut fault = Fault::new(Code::WRONG_TYPE, message);
        if let DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) = node.get_ref()
            && expected.contains('"')
        {
            fault = fault.fix(format!("in quotes: {expected}"));
        }
        self.error(node.span(), format!("expected {expected}"), fault);
    }

    pub(crate) fn table<'n, 'v>(&mut self, node: &'n Node<'v>) -> Option<&'n DeTable<'v>> {
        if let DeValue::Table(table) = node.get_ref() {
            return Some(table);
        }
        self.wrong_type(node, "a table");
        None
    }

    /// Complains about keys that nothing reads.
    pub(crate) fn known_keys(&mut self, table: &DeTable<'_>, keys: &[KeySpec]) {
        let names: Vec<&str> = keys.iter().map(|k| k.name).collect();
        for key in table.keys().filter(|key| !names.contains(&&**key.get_ref())) {
            let section = self.section();
            let written = key.get_ref();
            let fault =
                Fault::new(Code::UNKNOWN_KEY, format!("unknown key `{}` in {section}", shown(written)));
            let hint = suggest::key(written, &names, &section, &(self.schema)());
            self.error(key.span(), hint.label, Fault { fix: Some(hint.fix), ..fault });
        }
    }
}

/// A hostile key must not fill the screen.
fn shown(key: &str) -> String {
    key.chars().take(80).collect()
}

/// A name as it stands in a header.
fn bare(name: &str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain { name.to_owned() } else { format!("{:?}", shown(name)) }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
