//! JSON with comments and trailing commas, edited in its syntax tree.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::Value;

use super::EditError;

pub(super) fn value(text: &str) -> Result<Value, EditError> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let parsed = jsonc_parser::parse_to_serde_value::<Value>(text, &ParseOptions::default());
    parsed.map_err(|e| syntax(&e))
}

pub(super) fn set(text: &str, path: &[&str], name: &str, value: &Value) -> Result<String, EditError> {
    let root = tree(text)?;
    let servers = descend(&root, path)?;
    let input = input(value);
    match servers.get(name) {
        Some(property) => property.set_value(input),
        None => {
            servers.append(name, input);
        }
    }
    Ok(root.to_string())
}

pub(super) fn remove(text: &str, path: &[&str], name: &str) -> Result<String, EditError> {
    let root = tree(text)?;
    if let Some(property) = descend(&root, path)?.get(name) {
        property.remove();
    }
    Ok(root.to_string())
}

fn tree(text: &str) -> Result<CstRootNode, EditError> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    CstRootNode::parse(text, &ParseOptions::default()).map_err(|e| syntax(&e))
}

fn descend(root: &CstRootNode, path: &[&str]) -> Result<CstObject, EditError> {
    let shape = || EditError::Shape { key: path.join(".") };
    let mut at = root.object_value_or_create().ok_or_else(shape)?;
    for key in path {
        at = at.object_value_or_create(key).ok_or_else(shape)?;
    }
    Ok(at)
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(b) => CstInputValue::Bool(*b),
        Value::Number(n) => CstInputValue::Number(n.to_string()),
        Value::String(s) => CstInputValue::String(s.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(map) => CstInputValue::Object(map.iter().map(|(k, v)| (k.clone(), input(v))).collect()),
    }
}

fn syntax(error: &dyn std::fmt::Display) -> EditError {
    EditError::Syntax { syntax: "JSON", said: error.to_string() }
}
