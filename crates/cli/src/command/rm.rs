//! `cella rm NAME`

use serde_json::json;

use crate::{
    args::{Global, Rm},
    edit,
    exit::{Outcome, Stop},
    packages,
    print::Printer,
    target,
};

pub(crate) fn run(args: &Rm, global: &Global, printer: Printer) -> Outcome {
    let path = target::config_path(global);
    let before = super::add::read_or_empty(&path)?;
    let after = cella_contract::remove_server(&before, &args.name)
        .map_err(|e| super::add::not_edited(&path, &e, "see which there are: cella ls"))?;
    edit::exchange(&path, after.as_bytes()).map_err(Stop::system(path.display()))?;
    packages::forget(&after, global, printer)?;
    let told = super::add::tell_node(global, printer);
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "removed": args.name }));
    } else {
        printer.done(format!("{} is out of {}", args.name, path.display()));
    }
    Ok(told.exit())
}
