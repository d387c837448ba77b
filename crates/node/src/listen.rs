//! Opening the doors' sockets, or taking over those a supervisor opened.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
};

use cella_doorman::private_dir;

use crate::{Inherited, StartError};

/// Connections that may wait to be accepted. A burst of clients at start must not be refused.
const BACKLOG: i32 = 1024;

/// The sockets of all doors.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) unix: Vec<UnixListener>,
    /// The MCP endpoint of the first HTTP door.
    pub(crate) url: Option<String>,
    /// The file of the local door.
    pub(crate) socket: PathBuf,
    /// True when that file is this process's own, to be removed at the end.
    pub(crate) own_socket: bool,
}

/// Takes over what a supervisor handed over, and opens the rest. `http` is the address of the HTTP door, if there is one.
///
/// # Errors
/// A socket cannot be opened, or is one that the world can reach.
pub(crate) fn sockets(
    inherited: Inherited,
    http: Option<&str>,
    socket: PathBuf,
) -> Result<Sockets, StartError> {
    let mut tcp = inherited.tcp;
    for listener in &tcp {
        let failed = |source| StartError::Listen { address: "a handed over socket".into(), source };
        address(&listener.local_addr().map_err(failed)?.to_string())?;
    }
    if let (true, Some(text)) = (tcp.is_empty(), http)
        && let Some(address) = address(text)?
    {
        tcp.push(bound(address)?);
    }
    let url = tcp.first().and_then(|l| l.local_addr().ok()).map(|a| format!("http://{a}/mcp"));
    let handed = inherited.unix.first().and_then(|l| l.local_addr().ok());
    let handed = handed.and_then(|a| a.as_pathname().map(Path::to_path_buf));
    if inherited.unix.is_empty() {
        let unix = vec![unix(&socket)?];
        return Ok(Sockets { tcp, unix, url, socket, own_socket: true });
    }
    Ok(Sockets { tcp, unix: inherited.unix, url, socket: handed.unwrap_or(socket), own_socket: false })
}

/// The address of the HTTP door; `None` for `"none"`.
///
/// # Errors
/// It is no address, or one that is not loopback: a door for the world needs TLS and users, and this one has neither.
fn address(text: &str) -> Result<Option<SocketAddr>, StartError> {
    if text == "none" {
        return Ok(None);
    }
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = named
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|source| StartError::Address { address: text.to_owned(), source })?;
    if address.ip().is_loopback() {
        Ok(Some(address))
    } else {
        Err(StartError::Open { address: text.to_owned() })
    }
}

/// Binds the HTTP door.
fn bound(address: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |source: io::Error| StartError::Listen { address: address.to_string(), source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    widen(&listener);
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Binds the local door. A socket file that nobody answers on is left by a node that was killed, and replaced.
fn unix(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |source: io::Error| StartError::Listen { address: path.display().to_string(), source };
    if let Some(dir) = path.parent() {
        private_dir(dir).map_err(failed)?;
    }
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(failed(io::Error::from(io::ErrorKind::AddrInUse)));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // The mode keeps other users out already here; the door asks the kernel who connects all the same.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    widen(&listener);
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Raises the kernel's queue of waiting connections, which the standard library sets to 128.
fn widen(listener: &impl std::os::fd::AsFd) {
    // Calling listen(2) again on a listening socket changes its backlog.
    let _as_it_was = rustix::net::listen(listener, BACKLOG);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        assert!(address("127.0.0.1:0").expect("loopback").is_some());
        assert!(address("localhost:7878").expect("loopback").is_some());
        assert!(address("none").expect("no door").is_none());
        assert!(matches!(address("0.0.0.0:7878"), Err(StartError::Open { .. })));
        assert!(matches!(address("7878"), Err(StartError::Address { .. })));
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run/cella.sock");
        drop(unix(&path).expect("bound"));
        let held = unix(&path).expect("bound again");
        assert!(matches!(unix(&path), Err(StartError::Listen { .. })));
        drop(held);
    }
}
