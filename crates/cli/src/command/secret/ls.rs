//! `cella secret ls`

use serde_json::{Value, json};

use crate::{
    args::Global,
    exit::{Code, Outcome},
    print::Printer,
};

pub(super) fn run(global: &Global, printer: Printer) -> Outcome {
    let vault = super::open(global)?;
    let users = super::users(&super::config(global)?);
    let mut rows = vec![["SECRET", "UPDATED", "USED BY"].map(str::to_owned).to_vec()];
    let mut list: Vec<Value> = Vec::new();
    for entry in vault.list() {
        let used_by = users.get(entry.name.as_str()).cloned().unwrap_or_default();
        list.push(json!({
            "name": entry.name.as_str(), "created": time(entry.created), "updated": time(entry.updated),
            "used_by": used_by,
        }));
        let used_by = if used_by.is_empty() { "-".to_owned() } else { used_by.join(", ") };
        rows.push(vec![entry.name.to_string(), time(entry.updated), used_by]);
    }
    let missing: Vec<&String> =
        users.keys().filter(|name| !vault.list().iter().any(|e| e.name.as_str() == name.as_str())).collect();
    if printer.is_json() {
        let key = vault.source().kind().as_str();
        printer.json(&json!({ "schema": "cella/v1", "secrets": list, "missing": missing, "key": key }));
    } else if list.is_empty() {
        printer.note("the vault is empty; put a secret in: cella secret set NAME");
    } else {
        printer.table(&rows);
    }
    for name in &missing {
        let by = users.get(*name).map(|servers| servers.join(", ")).unwrap_or_default();
        printer.warn(format!("{name} is not in the vault, and {by} uses it: cella secret set {name}"));
    }
    Ok(if missing.is_empty() { Code::Ok } else { Code::Degraded })
}

/// As RFC 3339 says it.
fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(String::new, |time| time.to_string())
}
