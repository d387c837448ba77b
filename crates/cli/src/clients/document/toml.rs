//! TOML, edited with its comments and order kept.

use serde_json::Value;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, value as item};

use super::EditError;

pub(super) fn value(text: &str) -> Result<Value, EditError> {
    ::toml::from_str::<Value>(text).map_err(|e| syntax(&e))
}

pub(super) fn set(text: &str, path: &[&str], name: &str, value: &Value) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| syntax(&e))?;
    let mut table = document.as_table_mut();
    for key in path {
        let next = table.entry(key).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        table = next.as_table_mut().ok_or_else(|| EditError::Shape { key: path.join(".") })?;
    }
    let mut entry = Table::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        if let Some(value) = toml_value(value) {
            entry.insert(key, item(value));
        }
    }
    table.insert(name, Item::Table(entry));
    Ok(document.to_string())
}

pub(super) fn remove(text: &str, path: &[&str], name: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| syntax(&e))?;
    let mut table = document.as_table_mut();
    for key in path {
        match table.get_mut(key).and_then(Item::as_table_mut) {
            Some(next) => table = next,
            None => return Ok(text.to_owned()),
        }
    }
    table.remove(name);
    Ok(document.to_string())
}

fn toml_value(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => n.as_i64()?.into(),
        Value::String(s) => s.as_str().into(),
        Value::Array(items) => items.iter().filter_map(toml_value).collect::<Array>().into(),
        Value::Object(map) => {
            let table: InlineTable =
                map.iter().filter_map(|(k, v)| Some((k.as_str(), toml_value(v)?))).collect();
            table.into()
        }
    })
}

fn syntax(error: &dyn std::fmt::Display) -> EditError {
    EditError::Syntax { syntax: "TOML", said: error.to_string().trim_end().to_owned() }
}
