//! `cella client setup`

use std::path::PathBuf;

use cella_contract::Config;
use serde_json::json;

use super::own::{self, Parted};
use crate::{
    args::{Global, Target},
    codes,
    edit::{self, Change},
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt, target,
};
use cella_clients::{self as clients, Client, Entry};

/// What the user asked for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) clients: Vec<String>,
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) http: bool,
    /// The client's own entries stay.
    pub(super) keep: bool,
    pub(super) target: Target,
}

struct Edit {
    client: &'static Client,
    file: PathBuf,
    before: String,
    after: String,
    /// The token that is written, and not shown.
    token: Option<String>,
    /// Secrets of the client's own entries, not shown either.
    secrets: Vec<String>,
    /// The client's own entries that are taken out.
    taken: Vec<Vec<String>>,
    /// Those that stay, and why.
    stays: Vec<(String, String)>,
}

impl Edit {
    /// The difference as it may stand on a screen or in a log.
    fn shown(&self) -> String {
        let mut text = edit::difference(&self.file, &self.before, &self.after);
        for secret in &self.secrets {
            text = text.replace(secret, "[a secret]");
        }
        match &self.token {
            Some(token) => text.replace(token, "[the token]"),
            None => text,
        }
    }

    /// Says which of the client's own entries go and which stay.
    fn tell(&self, keep: bool, printer: Printer) {
        for name in self.taken.iter().filter_map(|keys| keys.last()) {
            printer.note(format!("  goes: {name}: Cella serves it now"));
        }
        if keep && !self.stays.is_empty() {
            let names: Vec<&str> = self.stays.iter().map(|(name, _)| name.as_str()).collect();
            let names = names.join(", ");
            let title = self.client.title;
            printer.warn(format!("{title}: the client's own entries stay and run outside any cell: {names}"));
        } else {
            for (name, why) in &self.stays {
                printer.warn(format!("stays: {name}: {why}"));
            }
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
    let config = served(wish, global)?;
    let (mut edits, mut failed) = (Vec::new(), Vec::new());
    for client in chosen {
        match plan(client, wish, config.as_ref(), global).await {
            Ok(edit) => edits.push(edit),
            Err(stop) => failed.push((client, stop)),
        }
    }
    let (wanted, same): (Vec<Edit>, Vec<Edit>) = edits.into_iter().partition(|e| e.before != e.after);
    for edit in &same {
        printer.done(format!("{} uses this node already", edit.client.title));
        edit.tell(wish.keep, printer);
    }
    for edit in &wanted {
        printer.note(edit.shown().trim_end());
        edit.tell(wish.keep, printer);
    }
    let go = !wanted.is_empty() && !wish.dry_run && (wish.yes || prompt::confirm("Write these changes?")?);
    let written = if go { write(&wanted, &mut failed, printer) } else { Vec::new() };
    for (client, stop) in &failed {
        printer.warn(format!("{}: {}", client.title, stop.message));
    }
    if printer.is_json() {
        let plan: Vec<_> = wanted
            .iter()
            .map(|e| json!({ "client": e.client.id, "file": e.file, "diff": e.shown(), "taken": e.taken }))
            .collect();
        let stays: Vec<_> = wanted
            .iter()
            .chain(&same)
            .flat_map(|e| e.stays.iter().map(move |(name, why)| (e.client.id, name, why)))
            .map(|(client, name, why)| json!({ "client": client, "server": name, "why": why }))
            .collect();
        let failed: Vec<_> =
            failed.iter().map(|(c, s)| json!({ "client": c.id, "error": s.message })).collect();
        printer.json(&json!({
            "schema": "cella/v1", "changes": plan, "stays": stays, "written": written, "failed": failed,
        }));
    }
    Ok(if failed.is_empty() { Code::Ok } else { Code::Degraded })
}

fn write(wanted: &[Edit], failed: &mut Vec<(&'static Client, Stop)>, printer: Printer) -> Vec<Change> {
    let mut written = Vec::new();
    for edit in wanted {
        match super::backups().write(edit.client.id, &edit.file, &edit.after, edit.taken.clone()) {
            Ok(change) => {
                printer.done(format!("{}: {}", edit.client.title, edit.file.display()));
                written.push(change);
            }
            Err(e) => failed.push((edit.client, Stop::system(edit.file.display())(e))),
        }
    }
    printer.note("Undo: cella client restore");
    written
}

/// The configuration that says what Cella serves; `None` when nothing is to be taken out by it. A node named by its URL
/// has a configuration of its own, which only that node knows.
fn served(wish: &Wish, global: &Global) -> Result<Option<Config>, Stop> {
    if wish.keep || (wish.http && wish.target.url.is_some()) {
        return Ok(None);
    }
    let path = target::config_path(global);
    let text = crate::command::add::read_or_empty(&path)?;
    let parsed = Config::parse(&path.display().to_string(), &text);
    parsed.map(|(config, _)| Some(config)).map_err(|found| Stop::diagnostics(&found))
}

async fn plan(
    client: &'static Client,
    wish: &Wish,
    config: Option<&Config>,
    global: &Global,
) -> Result<Edit, Stop> {
    let file = client.file(&super::home(), &target::var);
    let before = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(Stop::system(file.display())(e)),
    };
    let entry = super::entry(client, wish.http, &wish.target, global).await?;
    let text = clients::write(client, &before, &entry).map_err(|e| super::not_edited(&file, &e))?;
    let own = own::entries(client, &before).map_err(|e| super::not_edited(&file, &e))?;
    let Parted { text: after, taken, mut stays } = match config {
        Some(config) => own::part(client, &text, &own, config),
        None => {
            let why = if wish.keep { "--keep" } else { "only the node at that URL knows what it serves" };
            let stays = own.iter().map(|entry| (entry.name(), why.to_owned())).collect();
            Parted { text, stays, ..Parted::default() }
        }
    };
    let here = std::env::current_dir().ok().filter(|here| *here != super::home());
    if let (Some(config), Some(here)) = (config, here) {
        stays.extend(own::of_project(client, &here, config));
    }
    let secrets = own.iter().flat_map(own::Own::secrets).collect();
    let token = match entry {
        Entry::Http { token, .. } => Some(token),
        Entry::Stdio { .. } => None,
    };
    Ok(Edit { client, file, before, after, token, secrets, taken, stays })
}
