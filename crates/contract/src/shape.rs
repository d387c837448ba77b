//! Which keys a file may have, of which kind, and what each means: one table for the parser, the schema and the manual.

mod agents;
mod check;
mod read;
mod tables;

pub(crate) use agents::AGENT;
pub(crate) use check::{Checked, check};
pub(crate) use read::{Table, json};
pub(crate) use tables::{CONFIG, CONTRACT};

/// A table of a file.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is, for messages: `a server`.
    pub(crate) what: &'static str,
    /// Its keys.
    pub(crate) fields: &'static [Field],
}

/// A key.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// One sentence for schema and manual.
    pub(crate) doc: &'static str,
}

/// What a key may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Texts,
    Flag,
    /// A whole number from 1.
    Count,
    /// A whole number from 0.
    Number,
    /// `"30s"`
    Duration,
    /// `"64MiB"`
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, or a list of texts.
    WordOrTexts(&'static [&'static str]),
    /// Texts under names of the user's choice.
    TextMap,
    /// A table with fixed keys.
    Table(&'static Shape),
    /// Tables under names of the user's choice.
    Named(&'static Shape),
    /// A list of tables.
    List(&'static Shape),
    /// Any table: what it holds is somebody else's.
    Free,
}

impl Kind {
    /// The kind in words, for messages.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Text => "a string".into(),
            Self::Texts => "a list of strings".into(),
            Self::Flag => "true or false".into(),
            Self::Count => "a whole number from 1".into(),
            Self::Number => "a whole number from 0".into(),
            Self::Duration => "a duration like \"30s\", \"5m\" or \"2h\"".into(),
            Self::Size => "a size like \"64MiB\" or \"1GiB\"".into(),
            Self::Word(words) => format!("one of {}", quoted(words)),
            Self::WordOrTexts(words) => format!("one of {} or a list of strings", quoted(words)),
            Self::TextMap => "a table of strings".into(),
            Self::Table(_) | Self::Named(_) | Self::Free => "a table".into(),
            Self::List(_) => "a list of tables".into(),
        }
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ")
}
