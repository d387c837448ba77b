//! `cella import`: taking over the servers of other clients.

mod same;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cella_contract::{Config, NewServer, Run, add_server, expand, looks_like_secret};
use cella_vault::{Name, Secret, Vault};
use serde_json::{Value, json};

use self::same::Known;
use crate::{
    args::{Global, Import},
    codes,
    command::{
        add::{self, Told},
        secret,
    },
    edit,
    exit::{Code, Outcome, Stop},
    packages,
    print::Printer,
    prompt, target,
};
use cella_clients::{self as clients, Client, Found, KNOWN};

/// A server found at a client.
struct Candidate {
    client: &'static str,
    file: PathBuf,
    found: Found,
}

/// What becomes of the candidates.
#[derive(Default)]
struct Plan {
    add: Vec<NewServer>,
    /// Values for the vault.
    secrets: Vec<(Name, Secret)>,
    /// What the user must see to, by server.
    notes: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
    /// Servers the configuration would not be valid with, and why.
    refused: Vec<(String, String)>,
}

pub(crate) async fn run(args: Import, global: &Global, printer: Printer) -> Outcome {
    let (candidates, unreadable) = candidates(&args)?;
    let path = std::path::absolute(target::config_path(global)).map_err(Stop::system("the configuration"))?;
    let before = add::read_or_empty(&path)?;
    let (config, _) =
        Config::parse(&path.display().to_string(), &before).map_err(|found| Stop::diagnostics(&found))?;
    let mut vault = secret::open(global)?;
    let base = path.parent().unwrap_or(Path::new("."));
    let known = Known { config: &config, vault: &vault, base };
    let (plan, after) = plan(candidates, &known, &before, &path, args.keep_secrets);
    report(&plan, &unreadable, printer);
    let all = unreadable.is_empty() && plan.refused.is_empty();
    if plan.add.is_empty() {
        finish(&plan, &unreadable, &path, None, printer);
        return Ok(if all { Code::Ok } else { Code::Degraded });
    }
    printer.note(edit::masked_difference(&path, &before, &after).trim_end());
    let go =
        !args.dry_run && (args.yes || prompt::confirm(&format!("Add these {} servers?", plan.add.len()))?);
    if !go {
        finish(&plan, &unreadable, &path, None, printer);
        return Ok(if all { Code::Ok } else { Code::Degraded });
    }
    let told = write(&plan, &mut vault, (&path, &before, &after), global, printer)?;
    let mut failed = 0;
    let (config, _) =
        Config::parse(&path.display().to_string(), &after).map_err(|found| Stop::diagnostics(&found))?;
    for server in plan.add.iter().filter(|_| !args.no_install) {
        if let Err(stop) = packages::install(&config, &server.name, global, printer).await {
            printer.warn(format!("{}: {}", server.name, stop.message));
            failed += 1;
        }
    }
    finish(&plan, &unreadable, &path, Some(told), printer);
    // What a running node refuses is not taken over, whatever the file says.
    Ok(if all && failed == 0 { told.exit() } else { Code::Degraded })
}

/// The vault first, then the configuration that names what is in it, then the node.
fn write(
    plan: &Plan,
    vault: &mut Vault,
    (path, before, after): (&Path, &str, &str),
    global: &Global,
    printer: Printer,
) -> Result<Told, Stop> {
    if !plan.secrets.is_empty() {
        secret::store(vault, &plan.secrets, printer)?;
    }
    if !before.is_empty() {
        let copy =
            edit::keep_copy(&target::places(global).state, path).map_err(Stop::system(path.display()))?;
        printer.note(format!("  the configuration as it was is kept in {}", copy.display()));
    }
    edit::exchange(path, after.as_bytes()).map_err(Stop::system(path.display()))?;
    Ok(add::tell_node(global, printer))
}

type Unreadable = Vec<(PathBuf, String)>;

fn candidates(args: &Import) -> Result<(Vec<Candidate>, Unreadable), Stop> {
    let home = target::var("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let mut files: Vec<(&'static Client, PathBuf, Option<String>)> = Vec::new();
    if let Some(file) = &args.file {
        let client = by_content(file, args.from.first())?;
        files.push((client, file.clone(), None));
    } else {
        for name in &args.from {
            if clients::find(name).is_none() {
                return Err(super::client::unknown(name));
            }
        }
        let here = std::env::current_dir().map_err(Stop::system("the current directory"))?;
        for client in KNOWN.iter().filter(|c| args.from.is_empty() || args.from.iter().any(|n| n == c.id)) {
            files.push((client, client.file(&home, &target::var), None));
            // At home the user's own file is the project's file too.
            let of_project = client.project_files(&here).into_iter().filter(|_| here != home);
            let folder = here.display().to_string();
            files.extend(of_project.map(|f| (client, f, Some(folder.clone()))));
        }
    }
    let (mut candidates, mut unreadable) = (Vec::new(), Vec::new());
    for (client, file, project) in files {
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && args.file.is_none() => continue,
            Err(e) => {
                unreadable.push((file, e.to_string()));
                continue;
            }
        };
        match clients::read(client, &text, project.as_deref()) {
            Ok(found) => {
                let of_projects = projects(client, &text);
                let all = found.into_iter().chain(of_projects.into_iter().map(|(_, found)| found));
                candidates.extend(all.map(|found| Candidate {
                    client: client.id,
                    file: file.clone(),
                    found,
                }));
            }
            Err(e) => unreadable.push((file, e.to_string())),
        }
    }
    Ok((candidates, unreadable))
}

/// The client whose spelling a file has, by name or by the key that is in it.
fn by_content(file: &Path, named: Option<&String>) -> Result<&'static Client, Stop> {
    if let Some(name) = named {
        return clients::find(name).ok_or_else(|| super::client::unknown(name));
    }
    let text = fs::read_to_string(file).map_err(Stop::system(file.display()))?;
    let fits = |client: &&Client| clients::read(client, &text, None).is_ok_and(|found| !found.is_empty());
    KNOWN.iter().find(fits).ok_or_else(|| {
        let message = format!("{} names no MCP servers in a spelling Cella knows", file.display());
        Stop::new(Code::Failed, codes::NOTHING_TO_IMPORT, message)
            .fix("say whose file it is: cella import --file FILE CLIENT")
    })
}

/// Claude Code keeps servers of single projects in the user's file too; each comes with its project's folder.
pub(super) fn projects(client: &Client, text: &str) -> Vec<(String, Found)> {
    if client.id != "claude-code" {
        return Vec::new();
    }
    let whole: Value = serde_json::from_str(text).unwrap_or_default();
    let projects = whole["projects"].as_object().into_iter().flatten();
    projects
        .filter_map(|(folder, project)| {
            let text = json!({ "mcpServers": project["mcpServers"] }).to_string();
            let found = clients::read(client, &text, Some(folder)).ok()?;
            Some(found.into_iter().map(|found| (folder.clone(), found)))
        })
        .flatten()
        .collect()
}

/// What is to be added, and the configuration with it.
fn plan(
    candidates: Vec<Candidate>,
    known: &Known<'_>,
    before: &str,
    path: &Path,
    keep_secrets: bool,
) -> (Plan, String) {
    let (mut plan, mut after) = (Plan::default(), before.to_owned());
    let mut taken: BTreeSet<String> = known.config.servers.keys().cloned().collect();
    let mut seen: Vec<Found> = Vec::new();
    for candidate in candidates {
        let (found, file) = (candidate.found, candidate.file.display().to_string());
        let who = format!("{} ({})", found.name, candidate.client);
        if found.is_cella() {
            plan.skipped.push((who, "it is Cella itself".into()));
            continue;
        }
        if known.has(&found) || seen.iter().any(|other| same::is_same(other, &found)) {
            plan.skipped.push((who, "the same server is there already".into()));
            continue;
        }
        seen.push(found.clone());
        let name = free_name(&found.name, &taken);
        let mut notes = found.notes.clone();
        if name != plain_name(&found.name) {
            notes.push(format!(
                "there is another server called {}; this one differs in what it starts, calls or is given",
                plain_name(&found.name)
            ));
        }
        let planned = plan.secrets.len();
        let secrets = (!keep_secrets).then_some(&mut plan.secrets);
        let server = converted(found, name.clone(), &format!("imported from {file}"), known.vault, secrets);
        match with(&after, &server, path) {
            Ok(text) => {
                after = text;
                taken.insert(name.clone());
                plan.notes.extend(notes.into_iter().map(|note| (name.clone(), note)));
                plan.add.push(server);
            }
            Err(why) => {
                plan.secrets.truncate(planned);
                plan.refused.push((who, why));
            }
        }
    }
    (plan, after)
}

/// The configuration with one more server, when it is still one: a single entry that no node would take must not cost the
/// user all the others.
fn with(text: &str, server: &NewServer, path: &Path) -> Result<String, String> {
    let after = add_server(text, server).map_err(|e| e.to_string())?;
    match Config::parse(&path.display().to_string(), &after) {
        Ok(_) => Ok(after),
        Err(found) => Err(found.0.first().map_or_else(String::new, |first| first.message.clone())),
    }
}

/// What a client's entry starts or calls, to be compared with [`fingerprint`].
pub(super) fn print_of(found: &Found) -> String {
    format!("{:?}{:?}{:?}", found.command, found.args, found.url)
}

/// What a server of the configuration is.
pub(super) fn fingerprint(run: &Run) -> String {
    match run {
        Run::Program(p) => format!("{:?}{:?}{:?}", Some(&p.command), p.args, None::<String>),
        Run::Remote(r) => format!("{:?}{:?}{:?}", None::<String>, Vec::<String>::new(), Some(&r.url)),
    }
}

/// A name Cella accepts and nobody has.
fn free_name(name: &str, taken: &BTreeSet<String>) -> String {
    let plain = plain_name(name);
    let numbered = (2..).map(|n| format!("{plain}-{n}"));
    std::iter::once(plain.clone()).chain(numbered).find(|n| !taken.contains(n)).unwrap_or(plain)
}

/// True when import may have given the name `ours` to a client's entry called `theirs`.
pub(super) fn is_name_of(ours: &str, theirs: &str) -> bool {
    let Some(rest) = ours.strip_prefix(&plain_name(theirs)) else { return false };
    rest.is_empty() || rest.strip_prefix('-').is_some_and(|n| n.parse::<u32>().is_ok())
}

/// The characters of a name that Cella accepts.
fn plain_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .collect();
    let mut plain = plain.trim_matches(['-', '_']).chars().take(28).collect::<String>();
    while plain.contains("__") {
        plain = plain.replace("__", "_");
    }
    if plain.is_empty() { "server".to_owned() } else { plain }
}

/// A client's entry in our spelling. Values that look like secrets go to `secrets`, where that is wanted.
fn converted(
    found: Found,
    name: String,
    remark: &str,
    vault: &Vault,
    mut secrets: Option<&mut Vec<(Name, Secret)>>,
) -> NewServer {
    let mut hide = |pairs: Vec<(String, String)>| -> Vec<(String, String)> {
        pairs
            .into_iter()
            .map(|(key, value)| {
                let Some(secrets) = secrets.as_mut().filter(|_| looks_like_secret(&key, &value)) else {
                    return (key, value);
                };
                // In a vault a value stands as it is, without the doubled `$` of a configuration.
                let secret = Secret::from(expand(&value, &|_| None).unwrap_or(value));
                let stored = secret::free_name(&format!("{name}_{key}"), &secret, vault, secrets);
                let reference = format!("vault:{stored}");
                secrets.push((stored, secret));
                (key, reference)
            })
            .collect()
    };
    let (env, headers) = (hide(found.env), hide(found.headers));
    let names_a_directory = found.args.iter().any(|a| Path::new(a).is_dir());
    NewServer {
        contract: (found.command.is_some() && names_a_directory).then(|| "semi-trusted".to_owned()),
        transport: found.sse.then(|| "sse".to_owned()),
        name,
        command: found.command,
        args: found.args,
        env,
        cwd: found.cwd,
        url: found.url,
        headers,
        disabled: found.disabled,
        remark: Some(remark.to_owned()),
    }
}

fn report(plan: &Plan, unreadable: &Unreadable, printer: Printer) {
    for (file, why) in unreadable {
        printer.warn(format!("{}: {why}", file.display()));
    }
    for (name, why) in &plan.skipped {
        printer.note(format!("  {name}: left out, {why}"));
    }
    for (name, note) in &plan.notes {
        printer.warn(format!("{name}: {note}"));
    }
    for (name, why) in &plan.refused {
        printer.warn(format!("{name}: left out, the configuration would not be valid with it: {why}"));
    }
    for (name, _) in &plan.secrets {
        printer.note(format!("  a secret moves into the vault as {name}"));
    }
    if plan.add.is_empty() && plan.skipped.is_empty() && plan.refused.is_empty() && unreadable.is_empty() {
        printer.note("no client with MCP servers was found here");
    }
}

/// `told` is what the node does with a file that was written.
fn finish(plan: &Plan, unreadable: &Unreadable, path: &Path, told: Option<Told>, printer: Printer) {
    let names: Vec<&str> = plan.add.iter().map(|s| s.name.as_str()).collect();
    if printer.is_json() {
        let pairs = |list: &[(String, String)], key: &str| -> Vec<Value> {
            list.iter().map(|(name, text)| json!({ "server": name, key: text })).collect()
        };
        let unreadable: Vec<Value> =
            unreadable.iter().map(|(file, why)| json!({ "file": file, "why": why })).collect();
        let secrets: Vec<&str> = plan.secrets.iter().map(|(name, _)| name.as_str()).collect();
        printer.json(&json!({
            "schema": "cella/v1", "config": path, "added": names, "skipped": pairs(&plan.skipped, "why"),
            "notes": pairs(&plan.notes, "note"), "refused": pairs(&plan.refused, "why"), "secrets": secrets, "unreadable": unreadable,
            "written": told.is_some(), "node": told.map(Told::as_str),
        }));
    } else if let Some(told) = told {
        printer.done(format!("{} servers are in {}", names.len(), path.display()));
        for server in &plan.add {
            printer.note(format!("  the contract of {}: {}", server.name, add::contract_of(server)));
        }
        printer.note(match told {
            Told::NoNode => "  next: cella up, then cella client setup",
            Told::Reads => "  next: cella client setup",
            Told::Refuses => "  next: correct it, cella config validate says where",
        });
    }
}
