//! A contract as sentences and as data. One sentence is one grant, so that contracts can be compared by them.

use cella_contract::{
    CellClass, Contract, FileGrant, Limits, Location, Mode, Preset, SecretTerms, ToolTerms, VmChoice,
};
use cella_node::confine::Terms;
use serde_json::{Value, json};

const KIB: u64 = 1 << 10;

/// Everything that is granted, and that nothing is, where that is so.
#[must_use]
pub fn granted(terms: &Terms) -> Vec<String> {
    let contract = &terms.contract;
    let mut lines = files(terms);
    lines.extend(named_files(contract.preset));
    if lines.is_empty() {
        lines.push("sees no files of the host but its own program's".to_owned());
    }
    lines.extend(egress(contract));
    if contract.egress.is_empty() {
        lines.push("reaches no host".to_owned());
    }
    lines.extend(limits(&contract.limits));
    lines.extend(secrets(contract));
    lines.extend(contract.tools.iter().map(|(name, terms)| tool(name, terms)));
    if contract.tools.is_empty() {
        lines.push(
            "tools: all may be called; each counts as irreversible unless the server says worse".to_owned(),
        );
    }
    lines.push(format!("one process for: {}", sharing(contract)));
    lines.extend(class(contract));
    lines
}

/// One line per grant, without what is the same in every contract.
#[must_use]
pub fn grants(terms: &Terms) -> Vec<String> {
    let contract = &terms.contract;
    let mut lines = files(terms);
    lines.extend(named_files(contract.preset));
    lines.extend(egress(contract));
    lines.extend(limits(&contract.limits));
    lines.extend(secrets(contract));
    lines.extend(contract.tools.iter().map(|(name, terms)| tool(name, terms)));
    lines.push(format!("one process for: {}", sharing(contract)));
    lines.extend(class(contract));
    lines
}

fn files(terms: &Terms) -> Vec<String> {
    let line = |grant: &FileGrant, named: &str| {
        let path = terms.base.join(&grant.path);
        match grant.mode {
            Mode::Read => format!("may read {}{named}", path.display()),
            Mode::Write => format!("may read and change {}{named}", path.display()),
            Mode::Copy => format!("may read and change a copy of {}{named}", path.display()),
        }
    };
    let written = terms.contract.files.iter().map(|grant| line(grant, ""));
    written.chain(terms.named.iter().map(|grant| line(grant, ", which its arguments name"))).collect()
}

fn named_files(preset: Preset) -> Option<String> {
    preset.named_files().map(|mode| match mode {
        Mode::Read => "may read what its arguments name by a whole path".to_owned(),
        Mode::Write => "may read and change what its arguments name by a whole path".to_owned(),
        Mode::Copy => "may read and change a copy of what its arguments name by a whole path".to_owned(),
    })
}

fn egress(contract: &Contract) -> Vec<String> {
    contract.egress.iter().map(|host| format!("may reach {host}")).collect()
}

fn secrets(contract: &Contract) -> Vec<String> {
    contract.secrets.iter().map(|(name, terms)| secret(name, terms)).collect()
}

/// Which secret goes where, and what the server has of it.
fn secret(name: &str, terms: &SecretTerms) -> String {
    let from = terms.from.as_deref().unwrap_or("nowhere");
    let has = match &terms.env {
        Some(variable) => format!("a placeholder in {variable}"),
        None => "not even a placeholder, for want of `env`".to_owned(),
    };
    if terms.hosts.is_empty() {
        return format!("secret {name} (from {from}): goes nowhere; the server has {has}");
    }
    let mut places: Vec<String> = terms.locations().iter().map(place).collect();
    let last = places.pop().unwrap_or_default();
    let places = if places.is_empty() { last } else { format!("{} or {last}", places.join(", ")) };
    let methods = terms.methods.as_ref().map(|m| format!(", with {}", m.join(", "))).unwrap_or_default();
    let paths: Option<Vec<String>> =
        terms.paths.as_ref().map(|paths| paths.iter().map(ToString::to_string).collect());
    let paths = paths.map(|paths| format!(", at {}", paths.join(", "))).unwrap_or_default();
    format!(
        "secret {name} (from {from}): put into requests to {}{methods}{paths}, in {places}; the server has {has}",
        terms.hosts.join(", ")
    )
}

fn place(location: &Location) -> String {
    let one = |kind: &str, name: &Option<String>| match name {
        Some(name) => format!("the {kind} {name}"),
        None => format!("any {kind}"),
    };
    match location {
        Location::Header(name) => one("header", name),
        Location::Query(name) => one("query parameter", name),
        Location::Form(name) => one("form field", name),
        Location::Basic => "Basic authentication".to_owned(),
        Location::SigV4 => "AWS signatures".to_owned(),
        other => other.to_string(),
    }
}

fn limits(limits: &Limits) -> Vec<String> {
    let bytes =
        |what: &str, value: Option<u64>| value.map(|value| format!("{what}: at most {}", size(value)));
    let count = |what: &str, value: Option<u32>| value.map(|value| format!("{what}: at most {value}"));
    [
        bytes("memory of the whole process tree", limits.memory),
        count("processes and threads", limits.processes),
        bytes("private temporary files", limits.disk),
        limits.cpu.map(|percent| format!("processor: at most {percent} % of one core")),
        limits.time.map(|time| format!("time of one call: at most {time:?}")),
        count("open files of one process", limits.open_files),
        count("connections at the same time", limits.connections),
        count("new connections in a second", limits.connection_rate),
        bytes("bytes in copies", limits.copy_bytes),
        bytes("bytes sent in the life of a cell", limits.egress_bytes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn tool(name: &str, terms: &ToolTerms) -> String {
    let said = [
        terms.allow.map(|allow| if allow { "may be called" } else { "may not be called" }.to_owned()),
        terms.effect.map(|effect| format!("effect {}", effect.as_str())),
        terms.undo.as_ref().map(|undo| format!("undone by {undo}")),
        terms.probe.as_ref().map(|probe| format!("whether it happened is told by {probe}")),
        terms.phases.as_ref().map(|phases| format!("only in the phases {}", phases.join(", "))),
        (!terms.locks.is_empty()).then(|| format!("holds {}", terms.locks.join(", "))),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    format!("tool {name}: {}", said.join("; "))
}

/// Said where it is not the usual one.
fn class(contract: &Contract) -> Option<String> {
    match contract.class {
        CellClass::Process => None,
        CellClass::Vm(VmChoice::Auto) => Some("runs behind a kernel of its own".to_owned()),
        CellClass::Vm(choice) => Some(format!("runs behind a kernel of its own: {}", choice.as_str())),
    }
}

fn sharing(contract: &Contract) -> &'static str {
    match contract.isolation.as_str() {
        "client" => "each client",
        "run" => "each run",
        _ => "all clients",
    }
}

/// The size in the largest unit that keeps it whole.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fitting = units.into_iter().find(|(shift, _)| bytes >= KIB && bytes.is_multiple_of(1 << shift));
    fitting.map_or_else(|| format!("{bytes} bytes"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// The contract as data.
#[must_use]
pub fn as_json(terms: &Terms) -> Value {
    let contract = &terms.contract;
    let tool = |(name, terms): (&String, &ToolTerms)| {
        let value = json!({
            "allow": terms.allow,
            "effect": terms.effect.map(|effect| effect.as_str()),
            "undo": terms.undo,
            "probe": terms.probe,
            "phases": terms.phases,
            "locks": terms.locks,
        });
        (name.clone(), value)
    };
    let secret = |(name, terms): (&String, &SecretTerms)| {
        let paths = terms.paths.as_ref();
        let value = json!({
            "from": terms.from,
            "hosts": terms.hosts,
            "env": terms.env,
            "methods": terms.methods,
            "paths": paths.map(|paths| paths.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "in": terms.locations().iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        (name.clone(), value)
    };
    let files = |grants: &[FileGrant]| -> Vec<Value> {
        let grant =
            |grant: &FileGrant| json!({ "path": terms.base.join(&grant.path), "mode": grant.mode.as_str() });
        grants.iter().map(grant).collect()
    };
    let limits = &contract.limits;
    json!({
        "contract": contract.name(),
        "preset": contract.preset.as_str(),
        "digest": contract.digest().iter().map(|b| format!("{b:02x}")).collect::<String>(),
        "files": files(&contract.files),
        "named": files(&terms.named),
        "named_files": contract.preset.named_files().map(Mode::as_str),
        "egress": contract.egress,
        "limits": {
            "memory_bytes": limits.memory,
            "processes": limits.processes,
            "disk_bytes": limits.disk,
            "cpu_percent": limits.cpu,
            "time_ms": limits.time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            "open_files": limits.open_files,
            "connections": limits.connections,
            "connection_rate": limits.connection_rate,
            "copy_bytes": limits.copy_bytes,
            "egress_bytes": limits.egress_bytes,
        },
        "secrets": contract.secrets.iter().map(secret).collect::<serde_json::Map<_, _>>(),
        "tools": contract.tools.iter().map(tool).collect::<serde_json::Map<_, _>>(),
        "isolation": contract.isolation.as_str(),
        "class": contract.class.as_str(),
        "vm": match contract.class {
            CellClass::Process => None,
            CellClass::Vm(choice) => Some(choice.as_str()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_says_what_it_denies_too() {
        let lines = granted(&Terms::preset(Preset::Untrusted)).join("\n");
        for said in ["sees no files", "reaches no host", "memory of the whole process tree: at most 1 GiB"] {
            assert!(lines.contains(said), "{said} in {lines}");
        }
    }

    #[test]
    fn a_secret_says_where_it_goes_and_what_the_server_has() {
        let text = "egress = [\"a.example:443\"]\n[secrets.K]\nfrom = \"vault:k\"\nenv = \"TOKEN\"\nhosts = [\"a.example\"]\n\
            paths = [\"/v1/**\"]\nin = [\"header:x-key\", \"basic\"]\n";
        let contract = Contract::parse("c.toml", text).expect("a contract");
        assert_eq!(
            secrets(&contract),
            [
                "secret K (from vault:k): put into requests to a.example, at /v1/**, in the header x-key or Basic \
              authentication; the server has a placeholder in TOKEN"
            ]
        );
    }

    #[test]
    fn a_size_is_said_whole() {
        assert_eq!([size(512 << 20), size(3 << 30), size(1500)], ["512 MiB", "3 GiB", "1500 bytes"]);
    }
}
