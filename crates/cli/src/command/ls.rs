//! `cella ls`: the configured servers.

use cella_contract::{ContractSource, Run};
use serde_json::json;

use crate::{
    args::Global,
    exit::{Code, Outcome},
    print::Printer,
    target,
};

pub(crate) fn run(global: &Global, printer: Printer) -> Outcome {
    let loaded = cella_node::load(&target::config_path(global))?;
    let mut rows = vec![["SERVER", "WHAT", "CONTRACT", "ENABLED"].map(str::to_owned).to_vec()];
    let mut list = Vec::new();
    for (name, server) in &loaded.config.servers {
        let what = match &server.run {
            Run::Program(program) => {
                std::iter::once(&program.command).chain(&program.args).cloned().collect::<Vec<_>>().join(" ")
            }
            Run::Remote(remote) => remote.url.clone(),
        };
        let contract = match &server.contract {
            ContractSource::Preset(preset) => preset.as_str().to_owned(),
            ContractSource::File(path) => path.display().to_string(),
        };
        list.push(json!({ "name": name, "what": what, "contract": contract, "enabled": server.enabled }));
        rows.push(vec![name.clone(), what, contract, if server.enabled { "yes" } else { "no" }.into()]);
    }
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "servers": list }));
    } else {
        printer.table(&rows);
    }
    Ok(Code::Ok)
}
