//! `cella workspace show ID` and `diff ID`

use cella_workspace::Workspaces;
use serde_json::json;

use super::{found, stop};
use crate::{
    exit::{Code, Outcome, Stop},
    print::Printer,
};

pub(super) fn show(workspaces: &Workspaces, asked: &str, printer: Printer) -> Outcome {
    let kept = found(workspaces, asked)?;
    let delta = workspaces.store().delta(&kept).map_err(|error| stop(&error))?;
    if printer.is_json() {
        let mut value = cella_words::facts(&kept);
        value["schema"] = json!("cella/v1");
        value["manifest"] = serde_json::to_value(&delta).unwrap_or_default();
        printer.json(&value);
    } else {
        cella_words::shown(&kept, &delta).iter().for_each(|line| printer.line(line));
    }
    Ok(Code::Ok)
}

pub(super) fn diff(workspaces: &Workspaces, asked: &str, printer: Printer) -> Outcome {
    let (store, kept) = (workspaces.store(), found(workspaces, asked)?);
    let delta = store.delta(&kept).map_err(|error| stop(&error))?;
    let conflicts = store.conflicts(&delta).map_err(|error| stop(&error))?;
    let shown = cella_words::difference(store, &delta).map_err(Stop::system(&kept.id))?;
    if printer.is_json() {
        let conflicts: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        printer.json(&json!({ "schema": "cella/v1", "id": kept.id, "diff": shown, "conflicts": conflicts }));
    } else {
        shown.lines().for_each(|line| printer.line(line));
        conflicts.iter().for_each(|conflict| printer.warn(format!("conflict: {conflict}")));
    }
    Ok(if shown.is_empty() { Code::Ok } else { Code::Differs })
}
