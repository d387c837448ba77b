//! `cella workspace ls`

use cella_workspace::{Workspaces, plain, plain_path};
use serde_json::{Value, json};

use super::stop;
use crate::{
    exit::{Code, Outcome},
    print::Printer,
};

pub(super) fn run(workspaces: &Workspaces, printer: Printer) -> Outcome {
    let store = workspaces.store();
    let kept = store.list().map_err(|error| stop(&error))?;
    let running = store.running().map_err(|error| stop(&error))?;
    let mut rows = vec![["ID", "OF", "WHEN", "STATE", "CHANGES"].map(str::to_owned).to_vec()];
    let mut list: Vec<Value> = Vec::new();
    for one in &kept {
        rows.push(vec![
            one.id.clone(),
            plain(&one.about.name),
            cella_words::moment(one.captured_ms),
            one.state.as_str().to_owned(),
            cella_words::sum(one),
        ]);
        list.push(cella_words::facts(one));
    }
    for (id, about, roots) in running {
        let shown: Vec<String> = roots.iter().map(|root| plain_path(root)).collect();
        rows.push(vec![id.clone(), plain(&about.name), "now".into(), "running".into(), shown.join(", ")]);
        let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        list.push(
            json!({ "id": id, "of": about.name, "cell": about.cell, "state": "running", "roots": roots }),
        );
    }
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "workspaces": list }));
    } else if list.is_empty() {
        printer.note(
            "there is no workspace; one is made by: cella exec --copy, or mode = \"copy\" in a contract",
        );
    } else {
        printer.table(&rows);
    }
    Ok(Code::Ok)
}
