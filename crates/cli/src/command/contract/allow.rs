//! `cella contract allow NAME HOST:PORT`: one more host in a server's contract file.

use std::path::{Path, PathBuf};

use cella_contract::{Contract, ContractSource, EgressGrant, Run, add_egress, set_contract};
use serde_json::json;

use crate::{
    args::Global,
    codes,
    command::add::{not_edited, tell_node},
    edit,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

/// A file, what it holds and what it is to hold.
struct Edit {
    path: PathBuf,
    before: String,
    after: String,
}

pub(super) fn run(
    server: &str,
    hosts: &[String],
    dry_run: bool,
    global: &Global,
    printer: Printer,
) -> Outcome {
    for host in hosts {
        if let Err(fault) = host.parse::<EgressGrant>() {
            let message = format!("`{host}` is no host and port: {fault}");
            return Err(Stop::new(Code::Usage, codes::USAGE, message).fix(fault.fix()));
        }
    }
    let edits = edits(server, hosts, &target::config_path(global))?;
    for edit in &edits {
        printer.note(edit::difference(&edit.path, &edit.before, &edit.after).trim_end());
    }
    let changed: Vec<&Edit> = edits.iter().filter(|edit| edit.before != edit.after).collect();
    if !dry_run {
        for edit in &changed {
            edit::exchange(&edit.path, edit.after.as_bytes()).map_err(Stop::system(edit.path.display()))?;
        }
    }
    let files: Vec<&Path> = changed.iter().map(|edit| edit.path.as_path()).collect();
    if printer.is_json() {
        let value = json!({ "schema": "cella/v1", "server": server, "allowed": hosts, "changed": files, "dry_run": dry_run });
        printer.json(&value);
    }
    if changed.is_empty() {
        printer.done(format!("{server} may reach {} already", hosts.join(", ")));
        return Ok(Code::Ok);
    }
    if dry_run {
        return Ok(Code::Ok);
    }
    printer.done(format!("{server} may reach {}", hosts.join(", ")));
    Ok(tell_node(global, printer).exit())
}

/// The contract file first: a configuration must not name one that is not there.
fn edits(server: &str, hosts: &[String], config: &Path) -> Result<Vec<Edit>, Stop> {
    let loaded = cella_node::load(config)?;
    let Some(entry) = loaded.config.servers.get(server) else {
        return Err(Stop::new(Code::Config, codes::SERVER_NAME, format!("there is no server `{server}`"))
            .fix("see which there are: cella ls"));
    };
    if matches!(entry.run, Run::Remote(_)) {
        let message = format!("`{server}` is reached over HTTP: what it reaches itself is its owner's");
        return Err(Stop::new(Code::Usage, codes::NO_CELL, message).fix("name a server with a command"));
    }
    let base = config.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    match &entry.contract {
        ContractSource::File(named) => Ok(vec![contract(base.join(named), None, hosts)?]),
        ContractSource::Preset(preset) => {
            let named = format!("contracts/{server}.toml");
            let head = format!(
                "# What the cell of `{server}` may do; what is not granted here is denied.\npreset = \"{}\"\n",
                preset.as_str()
            );
            let before = std::fs::read_to_string(config).map_err(Stop::system(config.display()))?;
            let after = set_contract(&before, server, &named)
                .map_err(|e| not_edited(config, &e, "see which there are: cella ls"))?;
            let edit = Edit { path: config.to_owned(), before, after };
            Ok(vec![contract(base.join(named), Some(head), hosts)?, edit])
        }
    }
}

/// `fresh` is what a file starts with that is to be made.
fn contract(path: PathBuf, fresh: Option<String>, hosts: &[String]) -> Result<Edit, Stop> {
    let before = match fresh {
        Some(_) if path.exists() => return Err(there(&path)),
        Some(_) => String::new(),
        None => std::fs::read_to_string(&path).map_err(Stop::system(path.display()))?,
    };
    let mut after = fresh.unwrap_or_else(|| before.clone());
    for host in hosts {
        after = add_egress(&after, host, None).map_err(|e| not_edited(&path, &e, "see its format"))?;
    }
    Contract::parse(&path.display().to_string(), &after).map_err(|found| Stop::diagnostics(&found))?;
    Ok(Edit { path, before, after })
}

/// A file that is not written over.
fn there(path: &Path) -> Stop {
    Stop::new(Code::Config, codes::CONTRACT_THERE, format!("there is a file {} already", path.display()))
        .fix(format!("write contract = \"{}\" into the server's entry, or move it away", path.display()))
}
