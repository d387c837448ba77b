//! `cella secret …`: the vault, by its names. There is no verb that prints a value, and no place for one in this program's
//! output.

mod dotenv;
mod import;
mod ls;
mod rm;
mod set;

use std::collections::BTreeMap;

use cella_contract::{Config, Run, Text};
use cella_vault::{KeySource, Name, Secret, Vault};

use crate::{
    args::{self, Global, SecretVerb},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

pub(crate) fn run(args: args::Secret, global: &Global, printer: Printer) -> Outcome {
    match args.what {
        SecretVerb::Set(args) => set::run(&args, global, printer),
        SecretVerb::Ls => ls::run(global, printer),
        SecretVerb::Rm(args) => rm::run(&args, global, printer),
        SecretVerb::Import(args) => import::run(&args, global, printer),
    }
}

/// The vault of the node with this configuration.
pub(crate) fn open(global: &Global) -> Result<Vault, Stop> {
    let path = target::places(global).vault();
    let source = KeySource::find(&path, &target::var)?;
    Ok(Vault::open(path, source)?)
}

/// Puts all of these in. Who makes a vault is told what its key protects against.
pub(crate) fn store(vault: &mut Vault, values: &[(Name, Secret)], printer: Printer) -> Result<usize, Stop> {
    let new = !vault.exists();
    let values: Vec<(&Name, &Secret)> = values.iter().map(|(name, value)| (name, value)).collect();
    let replaced = vault.set_all(&values)?;
    if new {
        printer.note(format!("  a vault was made; {}", vault.source().protects()));
    }
    Ok(replaced)
}

/// A name for what a server's variable holds: its own name where that is free, or where the vault has this very value under
/// it; else with a number.
pub(crate) fn free_name(wanted: &str, value: &Secret, vault: &Vault, planned: &[(Name, Secret)]) -> Name {
    let plain: String = wanted
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .collect();
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    // Room for a number.
    let plain: String = plain.chars().take(cella_vault::NAME_BYTES_MAX - 4).collect();
    let plain = if plain.is_empty() { "secret".to_owned() } else { plain };
    let numbered = (2..).map(|n: u32| format!("{plain}-{n}"));
    let fits = |name: &Name| match planned.iter().find(|(taken, _)| taken == name) {
        Some((_, theirs)) => theirs == value,
        None => !vault.contains(name) || vault.get(name).is_ok_and(|theirs| theirs == *value),
    };
    let mut names = std::iter::once(plain.clone()).chain(numbered).filter_map(|name| Name::parse(&name).ok());
    #[expect(clippy::unwrap_used, reason = "there are more numbers than a vault has places")]
    names.find(|name| fits(name)).unwrap()
}

/// Which servers use which secret.
pub(crate) fn users(config: &Config) -> BTreeMap<String, Vec<String>> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (server, about) in &config.servers {
        let pairs = match &about.run {
            Run::Program(program) => &program.env,
            Run::Remote(remote) => &remote.headers,
        };
        for (_, value) in pairs {
            let Text::Vault(name) = Text::read(value) else { continue };
            let servers = users.entry(name).or_default();
            if !servers.contains(server) {
                servers.push(server.clone());
            }
        }
    }
    users
}

/// The configuration as it stands; an empty one where there is no file.
fn config(global: &Global) -> Result<Config, Stop> {
    let path = target::config_path(global);
    let text = super::add::read_or_empty(&path)?;
    let parsed = Config::parse(&path.display().to_string(), &text);
    parsed.map(|(config, _)| config).map_err(|found| Stop::diagnostics(&found))
}

/// The refusal of a value that stands on the command line.
fn misplaced() -> Stop {
    Stop::new(
        Code::Usage,
        codes::USAGE,
        "a value does not belong on the command line, where the shell's history and every user of this machine see it",
    )
    .fix("leave it out: cella secret set NAME asks for it, or reads standard input; and change a value that was seen")
}
