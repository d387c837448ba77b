//! `cella secret rm NAME…`

use cella_vault::Name;
use serde_json::json;

use crate::{
    args::{Global, SecretRm},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt,
};

pub(super) fn run(args: &SecretRm, global: &Global, printer: Printer) -> Outcome {
    let names = args.names.iter().map(|name| Name::parse(name)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&Name> = names.iter().collect();
    let mut vault = super::open(global)?;
    if let Some(missing) = names.iter().find(|name| !vault.contains(name)) {
        // Says which one is meant.
        vault.get(missing)?;
    }
    let shown = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if !args.force {
        let users = super::users(&super::config(global)?);
        let used = names.iter().find_map(|name| Some((name, users.get(name.as_str())?)));
        if let Some((name, servers)) = used {
            let message = format!("{name} is used by {}", servers.join(", "));
            return Err(Stop::new(Code::Failed, codes::SECRET_IN_USE, message).fix(
                "take it out of cella.toml first; or add --force, and those servers do not start any more",
            ));
        }
    }
    if !args.yes && !prompt::confirm(&format!("Take {shown} out of the vault? It cannot be undone."))? {
        return Ok(Code::Ok);
    }
    vault.remove(&names)?;
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "removed": args.names }));
    } else {
        printer.done(format!("{shown} is out of the vault"));
    }
    Ok(Code::Ok)
}
