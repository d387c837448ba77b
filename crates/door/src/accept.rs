//! From listeners to connections.

use std::{io, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    time::Instant,
};

use super::{
    Phase, Shared,
    body::Body,
    limits::{BUFFER_MAX, HEAD_BYTES_MAX, HEAD_FIELDS_MAX},
    request,
    socket::{Socket, Verdict, Vital, Watchman},
};
use cella_transport::{Peer, Service};

/// Pause after a failed accept. Descriptors may be short; trying at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One connection, as its requests see it.
pub(super) struct Connection<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) peer: Peer,
    pub(super) vital: Arc<Vital>,
}

/// Where connections come from.
pub(super) trait Entrance: Send + Sync {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Entrance for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        // an answer is several small writes where it streams; Nagle would hold each for 40 ms. Some systems refuse it for
        // a peer that is gone already, which must not look like a broken listener.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        Ok((stream, Peer::Tcp(address)))
    }
}

impl Entrance for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let credentials = stream.peer_cred()?;
        Ok((stream, Peer::Unix { pid: credentials.pid(), uid: credentials.uid() }))
    }
}

/// Accepts until the doors drain. Each listener has its own cap, so that a crowd at one does not close the other.
pub(super) async fn serve<S: Service, E: Entrance>(shared: &Arc<Shared<S>>, entrance: &E) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(shared.limits.connections));
    let mut draining = pin!(shared.reached(Phase::Draining));
    let mut sweep = pin!(shared.sweep());
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
            entrance.accept().await.map(|(stream, peer)| (stream, peer, place))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut draining => return Ok(()),
            accepted = next => accepted,
            () = &mut sweep => return Ok(()),
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(counted) = shared.connections.enter(usize::MAX) else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            connection(shared, stream, peer).await;
            drop((place, counted));
        });
    }
}

/// Serves one connection to its end.
async fn connection<S, T>(shared: Arc<Shared<S>>, stream: T, peer: Peer)
where
    S: Service,
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let vital = Arc::new(Vital::default());
    let mut watchman = Watchman::new(vital.clone(), &shared.limits);
    let every = shared.limits.tick;
    let mut phase = shared.phase.subscribe();
    let io = TokioIo::new(Socket::new(stream, vital.clone()));
    let connection = Arc::new(Connection { shared, peer, vital });
    let service = service_fn(move |incoming: Request<Incoming>| {
        let connection = connection.clone();
        async move { Ok::<Response<Body>, io::Error>(request::handle(&connection, incoming).await) }
    });
    let mut http = pin!(
        http1::Builder::new()
            .max_headers(HEAD_FIELDS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(BUFFER_MAX)
            .header_read_timeout(None)
            .serve_connection(io, service)
    );
    let mut tick = pin!(tokio::time::sleep(every));
    if *phase.borrow_and_update() != Phase::Open {
        http.as_mut().graceful_shutdown();
    }
    loop {
        tokio::select! {
            biased;
            ended = http.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = &mut tick => {
                match watchman.look() {
                    Verdict::Well => {}
                    Verdict::Idle => http.as_mut().graceful_shutdown(),
                    Verdict::Cut => return,
                }
                tick.as_mut().reset(Instant::now() + every);
            }
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow_and_update() == Phase::Closed {
                    return;
                }
                http.as_mut().graceful_shutdown();
            }
        }
    }
}
