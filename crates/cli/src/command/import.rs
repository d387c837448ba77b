//! `cella import`: taking over the servers of other clients.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cella_contract::{Config, NewServer, Run, add_server, looks_like_secret};
use serde_json::{Value, json};

use crate::{
    args::{Global, Import},
    clients::{self, Client, Found, KNOWN},
    codes, edit,
    exit::{Code, Outcome, Stop},
    packages,
    print::Printer,
    prompt, target,
};

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
    /// Files with secrets, to be written beside the configuration.
    secrets: Vec<(PathBuf, String)>,
    /// What the user must see to, by server.
    notes: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
}

pub(crate) async fn run(args: Import, global: &Global, printer: Printer) -> Outcome {
    let (candidates, unreadable) = candidates(&args)?;
    let path = std::path::absolute(target::config_path(global)).map_err(Stop::system("the configuration"))?;
    let before = super::add::read_or_empty(&path)?;
    let (config, _) =
        Config::parse(&path.display().to_string(), &before).map_err(|found| Stop::diagnostics(&found))?;
    let plan = plan(candidates, &config, path.parent().unwrap_or(Path::new(".")));
    let mut after = before.clone();
    for server in &plan.add {
        after = add_server(&after, server)
            .map_err(|e| super::add::not_edited(&path, &e, "rename one of the two servers first"))?;
    }
    report(&plan, &unreadable, printer);
    if plan.add.is_empty() {
        finish(&plan, &unreadable, &path, false, printer);
        return Ok(if unreadable.is_empty() { Code::Ok } else { Code::Degraded });
    }
    printer.note(edit::difference(&path, &before, &after).trim_end());
    let go =
        !args.dry_run && (args.yes || prompt::confirm(&format!("Add these {} servers?", plan.add.len()))?);
    let mut failed = 0;
    if go {
        for (file, secret) in &plan.secrets {
            write_secret(file, secret).map_err(Stop::system(file.display()))?;
        }
        edit::exchange(&path, after.as_bytes()).map_err(Stop::system(path.display()))?;
        let _said = super::add::tell_node(global, printer);
        let (config, _) =
            Config::parse(&path.display().to_string(), &after).map_err(|found| Stop::diagnostics(&found))?;
        for server in plan.add.iter().filter(|_| !args.no_install) {
            if let Err(stop) = packages::install(&config, &server.name, global, printer).await {
                printer.warn(format!("{}: {}", server.name, stop.message));
                failed += 1;
            }
        }
    }
    finish(&plan, &unreadable, &path, go, printer);
    Ok(if failed + unreadable.len() > 0 { Code::Degraded } else { Code::Ok })
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

fn plan(candidates: Vec<Candidate>, config: &Config, base: &Path) -> Plan {
    let mut plan = Plan::default();
    let mut taken: BTreeSet<String> = config.servers.keys().cloned().collect();
    let mut known: BTreeSet<String> = config.servers.values().map(|s| fingerprint(&s.run)).collect();
    for candidate in candidates {
        let (found, file) = (candidate.found, candidate.file.display().to_string());
        let mut skip =
            |why: &str| plan.skipped.push((format!("{} ({})", found.name, candidate.client), why.to_owned()));
        if found.is_cella() {
            skip("it is Cella itself");
            continue;
        }
        if !known.insert(print_of(&found)) {
            skip("the same server is there already");
            continue;
        }
        let name = free_name(&found.name, &taken);
        taken.insert(name.clone());
        plan.notes.extend(found.notes.iter().map(|note| (name.clone(), note.clone())));
        let server = converted(found, name, &format!("imported from {file}"), base, &mut plan.secrets);
        plan.add.push(server);
    }
    plan
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

fn converted(
    found: Found,
    name: String,
    remark: &str,
    base: &Path,
    secrets: &mut Vec<(PathBuf, String)>,
) -> NewServer {
    let mut hide = |pairs: Vec<(String, String)>| -> Vec<(String, String)> {
        pairs
            .into_iter()
            .map(|(key, value)| {
                if !looks_like_secret(&key, &value) {
                    return (key, value);
                }
                let file: String = key
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
                    .collect();
                let path = PathBuf::from("secrets").join(format!("{name}-{file}"));
                secrets.push((base.join(&path), value));
                (key, format!("file:{}", path.display()))
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

fn write_secret(file: &Path, secret: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    edit::exchange(file, secret.as_bytes())?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
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
    for (file, _) in &plan.secrets {
        printer.note(format!("  a secret moves to {} (readable by you alone)", file.display()));
    }
    if plan.add.is_empty() && plan.skipped.is_empty() && unreadable.is_empty() {
        printer.note("no client with MCP servers was found here");
    }
}

fn finish(plan: &Plan, unreadable: &Unreadable, path: &Path, written: bool, printer: Printer) {
    let names: Vec<&str> = plan.add.iter().map(|s| s.name.as_str()).collect();
    if printer.is_json() {
        let pairs = |list: &[(String, String)], key: &str| -> Vec<Value> {
            list.iter().map(|(name, text)| json!({ "server": name, key: text })).collect()
        };
        let unreadable: Vec<Value> =
            unreadable.iter().map(|(file, why)| json!({ "file": file, "why": why })).collect();
        let secrets: Vec<&PathBuf> = plan.secrets.iter().map(|(file, _)| file).collect();
        printer.json(&json!({
            "schema": "cella/v1", "config": path, "added": names, "skipped": pairs(&plan.skipped, "why"),
            "notes": pairs(&plan.notes, "note"), "secrets": secrets, "unreadable": unreadable, "written": written,
        }));
    } else if written {
        printer.done(format!("{} servers are in {}", names.len(), path.display()));
        for server in &plan.add {
            printer.note(format!("  the contract of {}: {}", server.name, super::add::contract_of(server)));
        }
        printer.note("  next: cella up, then cella client setup");
    }
}
