//! `cella client restore`

use std::fs;

use serde_json::json;

use crate::{
    codes,
    edit::{self, Change},
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt,
};
use cella_clients::{self as clients, Client, EditError};

pub(super) fn run(names: &[String], yes: bool, printer: Printer) -> Outcome {
    let backups = super::backups();
    let all = backups.list().map_err(Stop::system(backups.file().display()))?;
    let mut chosen: Vec<String> = all.iter().map(|c| c.client.clone()).collect();
    chosen.sort();
    chosen.dedup();
    if !names.is_empty() {
        if let Some(unknown) = names.iter().find(|n| !chosen.contains(n)) {
            let message = format!("nothing to undo for `{unknown}`");
            return Err(Stop::new(Code::Usage, codes::NOTHING_TO_UNDO, message)
                .fix("see which clients use this node: cella client ls"));
        }
        chosen.retain(|c| names.contains(c));
    }
    if chosen.is_empty() {
        printer.note("nothing to undo");
    } else if !yes && !prompt::confirm(&format!("Undo the setup of {}?", chosen.join(", ")))? {
        return Ok(Code::Failed);
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for client in &chosen {
        let changes: Vec<&Change> = all.iter().filter(|c| c.client == *client).collect();
        let undone = undo(client, &changes).and_then(|how| {
            backups.forget(client).map_err(Stop::system(backups.file().display()))?;
            Ok(how)
        });
        match undone {
            Ok(how) => {
                printer.done(format!("{client}: {how}"));
                done.push(json!({ "client": client, "file": changes[0].file, "how": how }));
            }
            Err(stop) => {
                printer.warn(format!("{client}: [{}] {}", stop.code, stop.message));
                failed.push(json!({ "client": client, "code": stop.code, "error": stop.message }));
            }
        }
    }
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "restored": done, "failed": failed }));
    }
    Ok(if failed.is_empty() { Code::Ok } else { Code::Degraded })
}

/// Undoes the changes of one client, which are given oldest first.
fn undo(client: &str, changes: &[&Change]) -> Result<String, Stop> {
    match (changes.first(), changes.last()) {
        (Some(first), Some(last)) => undo_between(client, first, last, changes),
        _ => Ok("nothing to undo".to_owned()),
    }
}

/// True when each change found the file as the one before had left it, so that nobody else's edits lie between them.
fn is_unbroken(changes: &[&Change]) -> Result<bool, Stop> {
    for pair in changes.windows(2) {
        let [before, after] = pair else { continue };
        let found = match &after.backup {
            Some(backup) => Some(fs::read(backup).map_err(Stop::system(backup.display()))?),
            None => None,
        };
        if before.file != after.file || found.map(|b| edit::digest(&b)).as_ref() != Some(&before.written) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn undo_between(client: &str, first: &Change, last: &Change, all: &[&Change]) -> Result<String, Stop> {
    let about = || last.file.display().to_string();
    let now = match fs::read(&last.file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok("the file is gone already".to_owned());
        }
        Err(e) => return Err(Stop::system(about())(e)),
    };
    if is_unbroken(all)? && edit::digest(&now) == last.written {
        match &first.backup {
            Some(backup) => {
                let bytes = fs::read(backup).map_err(Stop::system(backup.display()))?;
                edit::exchange(&last.file, &bytes).map_err(Stop::system(about()))?;
            }
            None => fs::remove_file(&last.file).map_err(Stop::system(about()))?,
        }
        return Ok("as it was before".to_owned());
    }
    // Somebody else changed the file since: our own entry goes, what we took out comes back, and the rest stays.
    let client = clients::find(client).ok_or_else(|| super::unknown(client))?;
    let text = String::from_utf8_lossy(&now);
    let (text, back) = with_taken(client, &text, all).map_err(|why| {
        let held = first.backup.as_ref().map(|b| b.display().to_string()).unwrap_or_default();
        let message = format!("{}: {why}; what it held before the setup is in {held}", last.file.display());
        Stop::new(Code::Failed, codes::CLIENT_FILE, message)
    })?;
    let text = clients::remove(client, &text, "cella").map_err(|e| super::not_edited(&last.file, &e))?;
    edit::exchange(&last.file, text.as_bytes()).map_err(Stop::system(about()))?;
    let back =
        if back.is_empty() { String::new() } else { format!(", and put back were {}", back.join(", ")) };
    Ok(format!("changed since the setup by somebody else, so only our entry was taken out{back}"))
}

/// The text with the entries that setup took out and nobody wrote again, and their names. Each comes from the backup of
/// the change that took it.
fn with_taken(client: &Client, text: &str, all: &[&Change]) -> Result<(String, Vec<String>), EditError> {
    let (mut text, mut back) = (text.to_owned(), Vec::new());
    for change in all {
        let Some(held) = change.backup.as_ref().and_then(|b| fs::read_to_string(b).ok()) else { continue };
        for keys in &change.taken {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let Some((name, path)) = keys.split_last() else { continue };
            let Some(entry) = clients::entry_at(client, &held, path, name) else { continue };
            if clients::entry_at(client, &text, path, name).is_none() {
                text = clients::put_back(client, &text, path, name, &entry)?;
                back.push((*name).to_owned());
            }
        }
    }
    Ok((text, back))
}
