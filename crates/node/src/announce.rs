//! What a node says of itself: to the command line, to its clients, to its supervisor.

use std::{fs, io, path::PathBuf};

use serde_json::{Value, json};

use crate::{Places, load::load};

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

/// Where a node's things are that a configuration can move, whether it runs or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The file of the local door.
    pub socket: PathBuf,
    /// The access token of the HTTP door.
    pub token_file: PathBuf,
    /// The directory of the ledger.
    pub ledger: PathBuf,
}

// === impl Announcement ===

impl Announcement {
    /// What of it are files.
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        Whereabouts {
            socket: self.socket.clone(),
            token_file: self.token_file.clone(),
            ledger: self.ledger.clone(),
        }
    }

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
    let meant = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    meant.then(|| std::time::Duration::from_micros((micros / 2).max(1)))
}

/// That a reload begins. `Type=notify-reload` wants to know when, by the clock that does not jump.
pub(crate) fn reloading() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
    format!("RELOADING=1\nMONOTONIC_USEC={micros}")
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

// === impl Whereabouts ===

impl Whereabouts {
    /// Of the node with these places: where it said when it started, else where its configuration puts them.
    #[must_use]
    pub fn of(places: &Places) -> Self {
        let said = fs::read_to_string(places.announcement()).unwrap_or_default();
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let said = |key: &str| said[key].as_str().map(PathBuf::from);
        let node = load(&places.config).ok().map(|l| l.config.node).unwrap_or_default();
        let base = places.config.parent().map_or_else(PathBuf::new, PathBuf::from);
        let based = |path: Option<PathBuf>| path.map(|p| base.join(p));
        Self {
            socket: said("socket").or(based(node.socket)).unwrap_or_else(|| places.socket.clone()),
            token_file: said("token_file").or(based(node.token_file)).unwrap_or_else(|| places.token()),
            ledger: said("ledger").unwrap_or_else(|| places.ledger_dir()),
        }
    }
}
