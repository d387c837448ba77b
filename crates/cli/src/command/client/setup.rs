//! `cella client setup`

use std::path::PathBuf;

use serde_json::json;

use crate::{
    args::{Global, Target},
    clients::{self, Client, Entry},
    codes, edit,
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt, target,
};

/// What the user asked for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) clients: Vec<String>,
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) http: bool,
    pub(super) target: Target,
}

struct Edit {
    client: &'static Client,
    file: PathBuf,
    before: String,
    after: String,
    /// The token that is written, and not shown.
    token: Option<String>,
}

impl Edit {
    /// The difference as it may stand on a screen or in a log.
    fn shown(&self) -> String {
        let text = edit::difference(&self.file, &self.before, &self.after);
        match &self.token {
            Some(token) => text.replace(token, "[the token]"),
            None => text,
        }
    }
}

pub(super) async fn run(wish: &Wish, global: &Global, printer: Printer) -> Outcome {
    let chosen = super::chosen(&wish.clients)?;
    if chosen.is_empty() {
        let message = "no known client was found in this home directory";
        return Err(Stop::new(Code::Failed, codes::NO_CLIENT, message)
            .fix("name one: cella client setup claude-code"));
    }
    let (mut edits, mut failed) = (Vec::new(), Vec::new());
    for client in chosen {
        match plan(client, wish, global).await {
            Ok(edit) => edits.push(edit),
            Err(stop) => failed.push((client, stop)),
        }
    }
    let (wanted, same): (Vec<Edit>, Vec<Edit>) = edits.into_iter().partition(|e| e.before != e.after);
    for edit in &same {
        printer.done(format!("{} uses this node already", edit.client.title));
    }
    for edit in &wanted {
        printer.note(edit.shown().trim_end());
    }
    let go = !wanted.is_empty() && !wish.dry_run && (wish.yes || prompt::confirm("Write these changes?")?);
    let mut written = Vec::new();
    if go {
        for edit in &wanted {
            match super::backups().write(edit.client.id, &edit.file, &edit.after) {
                Ok(change) => {
                    printer.done(format!("{}: {}", edit.client.title, edit.file.display()));
                    written.push(change);
                }
                Err(e) => failed.push((edit.client, Stop::system(edit.file.display())(e))),
            }
        }
        printer.note("Undo: cella client restore");
    }
    for (client, stop) in &failed {
        printer.warn(format!("{}: {}", client.title, stop.message));
    }
    if printer.is_json() {
        let plan: Vec<_> = wanted
            .iter()
            .map(|e| json!({ "client": e.client.id, "file": e.file, "diff": e.shown() }))
            .collect();
        let failed: Vec<_> =
            failed.iter().map(|(c, s)| json!({ "client": c.id, "error": s.message })).collect();
        printer.json(&json!({ "schema": "cella/v1", "changes": plan, "written": written, "failed": failed }));
    }
    Ok(if failed.is_empty() { Code::Ok } else { Code::Degraded })
}

async fn plan(client: &'static Client, wish: &Wish, global: &Global) -> Result<Edit, Stop> {
    let file = client.file(&super::home(), &target::var);
    let before = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(Stop::system(file.display())(e)),
    };
    let entry = super::entry(client, wish.http, &wish.target, global).await?;
    let after = clients::write(client, &before, &entry).map_err(|e| super::not_edited(&file, &e))?;
    let token = match entry {
        Entry::Http { token, .. } => Some(token),
        Entry::Stdio { .. } => None,
    };
    Ok(Edit { client, file, before, after, token })
}
