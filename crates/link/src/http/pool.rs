//! The connections of one link, kept open between calls.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use super::connection::{Broken, Connection};
use crate::limits::IDLE_CONNECTIONS_MAX;
use cella_transport::net::{self, Address, ConnectError, TlsSettings};

/// Connections to one address.
#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    tls: TlsSettings,
    connect_within: Duration,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    connections: Vec<Connection>,
    reaping: bool,
}

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no connection; nothing was sent.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// The connection broke before a byte was sent.
    #[error("the connection broke before the request was sent: {0}")]
    Unsent(hyper::Error),
    /// The connection broke, or the response was not HTTP, after at least a part of the request was sent.
    #[error("the connection broke: {0}")]
    InDoubt(hyper::Error),
}

impl Pool {
    pub(crate) fn new(address: Address, tls: TlsSettings, connect_within: Duration) -> Arc<Self> {
        Arc::new(Self { address, tls, connect_within, idle: Mutex::default() })
    }

    /// Sends a request over an idle connection or a new one. A request that never left is sent again on the next
    /// connection; one that may have left only when it is `repeatable`, and only if the connection was idle before.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        repeatable: bool,
    ) -> Result<(Connection, Response<Incoming>), SendError> {
        while let Some(mut connection) = self.take() {
            let again = repeatable.then(|| request.clone());
            match connection.exchange(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(Broken { unsent: Some(unsent), .. }) => request = unsent,
                Err(Broken { source, .. }) => match again {
                    Some(again) if closed_while_idle(&source) => request = again,
                    _ => return Err(SendError::InDoubt(source)),
                },
            }
        }
        let socket = net::connect(&self.address, &self.tls, self.connect_within).await?;
        let mut connection = Connection::start(socket).await.map_err(SendError::Unsent)?;
        match connection.exchange(request).await {
            Ok(response) => Ok((connection, response)),
            Err(Broken { unsent: Some(_), source }) => Err(SendError::Unsent(source)),
            Err(Broken { source, .. }) => Err(SendError::InDoubt(source)),
        }
    }

    /// Takes a connection back after a response was read to its end.
    pub(crate) fn put(self: &Arc<Self>, mut connection: Connection) {
        if !connection.is_reusable() {
            return;
        }
        let mut idle = self.lock();
        if idle.connections.len() < IDLE_CONNECTIONS_MAX {
            idle.connections.push(connection);
        }
        if !idle.reaping {
            idle.reaping = true;
            tokio::spawn(reap(Arc::downgrade(self)));
        }
    }

    /// Closes what is idle.
    pub(crate) fn clear(&self) {
        self.lock().connections.clear();
    }

    /// The connection used last: the others age and are closed.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        while let Some(mut connection) = idle.connections.pop() {
            if connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that were idle for too long, so that no socket outlives its use; ends when none is left.
async fn reap(pool: Weak<Pool>) {
    loop {
        let next = {
            let Some(pool) = pool.upgrade() else { return };
            let mut idle = pool.lock();
            idle.connections.retain_mut(Connection::is_alive);
            let Some(next) = idle.connections.iter().map(Connection::idle_until).min() else {
                idle.reaping = false;
                return;
            };
            next
        };
        tokio::time::sleep(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1)).await;
    }
}

/// True when the server most likely closed the idle connection before it saw the request.
fn closed_while_idle(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_reset(error)
}

fn is_reset(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|s| s.downcast_ref::<std::io::Error>());
    source.is_some_and(|io| {
        matches!(io.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe)
    })
}
