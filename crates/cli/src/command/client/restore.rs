//! `cella client restore`

use std::fs;

use serde_json::json;

use crate::{
    clients,
    edit::{self, Change},
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt,
};

pub(super) fn run(names: &[String], yes: bool, printer: Printer) -> Outcome {
    let backups = super::backups();
    let all = backups.list();
    let mut chosen: Vec<String> = all.iter().map(|c| c.client.clone()).collect();
    chosen.sort();
    chosen.dedup();
    if !names.is_empty() {
        if let Some(unknown) = names.iter().find(|n| !chosen.contains(n)) {
            return Err(Stop::new(Code::Usage, format!("nothing to undo for `{unknown}`")));
        }
        chosen.retain(|c| names.contains(c));
    }
    if chosen.is_empty() {
        printer.note("nothing to undo");
        return Ok(Code::Ok);
    }
    if !yes && !prompt::confirm(&format!("Undo the setup of {}?", chosen.join(", ")))? {
        return Ok(Code::Failed);
    }
    let mut done = Vec::new();
    for client in &chosen {
        // The first change holds what was there before Cella; the last tells whether somebody wrote since.
        let of: Vec<&Change> = all.iter().filter(|c| c.client == *client).collect();
        let (Some(first), Some(last)) = (of.first(), of.last()) else { continue };
        let how = undo(client, first, last)?;
        backups.forget(client)?;
        printer.done(format!("{client}: {how}"));
        done.push(json!({ "client": client, "file": last.file, "how": how }));
    }
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "restored": done }));
    }
    Ok(Code::Ok)
}

fn undo(client: &str, first: &Change, last: &Change) -> Result<&'static str, Stop> {
    let now = fs::read_to_string(&last.file).unwrap_or_default();
    if edit::digest(now.as_bytes()) == last.written {
        match &first.backup {
            Some(backup) => edit::exchange(&last.file, &fs::read_to_string(backup)?)?,
            None => fs::remove_file(&last.file)?,
        }
        return Ok("as it was before");
    }
    // Somebody else changed the file since: only our own entry goes.
    let client =
        clients::find(client).ok_or_else(|| Stop::new(Code::Failed, "the backup names an unknown client"))?;
    let text = clients::remove(client, &now, "cella")
        .map_err(|e| Stop::new(Code::Failed, format!("{}: {e}", last.file.display())))?;
    edit::exchange(&last.file, &text)?;
    Ok("changed since the setup by somebody else, so only our entry was taken out")
}
