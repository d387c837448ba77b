//! Holding a document against its shape: every unknown key and wrong type, with its place.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{Field, Kind, Shape};
use crate::{
    codes,
    diagnostic::{Diagnostic, Origin, Severity},
    units,
};

/// Edit distance up to which a key counts as a slip of the fingers.
const SLIP: f64 = 0.55;

/// A document and what is wrong with its form.
pub(crate) struct Checked<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) root: Spanned<DeTable<'a>>,
    pub(crate) found: Vec<Diagnostic>,
}

/// Parses a text and holds it against a shape.
pub(crate) fn check<'a>(file: &'a str, text: &'a str, shape: &'static Shape) -> Checked<'a> {
    let origin = Origin { file, text };
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut found: Vec<Diagnostic> = errors
        .iter()
        .map(|e| {
            let message = e.message().lines().collect::<Vec<_>>().join(" ");
            let fix = Some("write it as TOML 1.0".to_owned());
            let (code, fix) = match message.contains("duplicate") {
                true => ("CE1002", Some("keep one of them".to_owned())),
                false => (codes::NOT_TOML, fix),
            };
            origin.at(e.span().unwrap_or(0..0), Severity::Error, code, message, fix)
        })
        .collect();
    let mut walk = Walk { origin, found: Vec::new() };
    walk.table(root.get_ref(), shape);
    found.append(&mut walk.found);
    Checked { origin, root, found }
}

struct Walk<'a> {
    origin: Origin<'a>,
    found: Vec<Diagnostic>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, shape: &'static Shape) {
        for (key, value) in table {
            match shape.fields.iter().find(|f| f.key == key.get_ref().as_ref()) {
                Some(field) => self.value(field, value),
                None => self.unknown(key, shape),
            }
        }
    }

    fn unknown(&mut self, key: &Spanned<DeString<'_>>, shape: &'static Shape) {
        let name = key.get_ref().as_ref();
        let near = shape
            .fields
            .iter()
            .map(|f| (strsim::normalized_damerau_levenshtein(name, f.key), f.key))
            .filter(|(likeness, _)| *likeness >= SLIP)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let inner = shape.fields.iter().find(
            |f| matches!(f.kind, Kind::Table(table) if table.fields.iter().any(|inner| inner.key == name)),
        );
        let fix = match (inner, near) {
            (Some(table), _) => {
                format!("did you mean `{}.{name}`? It is written below [{}]", table.key, table.key)
            }
            (None, Some((_, key))) => format!("did you mean `{key}`?"),
            (None, None) => {
                let keys: Vec<&str> = shape.fields.iter().map(|f| f.key).collect();
                format!("{} may have: {}", shape.what, keys.join(", "))
            }
        };
        let message = format!("{} has no key `{name}`", shape.what);
        self.error(key.span(), "CE1003", message, Some(fix));
    }

    fn value(&mut self, field: &'static Field, value: &Spanned<DeValue<'_>>) {
        match (field.kind, value.get_ref()) {
            (Kind::Table(shape), DeValue::Table(table)) => self.table(table, shape),
            (Kind::Named(shape), DeValue::Table(table)) => {
                for (name, value) in table {
                    match value.get_ref() {
                        DeValue::Table(table) => self.table(table, shape),
                        other => self.wrong(name.get_ref(), "a table", other, value.span()),
                    }
                }
            }
            (Kind::List(shape), DeValue::Array(items)) => {
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(table) => self.table(table, shape),
                        other => self.wrong(field.key, "a table", other, item.span()),
                    }
                }
            }
            (Kind::Free, DeValue::Table(_)) => {}
            (Kind::TextMap, DeValue::Table(table)) => {
                for (name, value) in table {
                    if value.get_ref().as_str().is_none() {
                        self.wrong(name.get_ref(), "a string", value.get_ref(), value.span());
                    }
                }
            }
            (Kind::Texts | Kind::WordOrTexts(_), DeValue::Array(items)) => {
                for item in items.iter().filter(|i| i.get_ref().as_str().is_none()) {
                    self.wrong(field.key, "a string", item.get_ref(), item.span());
                }
            }
            (kind, plain) => {
                if !fits(kind, plain) {
                    self.wrong(field.key, &kind.words(), plain, value.span());
                }
            }
        }
    }

    fn wrong(&mut self, key: &str, wanted: &str, got: &DeValue<'_>, place: Range<usize>) {
        let got = match got {
            DeValue::String(text) => format!("{text:?}"),
            other => other.type_str().to_owned(),
        };
        let fix = Some(format!("write {wanted}"));
        self.error(place, codes::WRONG_VALUE, format!("`{key}` must be {wanted}, not {got}"), fix);
    }

    fn error(&mut self, place: Range<usize>, code: &'static str, message: String, fix: Option<String>) {
        self.found.push(self.origin.at(place, Severity::Error, code, message, fix));
    }
}

fn fits(kind: Kind, value: &DeValue<'_>) -> bool {
    let text = value.as_str();
    match kind {
        Kind::Text => text.is_some(),
        Kind::Flag => value.as_bool().is_some(),
        Kind::Count => count(value).is_some(),
        Kind::Number => number(value).is_some(),
        Kind::Duration => text.and_then(units::parse_duration).is_some(),
        Kind::Size => text.and_then(units::parse_size).is_some(),
        Kind::Word(words) | Kind::WordOrTexts(words) => text.is_some_and(|t| words.contains(&t)),
        Kind::Texts | Kind::TextMap | Kind::Table(_) | Kind::Named(_) | Kind::List(_) | Kind::Free => false,
    }
}

/// A whole number from 1 to 2^31.
pub(crate) fn count(value: &DeValue<'_>) -> Option<u32> {
    number(value).filter(|n| *n >= 1)
}

/// A whole number from 0 to 2^31.
pub(crate) fn number(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    let n = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()?;
    u32::try_from(n).ok().filter(|n| *n <= 1 << 31)
}
