//! Taking values out of a document whose form was checked.

use std::{ops::Range, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::check::{count, number};
use crate::units;

/// A table, read by key. A value of the wrong kind reads as absent: its diagnostic was written by the check.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a>(pub(crate) &'a DeTable<'a>);

impl<'a> Table<'a> {
    pub(crate) fn get(self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.0.get(key)
    }

    /// Where a value stands.
    pub(crate) fn place(self, key: &str) -> Range<usize> {
        self.get(key).map_or(0..0, Spanned::span)
    }

    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        self.get(key)?.get_ref().as_str()
    }

    pub(crate) fn texts(self, key: &str) -> Option<Vec<String>> {
        let items = self.get(key)?.get_ref().as_array()?;
        Some(items.iter().filter_map(|i| Some(i.get_ref().as_str()?.to_owned())).collect())
    }

    /// The texts of a list, each with its place.
    pub(crate) fn placed_texts(self, key: &str) -> Vec<(&'a str, Range<usize>)> {
        let items = self.get(key).and_then(|v| v.get_ref().as_array());
        items
            .into_iter()
            .flat_map(|a| a.iter())
            .filter_map(|i| Some((i.get_ref().as_str()?, i.span())))
            .collect()
    }

    pub(crate) fn flag(self, key: &str) -> Option<bool> {
        self.get(key)?.get_ref().as_bool()
    }

    pub(crate) fn count(self, key: &str) -> Option<u32> {
        count(self.get(key)?.get_ref())
    }

    pub(crate) fn number(self, key: &str) -> Option<u32> {
        number(self.get(key)?.get_ref())
    }

    pub(crate) fn duration(self, key: &str) -> Option<Duration> {
        units::parse_duration(self.text(key)?)
    }

    pub(crate) fn size(self, key: &str) -> Option<u64> {
        units::parse_size(self.text(key)?)
    }

    pub(crate) fn table(self, key: &str) -> Option<Self> {
        self.get(key)?.get_ref().as_table().map(Table)
    }

    /// The texts of a table, each with the place of its value.
    pub(crate) fn text_map(self, key: &str) -> Vec<(&'a str, &'a str, Range<usize>)> {
        let table = self.table(key);
        let pairs = table.into_iter().flat_map(|t| t.0.iter());
        pairs.filter_map(|(k, v)| Some((k.get_ref().as_ref(), v.get_ref().as_str()?, v.span()))).collect()
    }

    /// The tables under names, each with the place of its name.
    pub(crate) fn named(self, key: &str) -> Vec<(&'a str, Table<'a>, Range<usize>)> {
        let table = self.table(key);
        let pairs = table.into_iter().flat_map(|t| t.0.iter());
        pairs
            .filter_map(|(k, v)| Some((k.get_ref().as_ref(), Table(v.get_ref().as_table()?), k.span())))
            .collect()
    }

    /// The tables of a list, each with its place.
    pub(crate) fn list(self, key: &str) -> Vec<(Table<'a>, Range<usize>)> {
        let items = self.get(key).and_then(|v| v.get_ref().as_array());
        items
            .into_iter()
            .flat_map(|a| a.iter())
            .filter_map(|i| Some((Table(i.get_ref().as_table()?), i.span())))
            .collect()
    }
}

/// A value as JSON. What JSON has not (a date) becomes its text.
pub(crate) fn json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            read.map_or_else(|_| Value::from(number.as_str()), Value::from)
        }
        DeValue::Float(number) => {
            let read = number.as_str().replace('_', "").parse::<f64>().ok();
            let read = read.and_then(serde_json::Number::from_f64);
            read.map_or_else(|| Value::from(number.as_str()), Value::Number)
        }
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let members = table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())));
            Value::Object(members.collect())
        }
    }
}
