//! Which configuration, and which running node, a verb is about.

use std::path::{Path, PathBuf};

use cella_node::{Places, Whereabouts};

use crate::{
    args::{Global, Target},
    codes,
    exit::{Code, Stop},
};

/// How to reach a running node.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Its unix socket; the kernel says who we are.
    Socket(PathBuf),
    /// Its HTTP door, with a token.
    Http {
        /// The URL without the path of a door.
        base: String,
        /// The access token.
        token: String,
    },
}

/// The environment, as [`Places`] asks for it.
pub fn var(key: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(key).filter(|v| !v.is_empty())
}

/// The configuration file that is meant: the one named, else `./cella.toml`, else the user's own.
pub fn config_path(global: &Global) -> PathBuf {
    if let Some(path) = &global.config {
        return path.clone();
    }
    let here = PathBuf::from("cella.toml");
    if here.is_file() { here } else { Places::user_config(&var) }
}

/// The places of the node with that configuration.
pub fn places(global: &Global) -> Places {
    Places::of(&config_path(global), &var)
}

/// The running node that is meant; `None` when none runs with this configuration.
pub fn running(global: &Global, target: &Target) -> Result<Option<Reach>, Stop> {
    let places = places(global);
    if let Some(url) = &target.url {
        let token = token(target, &places)?;
        let base = url.trim_end_matches('/').trim_end_matches("/mcp").to_owned();
        return Ok(Some(Reach::Http { base, token }));
    }
    let socket = Whereabouts::of(&places).socket;
    let answers = std::os::unix::net::UnixStream::connect(&socket).is_ok();
    Ok(answers.then_some(Reach::Socket(socket)))
}

/// The running node, or the error that there is none.
pub fn must_run(global: &Global, target: &Target) -> Result<Reach, Stop> {
    running(global, target)?.ok_or_else(|| {
        let config = config_path(global);
        let message = format!("no node is running with {}", config.display());
        Stop::new(Code::Unavailable, codes::NOT_RUNNING, message)
            .fix(format!("start it: cella up --config {}, or name one with --url", config.display()))
    })
}

fn token(target: &Target, places: &Places) -> Result<String, Stop> {
    if let Some(token) = var("CELLA_TOKEN") {
        return Ok(token.to_string_lossy().trim().to_owned());
    }
    let file = target.token_file.clone().unwrap_or_else(|| Whereabouts::of(places).token_file);
    read_token(&file)
}

/// The token in a file.
pub fn read_token(file: &Path) -> Result<String, Stop> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Stop::new(Code::Auth, codes::NO_TOKEN, format!("no access token: {}: {e}", file.display()))
            .fix("name the file with --token-file, or set CELLA_TOKEN")
    })?;
    Ok(text.trim().to_owned())
}
