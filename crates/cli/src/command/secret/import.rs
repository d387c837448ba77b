//! `cella secret import`: secrets that stand in `cella.toml`, in a `.env` file or in this shell's environment move into the
//! vault, and the configuration names them.

use std::path::{Path, PathBuf};

use cella_contract::{Config, Pairs, Run, Text, expand, looks_like_secret, set_value};
use cella_vault::{Name, Secret, Vault};
use serde_json::json;

use super::dotenv;
use crate::{
    args::{Global, SecretImport},
    codes,
    command::add,
    edit,
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt, target,
};

/// A value of the configuration.
struct Place {
    server: String,
    of: Pairs,
    key: String,
    value: String,
}

/// What is to be done.
#[derive(Default)]
struct Plan {
    values: Vec<(Name, Secret)>,
    /// For each of them, where it is from.
    from: Vec<String>,
    /// What will name them.
    places: Vec<(Place, Name)>,
}

pub(super) fn run(args: &SecretImport, global: &Global, printer: Printer) -> Outcome {
    let path = std::path::absolute(target::config_path(global)).map_err(Stop::system("the configuration"))?;
    let before = add::read_or_empty(&path)?;
    let (config, _) =
        Config::parse(&path.display().to_string(), &before).map_err(|found| Stop::diagnostics(&found))?;
    let mut vault = super::open(global)?;
    let plan = match variables(args)? {
        Some((variables, from)) => of_variables(variables, &from, &config, &vault, args, printer)?,
        None => of_config(&config, &vault, args)?,
    };
    if plan.values.is_empty() {
        finish(&plan, &path, None, false, printer);
        return Ok(Code::Ok);
    }
    let mut after = before.clone();
    for (place, name) in &plan.places {
        after = set_value(&after, &place.server, place.of, &place.key, &format!("vault:{name}"))
            .map_err(|e| add::not_edited(&path, &e, "correct it first: cella config validate"))?;
    }
    for ((name, _), from) in plan.values.iter().zip(&plan.from) {
        printer.note(format!("  {from} moves into the vault as {name}"));
    }
    printer.note(shown(&path, &before, &after, &plan).trim_end());
    let question = format!("Move {} into the vault?", counted(plan.values.len()));
    if args.dry_run || !(args.yes || prompt::confirm(&question)?) {
        finish(&plan, &path, None, false, printer);
        return Ok(Code::Ok);
    }
    // The vault first: a configuration that names what is not there starts nothing.
    super::store(&mut vault, &plan.values, printer)?;
    let mut told = add::Told::NoNode;
    let mut copy = None;
    if before != after {
        let state = target::places(global).state;
        copy = Some(edit::keep_copy(&state, &path).map_err(Stop::system(path.display()))?);
        edit::exchange(&path, after.as_bytes()).map_err(Stop::system(path.display()))?;
        told = add::tell_node(global, printer);
    }
    finish(&plan, &path, copy.as_deref(), true, printer);
    Ok(told.exit())
}

/// Variables with where they are from; `None` when the configuration's own values are meant.
type Variables = Option<(Vec<(String, Secret)>, String)>;

fn variables(args: &SecretImport) -> Result<Variables, Stop> {
    if args.env {
        let values = args.names.iter().map(|name| Ok((name.clone(), super::set::from_env(name)?)));
        return Ok(Some((values.collect::<Result<_, Stop>>()?, "this shell".to_owned())));
    }
    let Some(file) = &args.file else { return Ok(None) };
    let text = std::fs::read_to_string(file).map_err(Stop::system(file.display()))?;
    let found = dotenv::read(&text).map_err(|line| {
        let message = format!("{}: line {line} is not NAME=VALUE", file.display());
        Stop::new(Code::Failed, codes::ENV_FILE, message).fix("correct that line, or take it out")
    })?;
    if let Some(missing) = args.names.iter().find(|name| !found.iter().any(|(there, _)| there == *name)) {
        let message = format!("{} has no `{missing}`", file.display());
        return Err(Stop::new(Code::Failed, codes::NO_SECRET, message).fix("see how it is spelled there"));
    }
    Ok(Some((found, file.display().to_string())))
}

/// Moves variables, and makes `env:NAME` of the configuration into `vault:NAME`.
fn of_variables(
    variables: Vec<(String, Secret)>,
    from: &str,
    config: &Config,
    vault: &Vault,
    args: &SecretImport,
    printer: Printer,
) -> Result<Plan, Stop> {
    let mut plan = Plan::default();
    let mut left = Vec::new();
    for (variable, value) in variables {
        let text = value.expose_text().unwrap_or_default();
        let wanted = if args.names.is_empty() {
            looks_like_secret(&variable, text)
        } else {
            args.names.contains(&variable)
        };
        if !wanted || text.is_empty() {
            left.push(variable);
            continue;
        }
        let name = super::free_name(&variable, &value, vault, &plan.values);
        let named = |place: &Place| Text::read(&place.value) == Text::Env(variable.clone());
        let naming = places(config).into_iter().filter(named).map(|place| (place, name.clone()));
        plan.places.extend(naming);
        plan.from.push(format!("{variable} of {from}"));
        plan.values.push((name, value));
    }
    if args.names.is_empty() && !left.is_empty() {
        printer
            .note(format!("  left out, no secrets by their look: {}; name one to take it", left.join(", ")));
    }
    Ok(plan)
}

/// Moves what stands in the configuration itself.
fn of_config(config: &Config, vault: &Vault, args: &SecretImport) -> Result<Plan, Stop> {
    let mut plan = Plan::default();
    for place in places(config) {
        let wanted = if args.names.is_empty() {
            looks_like_secret(&place.key, &place.value)
        } else {
            args.names.contains(&place.key)
        };
        let literal = matches!(Text::read(&place.value), Text::Plain(_)) && !place.value.is_empty();
        // What a variable holds is not in this file.
        let Some(value) = expand(&place.value, &|_| None).ok().filter(|_| wanted && literal) else {
            continue;
        };
        let value = Secret::from(value);
        let name = super::free_name(&format!("{}_{}", place.server, place.key), &value, vault, &plan.values);
        plan.from.push(format!("{} of {}", place.key, place.server));
        plan.values.push((name.clone(), value));
        plan.places.push((place, name));
    }
    let missing = args.names.iter().find(|name| !plan.places.iter().any(|(place, _)| place.key == **name));
    match missing {
        None => Ok(plan),
        Some(missing) => {
            let message = format!("no server has a literal value for `{missing}`");
            Err(Stop::new(Code::Failed, codes::NO_SECRET, message).fix("see what cella.toml says of it"))
        }
    }
}

fn places(config: &Config) -> Vec<Place> {
    let of_server = |(server, about): (&String, &cella_contract::ServerConfig)| {
        let (of, pairs) = match &about.run {
            Run::Program(program) => (Pairs::Env, program.env.clone()),
            Run::Remote(remote) => (Pairs::Headers, remote.headers.clone()),
        };
        let server = server.clone();
        pairs.into_iter().map(move |(key, value)| Place { server: server.clone(), of, key, value })
    };
    config.servers.iter().flat_map(of_server).collect()
}

/// The difference, without the values that go.
fn shown(path: &Path, before: &str, after: &str, plan: &Plan) -> String {
    let mut hidden = before.to_owned();
    for (place, _) in
        plan.places.iter().filter(|(place, _)| matches!(Text::read(&place.value), Text::Plain(_)))
    {
        let asterisks = set_value(&hidden, &place.server, place.of, &place.key, "********");
        hidden = asterisks.unwrap_or(hidden);
    }
    edit::masked_difference(path, &hidden, after)
}

fn finish(plan: &Plan, path: &Path, copy: Option<&Path>, written: bool, printer: Printer) {
    if printer.is_json() {
        let moved: Vec<_> = plan
            .values
            .iter()
            .zip(&plan.from)
            .map(|((name, _), from)| json!({ "secret": name.as_str(), "from": from }))
            .collect();
        let copy: Option<PathBuf> = copy.map(Path::to_owned);
        printer.json(&json!({
            "schema": "cella/v1", "moved": moved, "config": path, "copy": copy, "written": written,
        }));
        return;
    }
    if plan.values.is_empty() {
        printer.note("nothing there looks like a secret; name a variable to take it all the same");
    } else if written {
        printer.done(format!("in the vault: {}", counted(plan.values.len())));
        if let Some(copy) = copy {
            printer.warn(format!(
                "a copy of the configuration as it was, with the values, is in {}; once all works: rm {0}",
                copy.display()
            ));
        } else if plan.places.is_empty() {
            printer.note("  next, in cella.toml: env = { VARIABLE = \"vault:NAME\" }");
        }
    }
}

fn counted(secrets: usize) -> String {
    format!("{secrets} secret{}", if secrets == 1 { "" } else { "s" })
}
