//! TOML, edited with its comments and order kept.

use serde_json::Value;
use toml_edit::{Array, Decor, DocumentMut, InlineTable, Item, Table, value as item};

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
    let above = table.position();
    let Some((key, entry)) = table.remove_entry(name) else { return Ok(text.to_owned()) };
    let mut headers = Vec::new();
    each_header(&entry, &mut |table| headers.push((table.position(), remarks(table.decor()))));
    let (place, kept) = headers.into_iter().min().unwrap_or_else(|| (above, remarks(key.leaf_decor())));
    if !kept.is_empty() {
        keep_below(&mut document, place, &kept);
    }
    Ok(document.to_string())
}

/// What a person wrote above a header. It may be about the whole file, so it never goes with the entry below it.
fn remarks(decor: &Decor) -> String {
    let above = decor.prefix().and_then(|p| p.as_str()).unwrap_or_default();
    if above.contains('#') { above.to_owned() } else { String::new() }
}

/// Puts remarks above the first header behind `place`, or at the end of the file.
fn keep_below(document: &mut DocumentMut, place: Option<isize>, kept: &str) {
    let mut next: Option<isize> = None;
    each_header(document.as_item(), &mut |table| {
        if table.position() > place {
            next = Some(next.map_or(isize::MAX, |n| n).min(table.position().unwrap_or(isize::MAX)));
        }
    });
    if next.is_none() {
        let trailing = format!("{kept}{}", document.trailing().as_str().unwrap_or_default());
        document.set_trailing(trailing);
    } else if let Some(table) = header_at(document.as_item_mut(), next) {
        let below = table.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default();
        let prefix = format!("{kept}{below}");
        table.decor_mut().set_prefix(prefix);
    }
}

/// Every table with a header of its own, from here down.
fn each_header(item: &Item, see: &mut dyn FnMut(&Table)) {
    let tables: Vec<&Table> = match item {
        Item::Table(table) => vec![table],
        Item::ArrayOfTables(tables) => tables.iter().collect(),
        Item::None | Item::Value(_) => Vec::new(),
    };
    for table in tables {
        if !table.is_implicit() && !table.is_dotted() {
            see(table);
        }
        table.iter().for_each(|(_, item)| each_header(item, see));
    }
}

fn header_at(item: &mut Item, place: Option<isize>) -> Option<&mut Table> {
    let tables: Vec<&mut Table> = match item {
        Item::Table(table) => vec![table],
        Item::ArrayOfTables(tables) => tables.iter_mut().collect(),
        Item::None | Item::Value(_) => Vec::new(),
    };
    for table in tables {
        if !table.is_implicit() && !table.is_dotted() && table.position() == place {
            return Some(table);
        }
        let below = table.iter_mut().map(|(_, item)| item);
        if let Some(found) = below.into_iter().find_map(|item| header_at(item, place)) {
            return Some(found);
        }
    }
    None
}

fn toml_value(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => match n.as_i64() {
            Some(whole) => whole.into(),
            None => n.as_f64()?.into(),
        },
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
