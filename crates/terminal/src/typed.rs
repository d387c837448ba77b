//! The command line that is being typed, when the shell asks what it could go on with: read from files alone, so that it is quick
//! and works without a node.

use std::path::PathBuf;

use cella_contract::Config;

use crate::{args::Global, target};

/// Its words, without `cella` itself.
#[must_use]
pub fn words() -> Vec<String> {
    let all = std::env::args_os().skip_while(|word| word != "--").skip(2);
    all.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Its options that say which configuration is meant.
#[must_use]
pub fn global() -> Global {
    let words = words();
    let value = |at: usize| match words[at].split_once('=') {
        Some(("--config", path)) => Some(path.to_owned()),
        _ if matches!(words[at].as_str(), "--config" | "-c") => words.get(at + 1).cloned(),
        _ => None,
    };
    let named = (0..words.len()).find_map(value).map(PathBuf::from);
    Global { config: named.or_else(|| target::var("CELLA_CONFIG").map(PathBuf::from)), ..Global::default() }
}

/// What can be read of the configuration; nothing, where it is wrong: this is no time to complain.
#[must_use]
pub fn config() -> Config {
    let path = target::config_path(&global());
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    Config::parse(&path.display().to_string(), &text).map(|(config, _)| config).unwrap_or_default()
}
