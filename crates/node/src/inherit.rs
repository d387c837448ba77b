//! Sockets that a supervisor opened and handed over (`sd_listen_fds(3)`): connections wait in them while the node
//! restarts, so that none is refused.

use std::{
    env,
    net::TcpListener,
    os::{fd::AsFd, unix::net::UnixListener},
};

use listenfd::ListenFd;

use crate::StartError;

/// What a program must not be given: it would take the node's sockets and messages for its own. `LISTEN_PID` and
/// `LISTEN_FDS` are taken out of the environment; these can only be left out of each child's.
pub(crate) const SUPERVISION: [&str; 4] =
    ["LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The name of a socket that must be the HTTP door's (`FileDescriptorName=`).
const HTTP: &str = "http";

/// The name of a socket that must be the local door's.
const LOCAL: &str = "local";

/// The sockets handed over, by their kind.
#[derive(Debug, Default)]
pub struct Inherited {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) unix: Vec<UnixListener>,
}

// === impl Inherited ===

impl Inherited {
    /// Takes the sockets that were meant for this process, and the variables that name them out of the environment. To be
    /// called once, before any thread is started: another thread might be reading the environment.
    ///
    /// # Errors
    /// One of them is nothing a door can listen on. Nothing is silently not served.
    pub fn take() -> Result<Self, StartError> {
        // The protocol says so, and `listenfd` does not insist: without the check a grandchild would take them too.
        let meant = env::var("LISTEN_PID").ok().and_then(|pid| pid.parse().ok()) == Some(std::process::id());
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut given = ListenFd::from_env();
        let mut taken = Self::default();
        for at in 0..if meant { given.len() } else { 0 } {
            taken.one(&mut given, at, names.get(at).copied().unwrap_or_default())?;
        }
        Ok(taken)
    }

    fn one(&mut self, given: &mut ListenFd, at: usize, name: &str) -> Result<(), StartError> {
        let refused = |why: &str| StartError::Inherited {
            name: if name.is_empty() { format!("number {at}") } else { name.to_owned() },
            why: why.to_owned(),
        };
        if let Ok(Some(tcp)) = given.take_tcp_listener(at) {
            if name == LOCAL {
                return Err(refused("it is a TCP socket, and the local door needs a unix socket"));
            }
            ready(&tcp, tcp.set_nonblocking(true)).map_err(|why| refused(&why))?;
            self.tcp.push(tcp);
        } else if let Ok(Some(unix)) = given.take_unix_listener(at) {
            if name == HTTP {
                return Err(refused("it is a unix socket, and the HTTP door needs a TCP socket"));
            }
            ready(&unix, unix.set_nonblocking(true)).map_err(|why| refused(&why))?;
            self.unix.push(unix);
        } else {
            return Err(refused("it is neither a TCP nor a unix stream socket"));
        }
        Ok(())
    }
}

/// A socket of `Accept=yes` is one connection and not a listener.
fn ready(socket: &impl AsFd, nonblocking: std::io::Result<()>) -> Result<(), String> {
    nonblocking.map_err(|e| e.to_string())?;
    match rustix::net::sockopt::socket_acceptconn(socket) {
        Ok(true) => Ok(()),
        Ok(false) => Err("it does not listen; the socket unit needs Accept=no".into()),
        Err(e) => Err(e.to_string()),
    }
}
