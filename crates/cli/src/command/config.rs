//! `cella config`: looking at the configuration.

mod look;

use serde_json::json;

use crate::{
    args::{Config, ConfigVerb, Global},
    exit::{Code, Outcome},
    print::Printer,
    target,
};

pub(crate) fn run(args: &Config, global: &Global, printer: Printer) -> Outcome {
    match &args.what {
        ConfigVerb::Schema { of } => {
            let schema = match of.as_str() {
                "contract" => cella_contract::contract_schema(),
                "agent" => cella_contract::agent_schema(),
                _ => cella_contract::config_schema(),
            };
            printer.json(&schema);
            Ok(Code::Ok)
        }
        ConfigVerb::Path => {
            let places = target::places(global);
            let found = cella_node::Whereabouts::of(&places);
            let rows = [
                ("config", &places.config),
                ("state", &places.state),
                ("socket", &found.socket),
                ("ledger", &found.ledger),
                ("token", &found.token_file),
                ("store", &places.store),
            ];
            if printer.is_json() {
                let map: serde_json::Map<String, serde_json::Value> =
                    rows.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
                printer.json(&json!({ "schema": "cella/v1", "paths": map }));
            } else {
                printer.table(&rows.map(|(k, v)| vec![k.to_owned(), v.display().to_string()]));
            }
            Ok(Code::Ok)
        }
        ConfigVerb::Validate => validate(global, printer),
        ConfigVerb::Show => {
            let loaded = cella_node::load(&target::config_path(global))?;
            let servers: serde_json::Map<String, serde_json::Value> = loaded
                .servers
                .iter()
                .map(|(name, served)| {
                    let contract: serde_json::Value =
                        serde_json::from_str(&served.contract.canonical()).unwrap_or_default();
                    (
                        name.to_string(),
                        json!({ "contract": contract, "contract_digest": served.contract_digest }),
                    )
                })
                .collect();
            printer.json(&json!({ "schema": "cella/v1", "servers": servers }));
            Ok(Code::Ok)
        }
    }
}

/// Everything that can be known before a start: the files, the views, and what they name on this machine.
fn validate(global: &Global, printer: Printer) -> Outcome {
    let path = target::config_path(global);
    let loaded = cella_node::check(&path)?;
    look::built_ins(&loaded)?;
    let missing = look::missing(&loaded, &cella_vault::names(&target::places(global).vault()));
    for warning in loaded.warnings.iter().chain(&missing) {
        printer.warn(warning);
    }
    let (servers, off) =
        (loaded.servers.len(), loaded.config.servers.values().filter(|server| !server.enabled).count());
    if printer.is_json() {
        printer.json(&json!({
            "schema": "cella/v1", "ok": missing.is_empty(), "servers": servers, "disabled": off,
            "warnings": loaded.warnings, "missing": missing,
        }));
    } else {
        let not = if off > 0 { format!(", {off} disabled and not checked") } else { String::new() };
        let said = format!("{}: {servers} servers{not}", path.display());
        match missing.len() {
            0 => printer.done(said),
            some => printer.warn(format!("{said}; what they name is missing here: {some}")),
        }
    }
    Ok(if missing.is_empty() { Code::Ok } else { Code::Degraded })
}
