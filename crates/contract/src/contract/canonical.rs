//! The canonical JSON of a contract: one text for all ways to write the same terms. Frozen by `spec/contract-v1.md`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::Value;

use crate::{Effect, Limits, SecretTerms, Terms, ToolTerms};

/// A JSON object with sorted keys, whatever features `serde_json` was built with.
type Object = BTreeMap<String, Json>;

enum Json {
    Text(String),
    Number(u64),
    Bool(bool),
    List(Vec<Self>),
    Object(Object),
}

/// Keys sorted by their bytes, no spaces, numbers whole, times in milliseconds, sizes in bytes. What is absent, empty or
/// says nothing is left out, so that a key that a later version adds does not change older digests.
pub(super) fn form(terms: &Terms) -> String {
    let mut form = Object::new();
    form.insert("format".into(), text("cella/contract/v1"));
    // The preset itself counts: it decides which files follow from the command line.
    form.insert("preset".into(), text(terms.preset.as_str()));
    form.insert("limits".into(), Json::Object(limits(&terms.limits)));
    list(&mut form, "egress", sorted(terms.egress.iter().map(ToString::to_string)));
    let files = terms.files.iter().map(|g| (path(&g.path), g.mode.as_str())).collect::<BTreeMap<_, _>>();
    let files = files.into_iter().map(|(path, mode)| (path, text(mode))).collect();
    object(&mut form, "files", files);
    list(&mut form, "roots", sorted(terms.roots.iter().map(|p| path(p))));
    list(&mut form, "best_effort", sorted(terms.best_effort.iter().map(ToString::to_string)));
    if let Some(isolation) = terms.isolation {
        form.insert("isolation".into(), text(isolation.as_str()));
    }
    object(&mut form, "every_tool", tool(&terms.every_tool));
    let tools = terms.tools.iter().map(|(name, own)| (name.to_string(), Json::Object(tool(own))));
    object(&mut form, "tools", tools.collect());
    let secrets = terms.secrets.iter().map(|(name, own)| (name.to_string(), Json::Object(secret(own))));
    object(&mut form, "secrets", secrets.collect());
    let mut out = String::new();
    write(&Json::Object(form), &mut out);
    out
}

fn limits(limits: &Limits) -> Object {
    let mut form = Object::new();
    let mut put = |name: &str, value: u64, written: bool| {
        form.insert(name.to_owned(), Json::Number(value));
        // Written limits must be enforced, a preset's only where the machine can: not the same contract.
        if written {
            form.insert(format!("{name}!"), Json::Bool(true));
        }
    };
    let Limits { memory, processes, disk, inodes, cpu, cpu_time, time, .. } = limits;
    let Limits { open_files, file_size, stdout, stderr, arguments, instances, .. } = limits;
    for (name, size) in [
        ("memory", Some(memory)),
        ("disk", Some(disk)),
        ("file_size", file_size.as_ref()),
        ("stdout", Some(stdout)),
        ("stderr", Some(stderr)),
        ("arguments", Some(arguments)),
    ] {
        size.into_iter().for_each(|size| put(name, size.value.get(), size.is_written()));
    }
    for (name, count) in
        [("processes", processes), ("inodes", inodes), ("open_files", open_files), ("instances", instances)]
    {
        put(name, count.value.into(), count.is_written());
    }
    for (name, time) in [("time", Some(time)), ("cpu_time", cpu_time.as_ref())] {
        time.into_iter().for_each(|time| put(name, millis(time.value), time.is_written()));
    }
    put("cpu", cpu.value.get().into(), cpu.is_written());
    form
}

fn tool(terms: &ToolTerms) -> Object {
    let mut form = Object::new();
    let ToolTerms { allow, effect, undo, probe, phases, locks, rate, timeout } = terms;
    let mut put = |name: &str, value: Option<Json>| {
        value.into_iter().for_each(|value| drop(form.insert(name.to_owned(), value)));
    };
    put("allow", allow.as_ref().map(|allow| Json::Bool(allow.value)));
    put("effect", effect.as_ref().map(|effect| text(Effect::as_str(effect.value))));
    put("undo", undo.as_ref().map(|tool| text(tool.value.as_str())));
    put("probe", probe.as_ref().map(|tool| text(tool.value.as_str())));
    put(
        "rate",
        rate.as_ref().map(|rate| {
            Json::List(vec![
                Json::Number(rate.value.count().get().into()),
                Json::Number(millis(rate.value.per())),
            ])
        }),
    );
    put("timeout", timeout.as_ref().map(|timeout| Json::Number(millis(timeout.value))));
    // An empty list of phases says that it may be called in none: not the same as no list.
    put("phases", phases.as_ref().map(|p| Json::List(sorted(p.value.iter().map(ToString::to_string)))));
    put("locks", locks.as_ref().map(|l| Json::List(sorted(l.value.iter().map(ToString::to_string)))));
    form
}

fn secret(terms: &SecretTerms) -> Object {
    let mut form = Object::new();
    let SecretTerms { hosts, methods, paths, locations, format, in_cell } = terms;
    list(&mut form, "hosts", sorted(hosts.iter().map(ToString::to_string)));
    list(&mut form, "methods", sorted(methods.iter().map(ToString::to_string)));
    list(&mut form, "paths", sorted(paths.iter().map(ToString::to_string)));
    list(&mut form, "locations", sorted(locations.iter().map(ToString::to_string)));
    if let Some(format) = format {
        form.insert("format".into(), text(format));
    }
    if *in_cell {
        form.insert("in_cell".into(), Json::Bool(true));
    }
    form
}

fn list(form: &mut Object, name: &str, values: Vec<Json>) {
    if !values.is_empty() {
        form.insert(name.to_owned(), Json::List(values));
    }
}

fn object(form: &mut Object, name: &str, members: Object) {
    if !members.is_empty() {
        form.insert(name.to_owned(), Json::Object(members));
    }
}

/// Lists of a contract are sets: order and repetition say nothing.
fn sorted(values: impl Iterator<Item = String>) -> Vec<Json> {
    values.collect::<std::collections::BTreeSet<_>>().into_iter().map(Json::Text).collect()
}

fn text(text: &str) -> Json {
    Json::Text(text.to_owned())
}

/// Paths come from TOML, so they are UTF-8.
fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn write(json: &Json, out: &mut String) {
    match json {
        Json::Text(text) => out.push_str(&quoted(text)),
        Json::Number(number) => out.push_str(&number.to_string()),
        Json::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Json::List(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(value, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&quoted(name));
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// Escapes as RFC 8785 wants them.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
