//! `cella rm NAME`

use serde_json::json;

use crate::{
    args::{Global, Rm},
    edit,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

pub(crate) fn run(args: &Rm, global: &Global, printer: Printer) -> Outcome {
    let path = target::config_path(global);
    let before = std::fs::read_to_string(&path)
        .map_err(|e| Stop::new(Code::Config, format!("{}: {e}", path.display())))?;
    let after = cella_contract::remove_server(&before, &args.name)
        .map_err(|e| Stop::new(Code::Config, format!("{}: {e}", path.display())).fix("see: cella ls"))?;
    edit::exchange(&path, &after)?;
    super::add::tell_node(global, printer);
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "removed": args.name }));
    } else {
        printer.done(format!("{} is out of {}", args.name, path.display()));
    }
    Ok(Code::Ok)
}
