//! One cell's broker: its listeners, and the tasks behind them.

use std::{
    fmt, io,
    net::{self, SocketAddr},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc::Sender, watch},
    task::JoinSet,
};

use crate::{
    audit,
    carry::Allowance,
    connection::{Cell, reset, serve},
    denial::Denial,
    limits::{ACCEPT_PAUSE, Limits},
    names::Names,
    policy::Policy,
    rate::Rate,
    record::{Record, Recorder, Subject},
    resolve::{Resolve, System},
    responder::Responder,
    secrets::{Armed, Secrets},
};

/// Sockets that were made inside the cell's network namespace, in which every address is local.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For each port of [`crate::ports`] one bound to `0.0.0.0` and, where the cell has IPv6, one to `[::]` that takes IPv6
    /// only. Without the latter no IPv6 addresses are given out.
    pub tcp: Vec<(u16, net::TcpListener)>,
    /// Port 53, in the same way.
    pub dns_udp: Vec<net::UdpSocket>,
    /// Port 53, in the same way.
    pub dns_tcp: Vec<net::TcpListener>,
    /// A packet socket (`SOCK_RAW`, all protocols) in the namespace, if attempts in vain are to be seen. The broker gives it
    /// its filter.
    pub audit: Option<OwnedFd>,
}

/// The broker of a cell.
#[derive(Clone, Copy, Debug)]
pub struct Broker;

/// A running broker. Dropped, it ends at once, with every connection.
pub struct BrokerHandle {
    tasks: JoinSet<()>,
    closing: watch::Sender<bool>,
    tally: Arc<Tally>,
    gauge: Gauge,
}

/// How many connections of a cell are open, for whoever shows it; outlives the broker.
#[derive(Clone, Debug)]
pub struct Gauge {
    places: Arc<Semaphore>,
    most: usize,
}

/// What is counted and not put on record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// DNS messages that were no query.
    pub unreadable_queries: u64,
    /// Times that a connection could not be accepted, mostly because the node had no descriptor left.
    pub accept_failures: u64,
    /// Connections that are open now, DNS not counted.
    pub connections: u64,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The sockets are not fit for it.
    #[error("the cell's sockets cannot be served: {source}")]
    Sockets {
        /// From the operating system.
        #[from]
        source: io::Error,
    },
    /// A granted port has no listener: its grants would look like outages.
    #[error("nothing listens at the granted port {port}")]
    Unserved {
        /// The port.
        port: u16,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) unreadable_queries: AtomicU64,
    pub(crate) accept_failures: AtomicU64,
}

/// A listener that outlives every failure to accept.
struct Door {
    listener: TcpListener,
    /// Places at the same time.
    places: Arc<Semaphore>,
    most: usize,
    cell: Arc<Cell>,
    tally: Arc<Tally>,
    closing: watch::Receiver<bool>,
}

// === impl Broker ===

impl Broker {
    /// Serves a cell with the machine's own resolver. Needs a tokio runtime. `sink` gets the records; while it is full no
    /// connection is allowed, so its capacity should be a few times [`Limits::connections`].
    ///
    /// # Errors
    /// The sockets are not what the policy needs.
    pub fn start(
        policy: Policy,
        sockets: Sockets,
        sink: Sender<Record>,
        limits: Limits,
    ) -> Result<BrokerHandle, BrokerError> {
        Self::start_with(policy, sockets, sink, limits, Arc::new(System))
    }

    /// Serves a cell with this resolver.
    ///
    /// # Errors
    /// The sockets are not what the policy needs.
    pub fn start_with(
        policy: Policy,
        sockets: Sockets,
        sink: Sender<Record>,
        limits: Limits,
        resolver: Arc<dyn Resolve>,
    ) -> Result<BrokerHandle, BrokerError> {
        Self::start_with_secrets(policy, sockets, sink, limits, resolver, None)
    }

    /// Serves a cell whose placeholders become values on the way to the hosts of its secrets.
    ///
    /// # Errors
    /// The sockets are not what the policy needs.
    pub fn start_with_secrets(
        policy: Policy,
        sockets: Sockets,
        sink: Sender<Record>,
        limits: Limits,
        resolver: Arc<dyn Resolve>,
        secrets: Option<Secrets>,
    ) -> Result<BrokerHandle, BrokerError> {
        if let Some(port) =
            policy.ports().into_iter().find(|port| !sockets.tcp.iter().any(|(p, _)| p == port))
        {
            return Err(BrokerError::Unserved { port });
        }
        let recorder = Arc::new(Recorder::new(sink));
        let cell = Arc::new(Cell {
            names: Mutex::new(Names::new(policy.names(), limits.names)),
            resolver,
            recorder: recorder.clone(),
            rate: Rate::new(limits.connections_per_second),
            resolutions: Semaphore::new(limits.resolutions),
            allowance: Allowance::new(limits.bytes_up),
            policy,
            limits,
            armed: secrets.map(Armed::new).map(Arc::new),
        });
        let v6 = sockets.tcp.iter().any(|(_, l)| l.local_addr().is_ok_and(|a| a.is_ipv6()));
        let (closing, closes) = watch::channel(false);
        let tally = Arc::<Tally>::default();
        let mut tasks = JoinSet::new();
        let most = cell.limits.connections;
        let places = Arc::new(Semaphore::new(most));
        let gauge = Gauge { places: places.clone(), most };
        for (_, listener) in sockets.tcp {
            let door = Door {
                listener: listener_of(listener)?,
                places: places.clone(),
                most: cell.limits.connections,
                cell: cell.clone(),
                tally: tally.clone(),
                closing: closes.clone(),
            };
            tasks.spawn(door.connections());
        }
        let rate = Rate::new(cell.limits.queries_per_second);
        let responder = Arc::new(Responder { cell: cell.clone(), rate, v6, tally: tally.clone() });
        let answered = audit::Answered::at(&sockets.dns_udp)?;
        for socket in sockets.dns_udp {
            socket.set_nonblocking(true)?;
            tasks.spawn(responder.clone().datagrams(UdpSocket::from_std(socket)?));
        }
        let places = Arc::new(Semaphore::new(cell.limits.dns_connections));
        for listener in sockets.dns_tcp {
            let door = Door {
                listener: listener_of(listener)?,
                places: places.clone(),
                most: cell.limits.dns_connections,
                cell: cell.clone(),
                tally: tally.clone(),
                closing: closes.clone(),
            };
            tasks.spawn(door.queries(responder.clone()));
        }
        if let Some(socket) = sockets.audit {
            tasks.spawn(audit::watch(socket, cell, answered)?);
        }
        tasks.spawn(recorder.keep_reporting());
        Ok(BrokerHandle { tasks, closing, tally, gauge })
    }
}

// === impl BrokerHandle ===

impl BrokerHandle {
    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            unreadable_queries: self.tally.unreadable_queries.load(Ordering::Relaxed),
            accept_failures: self.tally.accept_failures.load(Ordering::Relaxed),
            connections: self.gauge.connections(),
        }
    }

    /// The number of open connections, to be kept and read elsewhere.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// Accepts nothing more and gives the connections so long to end by themselves; then ends them.
    pub async fn close(mut self, patience: Duration) {
        self.closing.send_replace(true);
        let _ = tokio::time::timeout(patience, self.closing.closed()).await;
        self.tasks.shutdown().await;
    }
}

impl fmt::Debug for BrokerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerHandle").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

// === impl Gauge ===

impl Gauge {
    /// Connections that are open now, DNS not counted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.most.saturating_sub(self.places.available_permits()) as u64
    }
}

// === impl BrokerError ===

impl BrokerError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Sockets { .. } => "CE2325",
            Self::Unserved { .. } => "CE2326",
        }
    }
}

// === impl Door ===

impl Door {
    /// Serves what the cell connects to.
    async fn connections(mut self) {
        let mut running = JoinSet::new();
        while let Some((client, wanted, place)) = self.next(&mut running).await {
            if self.cell.rate.take(Instant::now()) {
                let cell = self.cell.clone();
                running.spawn(async move {
                    serve(client, wanted, &cell).await;
                    drop(place);
                });
            } else {
                self.refuse(&client, wanted, Denial::ConnectionRate { most: self.cell.rate.most() });
            }
        }
        // who still knocks is refused at once; the receiver says that connections are left
        let Self { listener, closing: _open, .. } = self;
        drop(listener);
        while running.join_next().await.is_some() {}
    }

    /// Serves queries over streams.
    async fn queries(mut self, responder: Arc<Responder>) {
        let mut running = JoinSet::new();
        while let Some((client, _, place)) = self.next(&mut running).await {
            let responder = responder.clone();
            running.spawn(async move {
                responder.stream(client).await;
                drop(place);
            });
        }
    }

    /// The next connection that has a place, and the address that it was made to; `None` when the door closes.
    async fn next(
        &mut self,
        running: &mut JoinSet<()>,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            let accepted = tokio::select! {
                _ = self.closing.wait_for(|closing| *closing) => return None,
                accepted = self.listener.accept() => accepted,
                Some(ended) = running.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection of a cell ended wrongly");
                    }
                    continue;
                }
            };
            let accepted =
                accepted.and_then(|(client, _)| client.local_addr().map(|wanted| (client, wanted)));
            let Ok((client, wanted)) = accepted else {
                self.tally.accept_failures.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE.1);
                continue;
            };
            match self.places.clone().try_acquire_owned() {
                Ok(place) => return Some((client, wanted, place)),
                Err(_) => self.refuse(&client, wanted, Denial::Connections { most: self.most }),
            }
        }
    }

    fn refuse(&self, client: &TcpStream, wanted: SocketAddr, denial: Denial) {
        self.cell.recorder.denied(Subject { destination: Some(wanted), ..Subject::default() }, denial);
        reset(client);
    }
}

fn listener_of(listener: net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
