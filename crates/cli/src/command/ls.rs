//! `cella ls`: the configured servers.

use cella_cell::Class;
use cella_contract::{ContractSource, Run};
use serde_json::json;

use crate::{
    args::Global,
    exit::{Code, Outcome},
    print::Printer,
    target,
};

/// What the class of a server means that somebody else runs.
pub(crate) const REMOTE: &str = "remote: runs on its owner's machine. Each call is checked and on record; nothing confines what is done with its arguments.";

pub(crate) fn run(global: &Global, printer: Printer) -> Outcome {
    let loaded = cella_node::load(&target::config_path(global))?;
    let mut rows = vec![["SERVER", "CLASS", "WHAT", "CONTRACT", "ENABLED"].map(str::to_owned).to_vec()];
    let mut list = Vec::new();
    for (name, server) in &loaded.config.servers {
        let class = loaded.servers.get(name.as_str()).map(|served| served.class());
        let (or, what) = match &server.run {
            Run::Program(program) => {
                let words = std::iter::once(&program.command).chain(&program.args).cloned();
                (Class::Process, words.collect::<Vec<_>>().join(" "))
            }
            Run::Remote(remote) => (Class::Remote, remote.url.clone()),
        };
        let class = class.unwrap_or(or).as_str();
        let contract = match &server.contract {
            ContractSource::Preset(preset) => preset.as_str().to_owned(),
            ContractSource::File(path) => path.display().to_string(),
        };
        list.push(json!({ "name": name, "class": class, "what": what, "contract": contract, "enabled": server.enabled }));
        let enabled = if server.enabled { "yes" } else { "no" };
        rows.push(vec![name.clone(), class.into(), what, contract, enabled.into()]);
    }
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "servers": list }));
    } else {
        printer.table(&rows);
        if rows.iter().any(|row| row[1] == Class::Remote.as_str()) {
            printer.note(REMOTE);
        }
    }
    Ok(Code::Ok)
}
