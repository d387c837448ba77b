//! Whether what a configuration names is there: programs, variables, files with secrets. As this shell sees it; a node
//! that is started elsewhere may see something else, so that only an unknown built-in server is an error.

use std::path::Path;

use cella_contract::{Run, Text, expand};
use cella_node::{Loaded, Served};
use cella_vault::Name;

use crate::{
    codes,
    command::add::can_be_found,
    exit::{Code, Stop},
};

/// Refuses a built-in server that there is not.
pub(super) fn built_ins(loaded: &Loaded) -> Result<(), Stop> {
    for (name, served) in &loaded.servers {
        let Run::Program(program) = &served.config.run else { continue };
        let Some(built_in) = program.command.strip_prefix("builtin:") else { continue };
        if !cella_builtin::NAMES.contains(&built_in) {
            let message = format!("servers.{name}.command: there is no built-in server `{built_in}`");
            return Err(Stop::new(Code::Config, codes::BUILT_IN, message)
                .fix(format!("there are: {}", cella_builtin::NAMES.join(", "))));
        }
    }
    Ok(())
}

/// What is named and is not there, each with its key.
pub(super) fn missing(loaded: &Loaded, secrets: &[Name]) -> Vec<String> {
    loaded.servers.iter().flat_map(|(name, served)| of_server(name, served, secrets)).collect()
}

fn of_server(name: &str, served: &Served, secrets: &[Name]) -> Vec<String> {
    let mut found = Vec::new();
    match &served.config.run {
        Run::Program(program) => {
            found
                .extend(program_missing(&program.command, &served.base).map(|what| ("command".into(), what)));
            found.extend(program.args.iter().filter_map(|arg| Some(("args".into(), unset(arg)?))));
            found.extend(values("env", &program.env, &served.base, secrets));
        }
        Run::Remote(remote) => {
            found.extend(unset(&remote.url).map(|what| ("url".to_owned(), what)));
            found.extend(values("headers", &remote.headers, &served.base, secrets));
        }
    }
    found.into_iter().map(|(key, what)| format!("servers.{name}.{key}: {what}")).collect()
}

fn program_missing(command: &str, base: &Path) -> Option<String> {
    if let Some(what) = unset(command) {
        return Some(what);
    }
    let there = can_be_found(command) || (command.contains('/') && base.join(command).is_file());
    (!there).then(|| format!("the program `{command}` is not here; write its whole path, or install it"))
}

fn values(of: &str, pairs: &[(String, String)], base: &Path, secrets: &[Name]) -> Vec<(String, String)> {
    let missing = |value: &str| match Text::read(value) {
        Text::Env(variable) => std::env::var_os(&variable)
            .is_none()
            .then(|| format!("the variable `{variable}` is not set; export it before `cella up`")),
        Text::File(path) => {
            let path = match expand(&path.to_string_lossy(), &variable) {
                Ok(path) => base.join(path),
                Err(name) => return Some(not_set(&name)),
            };
            std::fs::File::open(&path).err().map(|e| format!("{}: {e}", path.display()))
        }
        Text::Vault(name) => {
            let there = secrets.iter().any(|secret| secret.as_str() == name);
            (!there).then(|| format!("the vault has no secret `{name}`; put it in: cella secret set {name}"))
        }
        Text::Command(line) => line.first().and_then(|program| program_missing(program, base)),
        Text::Plain(text) => unset(&text),
    };
    pairs.iter().filter_map(|(key, value)| Some((format!("{of}.{key}"), missing(value)?))).collect()
}

fn unset(text: &str) -> Option<String> {
    expand(text, &variable).err().map(|name| not_set(&name))
}

fn not_set(name: &str) -> String {
    format!("the variable `{name}` is not set; export it, or write ${{{name}:-otherwise}}")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
