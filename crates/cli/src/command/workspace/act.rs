//! `cella workspace commit` and `discard`: by the running node where there is one, else straight on the files.

use cella_node::StartError;
use cella_workspace::{RecordedError, State, WorkspaceError, Workspaces};
use serde_json::{Value, json};

use super::stop;
use crate::{
    args::{Global, Target},
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt, target,
};

pub(super) async fn commit(
    workspaces: &Workspaces,
    asked: &str,
    force: bool,
    global: &Global,
    printer: Printer,
) -> Outcome {
    let id = workspaces.store().find_id(asked).map_err(|error| stop(&error))?.id;
    let done = match target::running(global, &Target::default())? {
        Some(node) => {
            let path = format!("/api/v1/workspaces/{id}/commit?force={}", u8::from(force));
            node.post(&path, &Value::Null).await.map_err(differs)?
        }
        None => {
            let (kept, done) = workspaces.commit(&id, force).await.map_err(failed)?;
            done.as_json(&kept)
        }
    };
    if printer.is_json() {
        printer.json(&done);
    } else {
        printer.done(format!("{id}: {} paths changed, {} were so already", done["applied"], done["already"]));
        if done["forced"] != 0 {
            printer.warn(format!("{} of them had been changed on the host meanwhile", done["forced"]));
        }
        printer.note(format!(
            "it can still be started from; when it is not needed: cella workspace discard {id}"
        ));
    }
    Ok(Code::Ok)
}

pub(super) async fn discard(
    workspaces: &Workspaces,
    asked: &str,
    yes: bool,
    global: &Global,
    printer: Printer,
) -> Outcome {
    let kept = workspaces.store().find_id(asked).map_err(|error| stop(&error))?;
    let id = kept.id;
    let committed = kept.state == State::Committed;
    if !(yes || committed) {
        let lost = match kept.state {
            State::Committing => "A commit of it broke off: what is not on the host yet is lost then.",
            _ => "What it changed is not on the host and is lost then.",
        };
        let question = format!("Discard {id}? {lost}");
        if !prompt::confirm(&question)? {
            return Ok(Code::Failed);
        }
    }
    discarded(workspaces, &id, global).await?;
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "discarded": id }));
    } else {
        printer.done(format!("{id} is discarded"));
    }
    Ok(Code::Ok)
}

/// By the running node where there is one.
pub(super) async fn discarded(workspaces: &Workspaces, id: &str, global: &Global) -> Result<(), Stop> {
    match target::running(global, &Target::default())? {
        Some(node) => drop(node.post(&format!("/api/v1/workspaces/{id}/discard"), &Value::Null).await?),
        None => drop(workspaces.discard(id).await.map_err(failed)?),
    }
    Ok(())
}

pub(super) fn failed(error: RecordedError) -> Stop {
    match error {
        RecordedError::Workspace(error) => stop(&error),
        other => StartError::from(other).into(),
    }
}

/// The node's refusal, with the exit status that the same refusal has without one.
fn differs(stop: Stop) -> Stop {
    let conflict = WorkspaceError::Conflicts { conflicts: Vec::new() }.code();
    let exit = if stop.code == conflict { Code::Differs } else { stop.exit };
    Stop { exit, ..stop }
}
