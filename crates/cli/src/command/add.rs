//! `cella add NAME …`: one more server, installed and written into the configuration.

mod proposal;

use std::path::Path;

use cella_contract::{EditError, NewServer, Preset, add_server, looks_like_secret, set_contract};
use serde_json::json;

use crate::{
    args::{Add, Global},
    codes, edit,
    exit::{Code, Outcome, Stop},
    packages,
    print::Printer,
    target,
};

pub(crate) async fn run(args: Add, global: &Global, printer: Printer) -> Outcome {
    let mut server = wanted(&args)?;
    let path = target::config_path(global);
    let before = read_or_empty(&path)?;
    let mut after = add_server(&before, &server)
        .map_err(|e| not_edited(&path, &e, "choose another name, or first: cella rm NAME"))?;
    if args.build_from_source {
        after = built_from_source(&after, &server.name)
            .map_err(|e| not_edited(&path, &e, "choose another name"))?;
    }
    let name = path.display().to_string();
    let (config, _) =
        cella_contract::Config::parse(&name, &after).map_err(|found| Stop::diagnostics(&found))?;
    if let Some(program) = server.command.as_deref().filter(|c| !can_be_found(c)) {
        printer.warn(format!("`{program}` is not on this shell's PATH; write its whole path, or install it"));
    }
    if !args.no_install {
        packages::install(&config, &server.name, global, printer).await?;
    }
    let proposed = proposal::of(&args, &server, (&path, &after), global, printer).await?;
    if let Some(taken) = proposed.as_ref().and_then(|proposed| proposed.taken.as_ref()) {
        edit::exchange(&taken.file, taken.text.as_bytes()).map_err(Stop::system(taken.file.display()))?;
        after = set_contract(&after, &server.name, &taken.named)
            .map_err(|e| not_edited(&path, &e, "choose another name"))?;
        server.contract = Some(taken.named.clone());
    }
    edit::exchange(&path, after.as_bytes()).map_err(Stop::system(path.display()))?;
    let told = tell_node(global, printer);
    if printer.is_json() {
        let contract = contract_of(&server);
        let proposed = proposed.as_ref().map(proposal::Proposed::as_json);
        let value = json!({ "schema": "cella/v1", "added": server.name, "config": path, "contract": contract, "observed": proposed });
        printer.json(&value);
    } else {
        printer.done(format!("{} is in {}", server.name, path.display()));
        for (key, _) in server.env.iter().chain(&server.headers).filter(|(k, v)| looks_like_secret(k, v)) {
            printer.warn(format!(
                "{key} looks like a secret in plain text; into the vault: cella secret import"
            ));
        }
        printer.note(format!("  its contract: {}", contract_of(&server)));
        printer.note(match told {
            Told::NoNode => "  next: cella up".to_owned(),
            _ => format!("  try it: cella tools {}", server.name),
        });
    }
    Ok(told.exit())
}

/// The contract that a new server gets: the one written, else the default.
pub(crate) fn contract_of(server: &NewServer) -> &str {
    server.contract.as_deref().unwrap_or(Preset::default().as_str())
}

/// What a node does with a configuration that was edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// None runs.
    NoNode,
    /// It reads it again.
    Reads,
    /// It would not use it, or cannot be told.
    Refuses,
}

impl Told {
    /// The word in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoNode => "none",
            Self::Reads => "reads",
            Self::Refuses => "refuses",
        }
    }

    /// What the shell gets after an edit.
    pub(crate) const fn exit(self) -> Code {
        match self {
            Self::NoNode | Self::Reads => Code::Ok,
            Self::Refuses => Code::Degraded,
        }
    }
}

/// True for what a node will find, or what is looked up only when it starts.
pub(crate) fn can_be_found(command: &str) -> bool {
    if command.starts_with("builtin:") || command.contains('$') {
        return true;
    }
    if command.contains('/') {
        return Path::new(command).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(command).is_file());
    there || matches!(command, "npx" | "uvx")
}

/// A running node reads its configuration again; one that would refuse it is not asked, and the user is told why.
pub(crate) fn tell_node(global: &Global, printer: Printer) -> Told {
    let places = target::places(global);
    let text = std::fs::read_to_string(places.announcement()).unwrap_or_default();
    let about: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let running =
        std::os::unix::net::UnixStream::connect(&cella_node::Whereabouts::of(&places).socket).is_ok();
    let (true, Some(pid)) = (running, about["pid"].as_u64()) else { return Told::NoNode };
    if let Err(error) = cella_node::check(&places.config) {
        let (code, why) = (error.code(), error.brief());
        printer.warn(format!("the running node keeps the configuration it has [{code}]: {why}"));
        printer.note("    fix: see all of it: cella config validate");
        return Told::Refuses;
    }
    let done = std::process::Command::new("kill").args(["-HUP", &pid.to_string()]).status();
    if done.is_ok_and(|s| s.success()) {
        printer.note("  the running node reads its configuration again");
        return Told::Reads;
    }
    printer.warn("the running node could not be told; send it SIGHUP, or start it again");
    Told::Refuses
}

/// The configuration with the server's permission to run code of its package while it is built.
fn built_from_source(text: &str, name: &str) -> Result<String, EditError> {
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| EditError::Syntax(e.to_string()))?;
    document["servers"][name]["build_from_source"] = toml_edit::value(true);
    Ok(document.to_string())
}

fn wanted(args: &Add) -> Result<NewServer, Stop> {
    let usage = |what: &str| Stop::new(Code::Usage, codes::USAGE, what).fix("see: cella add --help");
    let mut server = NewServer {
        name: args.name.clone(),
        url: args.url.clone(),
        contract: args.contract.clone(),
        env: args.env.iter().map(|p| pair(p)).collect::<Result<_, _>>()?,
        headers: args.header.iter().map(|p| pair(p)).collect::<Result<_, _>>()?,
        ..NewServer::default()
    };
    match (&args.builtin, args.command.as_slice(), &args.url) {
        (Some(name), rest, None) => {
            server.command = Some(format!("builtin:{name}"));
            server.args = rest.to_vec();
        }
        (None, [command, rest @ ..], None) => {
            server.command = Some(command.clone());
            server.args = rest.to_vec();
        }
        (None, [], Some(_)) => {}
        _ => return Err(usage("say what the server is: --builtin NAME, --url URL, or -- COMMAND ARGS")),
    }
    if args.contract.is_none() && server.command.is_some() {
        // Named directories are what the server is for; reading them is the least it needs.
        let names_a_directory = server.args.iter().any(|a| Path::new(a).is_dir());
        server.contract = names_a_directory.then(|| "semi-trusted".to_owned());
    }
    Ok(server)
}

fn pair(text: &str) -> Result<(String, String), Stop> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
        Stop::new(Code::Usage, codes::USAGE, format!("`{text}` is not NAME=VALUE"))
            .fix("a secret is best named, not written: --env TOKEN=vault:token, after cella secret set token")
    })?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The configuration's text; nothing when there is no file yet.
pub(crate) fn read_or_empty(path: &Path) -> Result<String, Stop> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Stop { exit: Code::Config, ..Stop::system(path.display())(e) }),
    }
}

/// Why a server could not be added or removed.
pub(crate) fn not_edited(path: &Path, why: &EditError, fix: &str) -> Stop {
    let name = path.display();
    match why {
        EditError::Taken(_) | EditError::Absent(_) => {
            Stop::new(Code::Config, codes::SERVER_NAME, format!("{name}: {why}")).fix(fix)
        }
        _ => Stop::new(Code::Config, codes::NOT_EDITABLE, format!("{name}: {why}"))
            .fix("correct it first: cella config validate"),
    }
}
