//! Connections to servers: TCP with or without TLS, and unix sockets.

mod dialer;
mod socket;
mod tls;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

pub use dialer::{Dial, Dialer, Dialled};
pub use socket::Socket;
pub use tls::{TlsError, TlsSettings};

/// Addresses of one name that are tried. Stops a name with thousands of addresses from holding a connect for hours.
const ADDRESSES_MAX: usize = 8;

/// Where to connect to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host and port.
    Tcp {
        /// A name or a literal address, without brackets.
        host: Box<str>,
        /// TCP port.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
    },
    /// A unix socket.
    Unix(PathBuf),
    /// A place that only somebody else can reach, for instance a port within a cell.
    Dialled(Dialer),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address.
    #[error("the name {host} cannot be resolved: {source}")]
    Resolve {
        /// The name.
        host: Box<str>,
        /// Why.
        source: io::Error,
    },
    /// Every address refused.
    #[error("no connection to {address}: {source}")]
    Refused {
        /// Where to.
        address: Address,
        /// Why the last address tried refused.
        source: io::Error,
    },
    /// The other side is not who it should be, or TLS could not be set up.
    #[error("no secure connection to {address}: {source}")]
    Tls {
        /// Where to.
        address: Address,
        /// Why.
        source: TlsError,
    },
    /// It took too long.
    #[error("no connection to {address} within {within:?}")]
    TimedOut {
        /// Where to.
        address: Address,
        /// The time allowed.
        within: Duration,
    },
}

/// Connects, with `TCP_NODELAY`: without it an answer in several small writes takes 44 ms (delayed acknowledgement).
pub async fn connect(address: &Address, tls: &TlsSettings, within: Duration) -> Result<Socket, ConnectError> {
    timeout(within, dial(address, tls))
        .await
        .unwrap_or_else(|_| Err(ConnectError::TimedOut { address: address.clone(), within }))
}

async fn dial(address: &Address, tls: &TlsSettings) -> Result<Socket, ConnectError> {
    match address {
        Address::Unix(path) => dial_unix(path).await,
        Address::Dialled(dialer) => {
            let refused = |source| ConnectError::Refused { address: address.clone(), source };
            dialer.dial().await.map(Socket::Tcp).map_err(refused)
        }
        Address::Tcp { host, port, tls: false } => Ok(Socket::Tcp(dial_tcp(host, *port, address).await?)),
        Address::Tcp { host, port, tls: true } => {
            let stream = dial_tcp(host, *port, address).await?;
            let secured = tls.secure(host, stream).await;
            secured
                .map(|stream| Socket::Tls(Box::new(stream)))
                .map_err(|source| ConnectError::Tls { address: address.clone(), source })
        }
    }
}

async fn dial_unix(path: &Path) -> Result<Socket, ConnectError> {
    let connected = UnixStream::connect(path).await;
    connected
        .map(Socket::Unix)
        .map_err(|source| ConnectError::Refused { address: Address::Unix(path.to_owned()), source })
}

async fn dial_tcp(host: &str, port: u16, address: &Address) -> Result<TcpStream, ConnectError> {
    let resolve = |source| ConnectError::Resolve { host: host.into(), source };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for candidate in lookup_host((host, port)).await.map_err(resolve)?.take(ADDRESSES_MAX) {
        match TcpStream::connect(candidate).await {
            Ok(stream) => {
                // Not fatal: the connection works without it, only slower.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY was refused");
                }
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Refused { address: address.clone(), source: last })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Dialled(dialer) => f.write_str(dialer.name()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
