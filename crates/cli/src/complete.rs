//! What the shell offers when the user presses Tab: servers, tools, views, clients and codes, read from files alone, so
//! that it is quick and works without a node.

use std::ffi::OsStr;

use cella_contract::Preset;
use clap::CommandFactory;
use clap_complete::{CompleteEnv, CompletionCandidate, PathCompleter, engine::ValueCompleter, env::Shells};

use crate::{args::Cli, command::ERROR_PAGES, target};
use cella_clients::KNOWN;
use cella_terminal::typed::{config, global, words};

/// Set by the script that `cella completion` prints.
pub(crate) const VARIABLE: &str = "CELLA_COMPLETE";

/// Answers the shell and ends the process, when it is the shell that asks.
pub(crate) fn answer_shell() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// The configured servers.
pub(crate) fn servers() -> Vec<CompletionCandidate> {
    config().servers.into_keys().map(CompletionCandidate::new).collect()
}

/// Presets and files.
pub(crate) fn presets(current: &OsStr) -> Vec<CompletionCandidate> {
    let typed = current.to_string_lossy();
    let presets = Preset::ALL.iter().map(|preset| preset.as_str()).filter(|word| word.starts_with(&*typed));
    let files = PathCompleter::file().complete(current);
    presets.map(CompletionCandidate::new).chain(files).collect()
}

/// Whatever names a contract: servers, presets and files.
pub(crate) fn contracts(current: &OsStr) -> Vec<CompletionCandidate> {
    let typed = current.to_string_lossy();
    let servers = config().servers.into_keys().filter(|name| name.starts_with(&*typed));
    servers.map(CompletionCandidate::new).chain(presets(current)).collect()
}

/// The configured views.
pub(crate) fn views() -> Vec<CompletionCandidate> {
    config().views.into_keys().map(CompletionCandidate::new).collect()
}

/// The tools of the server that stands on the command line already, as it listed them last.
pub(crate) fn tools(current: &OsStr) -> Vec<CompletionCandidate> {
    let typed = current.to_string_lossy();
    let servers = config().servers;
    let Some(server) = words().into_iter().find(|word| servers.contains_key(word)) else { return Vec::new() };
    let tools = cella_node::known_tools(&target::places(&global()), &server);
    let fitting = tools.into_iter().filter(|(name, _)| name.starts_with(&*typed));
    fitting.map(|(name, help)| CompletionCandidate::new(name).help(help.map(Into::into))).collect()
}

/// The names in the vault, which are readable without its key.
pub(crate) fn secrets() -> Vec<CompletionCandidate> {
    let names = cella_vault::names(&target::places(&global()).vault());
    names.iter().map(|name| CompletionCandidate::new(name.as_str())).collect()
}

/// The workspaces that were captured, with whose they are.
pub(crate) fn workspaces() -> Vec<CompletionCandidate> {
    let store = cella_workspace::Store::new(target::places(&global()).workspaces());
    let kept = store.list().unwrap_or_default();
    kept.into_iter()
        .map(|kept| CompletionCandidate::new(kept.id).help(Some(kept.about.name.into())))
        .collect()
}

/// The clients Cella knows.
pub(crate) fn clients() -> Vec<CompletionCandidate> {
    KNOWN.iter().map(|c| CompletionCandidate::new(c.id).help(Some(c.title.into()))).collect()
}

/// The shells there is a script for.
pub(crate) fn shells() -> Vec<CompletionCandidate> {
    Shells::builtins().names().map(CompletionCandidate::new).collect()
}

/// The error codes.
pub(crate) fn codes() -> Vec<CompletionCandidate> {
    ERROR_PAGES.iter().map(|(code, _)| CompletionCandidate::new(*code)).collect()
}
