//! `cella client`: pointing clients at this node, and back.

mod own;
mod restore;
mod setup;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    args::{ClientVerb, Global, Target},
    codes,
    edit::Backups,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};
use cella_clients::{self as clients, Client, EditError, Entry, Format, KNOWN};

pub(crate) async fn run(what: ClientVerb, global: &Global, printer: Printer) -> Outcome {
    match what {
        ClientVerb::Ls => ls(printer),
        ClientVerb::Setup { clients, dry_run, yes, http, keep, target } => {
            let wish = setup::Wish { clients, dry_run, yes, http, keep, target };
            setup::run(&wish, global, printer).await
        }
        ClientVerb::Restore { clients, yes } => restore::run(&clients, yes, printer),
        ClientVerb::Config { client, http, target } => show(&client, http, &target, global, printer).await,
    }
}

/// Where backups are: beside the state of all nodes, because a client is set up for a user, not for a node.
fn backups() -> Backups {
    let default = cella_node::Places::of(&cella_node::Places::user_config(&target::var), &target::var);
    Backups::new(default.state.parent().unwrap_or(&default.state))
}

fn home() -> PathBuf {
    target::var("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

fn ls(printer: Printer) -> Outcome {
    let mut rows = vec![["CLIENT", "FILE", "SERVERS", "CELLA"].map(str::to_owned).to_vec()];
    let mut list = Vec::new();
    for client in &KNOWN {
        let file = client.file(&home(), &target::var);
        let present = client.is_present(&home(), &target::var);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let found = clients::read(client, &text, None);
        let (servers, ours) = match &found {
            Ok(found) => (
                found.iter().filter(|f| !f.is_cella()).count().to_string(),
                found.iter().any(|f| f.is_cella()),
            ),
            Err(e) => (format!("unreadable: {e}"), false),
        };
        list.push(json!({ "client": client.id, "title": client.title, "file": file, "present": present, "servers": servers, "cella": ours }));
        if present {
            let ours = if ours { "yes" } else { "no" };
            rows.push(vec![client.id.into(), file.display().to_string(), servers, ours.into()]);
        }
    }
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "clients": list }));
    } else if rows.len() == 1 {
        printer.note("no known client was found in this home directory");
    } else {
        printer.table(&rows);
    }
    Ok(Code::Ok)
}

/// Nobody is called that.
pub(super) fn unknown(name: &str) -> Stop {
    let known: Vec<&str> = KNOWN.iter().map(|c| c.id).collect();
    Stop::new(Code::Usage, codes::NO_CLIENT, format!("no client is called `{name}`"))
        .fix(format!("known are: {}", known.join(", ")))
}

/// A client's file that cannot be edited, and is left as it is.
fn not_edited(file: &Path, why: &EditError) -> Stop {
    Stop::new(Code::Failed, codes::CLIENT_FILE, format!("{}: {why}", file.display()))
        .fix("correct the file, then run this again; it was not touched")
}

/// The clients named, or all that are on this machine.
fn chosen(names: &[String]) -> Result<Vec<&'static Client>, Stop> {
    if names.is_empty() {
        return Ok(KNOWN.iter().filter(|c| c.is_present(&home(), &target::var)).collect());
    }
    names.iter().map(|name| clients::find(name).ok_or_else(|| unknown(name))).collect()
}

/// What is to be written for a client. By default it starts `cella stdio`, so that no token stands in its file.
async fn entry(client: &Client, http: bool, at: &Target, global: &Global) -> Result<Entry, Stop> {
    if http && client.stdio_only {
        let text = format!("{} takes no URL in its file, only programs", client.title);
        return Err(Stop::new(Code::Usage, codes::NO_URL, text).fix("leave out --http"));
    }
    if http {
        let reach = target::must_run(global, at)?;
        let about = reach.get("/api/v1/node").await?;
        let url = about["url"].as_str().ok_or_else(|| {
            Stop::new(Code::Failed, codes::NO_URL, "the node has no HTTP door")
                .fix("leave out --http, or start the node with --listen 127.0.0.1:7878")
        })?;
        let file = about["token_file"].as_str().unwrap_or_default();
        let token = target::read_token(at.token_file.as_deref().unwrap_or(file.as_ref()))?;
        return Ok(Entry::Http { url: url.to_owned(), token });
    }
    let program = std::env::current_exe().map_err(Stop::system("this program"))?.display().to_string();
    let config = target::config_path(global);
    let config = std::path::absolute(&config).map_err(Stop::system(config.display()))?;
    let config = config.display().to_string();
    Ok(Entry::Stdio { command: program, args: vec!["stdio".into(), "--config".into(), config] })
}

async fn show(name: &str, http: bool, at: &Target, global: &Global, printer: Printer) -> Outcome {
    let client = chosen(&[name.to_owned()])?[0];
    let entry = entry(client, http, at, global).await?;
    let text = clients::write(client, "", &entry)
        .map_err(|e| not_edited(&client.file(&home(), &target::var), &e))?;
    let file = client.file(&home(), &target::var);
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "client": client.id, "file": file, "text": text }));
    } else {
        let comment = if client.format == Format::Json { "//" } else { "#" };
        printer.note(format!("{comment} goes into {}", file.display()));
        printer.line(text.trim_end());
    }
    Ok(Code::Ok)
}
