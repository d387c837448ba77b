//! What a node says of itself: to the command line, to its clients, to its supervisor.

use std::{fs, io, path::PathBuf};

use serde_json::{Value, json};

/// Where a node can be reached.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    pub(crate) url: Option<String>,
    pub(crate) socket: PathBuf,
    pub(crate) token_file: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) ledger: PathBuf,
    pub(crate) started_at: String,
}

impl Announcement {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "schema": "cella/v1",
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "url": self.url,
            "socket": self.socket,
            "token_file": self.token_file,
            "config": self.config,
            "ledger": self.ledger,
            "started_at": self.started_at,
        })
    }
}

/// Tells systemd how the service is doing (`sd_notify(3)`), when it started us with `Type=notify`.
pub(crate) fn tell_supervisor(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&path, state) {
        tracing::warn!(%error, "the service supervisor could not be told");
    }
}

/// How often systemd wants a sign of life, halved for safety.
pub(crate) fn watchdog() -> Option<std::time::Duration> {
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(std::time::Duration::from_micros(micros / 2))
}

fn send(path: &std::ffi::OsStr, state: &str) -> io::Result<()> {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    };
    let socket = UnixDatagram::unbound()?;
    let bytes = path.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    socket.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

/// Writes the announcement where `cella` finds it.
pub(crate) fn publish(file: &std::path::Path, about: &Announcement) -> io::Result<()> {
    fs::write(file, about.to_json().to_string())
}
