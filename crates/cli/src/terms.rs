//! Which contract a word on the command line means.

use std::path::Path;

use cella_contract::Preset;
use cella_node::{Loaded, StartError, confine::Terms};

use crate::{
    args::Global,
    codes,
    exit::{Code, Stop},
    target,
};

/// The configuration, where there is one. One that cannot be read is an error: what of it is to be hidden from cells is not
/// known then.
pub(crate) fn configuration(global: &Global) -> Result<Option<Loaded>, Stop> {
    let path = target::config_path(global);
    let wanted = global.config.is_some() || path.exists();
    Ok(wanted.then(|| cella_node::load(&path)).transpose()?)
}

/// A preset, or a file.
pub(crate) fn of_word(word: &str) -> Result<Terms, Stop> {
    if let Some(preset) = Preset::parse(word) {
        return Ok(Terms::preset(preset));
    }
    Terms::file(Path::new(word)).map_err(|error| match error {
        StartError::Given { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            unknown(word, "a preset (untrusted, semi-trusted, trusted) nor a file")
        }
        StartError::Given { path, source } => {
            let message = format!("{}: {source}", path.display());
            Stop::new(Code::Config, codes::NO_CONTRACT, message).fix("name a file that you may read")
        }
        other => other.into(),
    })
}

/// A preset, a configured server's, or a file; in this order, and `./NAME` is always the file.
pub(crate) fn of_name(word: &str, loaded: Option<&Loaded>) -> Result<Terms, Stop> {
    if Preset::parse(word).is_some() {
        return of_word(word);
    }
    if let Some(served) = loaded.and_then(|loaded| loaded.servers.get(word)) {
        return Ok(Terms::of(served));
    }
    if !Path::new(word).exists() {
        return Err(unknown(
            word,
            "a server of this configuration, a preset (untrusted, semi-trusted, trusted) nor a file",
        ));
    }
    of_word(word)
}

fn unknown(word: &str, what: &str) -> Stop {
    Stop::new(Code::Config, codes::NO_CONTRACT, format!("`{word}` is neither {what}")).fix(
        "see: cella contract show untrusted; servers: cella ls; the format: cella config schema contract",
    )
}
