//! How is the node reached? Doors turn HTTP and stdio bytes of either era into [`Call`](cella_transport::Call)s on a
//! [`Service`](cella_transport::Service), and drive the [`Exchange`](cella_transport::Exchange) that comes back.
//!
//! One URL serves both eras; which one a request belongs to is decided per request. `modern` and `legacy` are sibling
//! modules over the same machinery: a socket that is watched (`socket`), a feed that bounds every stream (`feed`), a
//! table of names (`origin`) and of paths (`route`).

mod accept;
mod body;
mod calling;
mod codes;
mod faults;
mod feed;
mod frame;
mod legacy;
pub mod limits;
mod modern;
mod origin;
mod reply;
mod request;
mod route;
mod socket;
mod stdio;
mod tally;
mod ticket;

use std::{fmt, io, sync::Arc, time::Duration};

use cella_mcp::state::Seal;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::watch,
};

use self::{
    legacy::Sessions,
    limits::Limits,
    modern::Parked,
    origin::Names,
    tally::{Counted, Tally},
};
use cella_transport::Service;

/// How doors behave.
#[derive(Clone)]
pub struct DoorOptions {
    /// `Host` names accepted beside the loopback names: `name` (any port) or `name:port`.
    pub hosts: Vec<String>,
    /// `Origin` values accepted beside loopback origins, compared as a whole.
    pub origins: Vec<String>,
    /// Seals what clients carry for us (request states, session identifiers). Kept across restarts, sessions survive
    /// them; two nodes must not share it, or the one in front takes the states of the one behind for its own.
    pub key: [u8; 32],
    /// Limits; the defaults are the constants of [`limits`].
    pub limits: Limits,
}

/// The doors of one node. Clones are the same doors.
pub struct Doors<S> {
    shared: Arc<Shared<S>>,
}

/// What every door and connection works with.
struct Shared<S> {
    service: Arc<S>,
    limits: Limits,
    names: Names,
    seal: Seal,
    parked: Parked,
    sessions: Sessions,
    phase: watch::Sender<Phase>,
    connections: Arc<Tally>,
    streams: Arc<Tally>,
}

/// The life of the doors, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// Nothing new; what runs may finish.
    Draining,
    /// Everything ends now.
    Closed,
}

// === impl Doors ===

impl<S: Service> Doors<S> {
    /// Doors over a service. Nothing is opened yet.
    #[must_use]
    pub fn new(service: Arc<S>, options: DoorOptions) -> Self {
        let DoorOptions { hosts, origins, key, limits } = options;
        let shared = Shared {
            service,
            names: Names::new(&hosts, &origins),
            seal: Seal::new(key),
            parked: Parked::default(),
            sessions: Sessions::default(),
            phase: watch::channel(Phase::Open).0,
            connections: Arc::default(),
            streams: Arc::default(),
            limits,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Serves a bound TCP listener until the doors are drained. `Host` and `Origin` are checked.
    ///
    /// # Errors
    /// When the listener is broken; running out of descriptors is waited out.
    pub async fn serve_tcp(&self, listener: TcpListener) -> io::Result<()> {
        accept::serve(&self.shared, &listener).await
    }

    /// Serves a bound unix socket until the doors are drained. The service learns the peer's credentials.
    ///
    /// # Errors
    /// When the listener is broken; running out of descriptors is waited out.
    pub async fn serve_unix(&self, listener: UnixListener) -> io::Result<()> {
        accept::serve(&self.shared, &listener).await
    }

    /// Serves one client on a pipe, both eras, until it closes its end or the doors are drained.
    ///
    /// # Errors
    /// When the pipe breaks in the middle of a line.
    pub async fn serve_stdio<R, W>(&self, reader: R, writer: W, principal: Arc<str>) -> io::Result<()>
    where
        R: AsyncRead + Send + Unpin,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        stdio::serve(&self.shared, reader, writer, principal).await
    }

    /// Completes when nobody has been connected for so long. A client that waits for changes is connected.
    pub async fn idle(&self, time: Duration) {
        self.shared.connections.idle(time).await;
    }

    /// Stops accepting, ends long streams in the way their era knows, lets calls in progress finish, and after
    /// `deadline` cuts what is left. Parked calls are cancelled.
    pub async fn drain(&self, deadline: Duration) {
        self.shared.phase.send_replace(Phase::Draining);
        self.shared.parked.clear();
        let done = async {
            self.shared.streams.none().await;
            self.shared.connections.none().await;
        };
        let in_time = tokio::time::timeout(deadline, done).await.is_ok();
        self.shared.phase.send_replace(Phase::Closed);
        if !in_time {
            tracing::warn!(
                connections = self.shared.connections.count(),
                streams = self.shared.streams.count(),
                "connections were cut at the end of the drain"
            );
        }
        self.shared.sessions.clear();
        self.shared.streams.none().await;
        self.shared.connections.none().await;
        // those whose server asked after the drain had begun
        self.shared.parked.clear();
    }
}

impl<S> Clone for Doors<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S> fmt::Debug for Doors<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors")
            .field("connections", &self.shared.connections.count())
            .field("streams", &self.shared.streams.count())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DoorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoorOptions")
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl<S: Service> Shared<S> {
    /// Completes when the doors have reached `phase`.
    async fn reached(&self, phase: Phase) {
        let mut now = self.phase.subscribe();
        let _sender_lives = now.wait_for(|p| *p >= phase).await.is_ok();
    }

    fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Runs the writer of a stream until it is done or the doors are closed.
    fn spawn(&self, counted: Counted, work: impl Future<Output = ()> + Send + 'static) {
        let mut phase = self.phase.subscribe();
        tokio::spawn(async move {
            let closed = async {
                let _sender_lives = phase.wait_for(|p| *p == Phase::Closed).await.is_ok();
            };
            tokio::select! {
                () = work => {}
                () = closed => {}
            }
            drop(counted);
        });
    }

    /// Looks at parked calls and sessions from time to time, for as long as the doors are open.
    async fn sweep(&self) {
        loop {
            tokio::time::sleep(self.limits.sweep).await;
            self.parked.expire();
            self.sessions.expire(&self.limits);
        }
    }
}
