//! The law of every class of cell.

use std::{
    fmt,
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use cella_freezer::Freezer;
use tokio::{
    net::{TcpSocket, TcpStream, unix::pipe},
    sync::{mpsc, oneshot, watch},
};

use crate::{CellError, NetworkEnds, Report, Spec};

/// What every class of cell obeys; `kit` checks each point.
///
/// 1. Nothing runs unconfined: when a wall cannot be put up, `spawn` fails before the program's first instruction.
/// 2. What the specification requires and the machine cannot enforce is a refusal with the reason; only under
///    [`crate::Enforcement::BestEffort`] a shortfall, and then it is in the [`Report`].
/// 3. The program sees the files, environment and descriptors of its specification and nothing else of the host.
/// 4. When the main program ends, everything it started ends with it; so it does on `kill`, on `stop`, and when the
///    [`Handle`] is dropped.
/// 5. When the node dies, however it dies, every cell is gone within two seconds.
/// 6. `wait` gives the same [`Exit`] to every caller, and not before the last process of the tree is gone.
/// 7. One cell's failure, flood or crash never touches another cell or the node.
/// 8. What a program sends over the network arrives at [`Running::network`] or nowhere, and what the node sends to the
///    program's ports goes through [`Handle::connect`]: no other way leads in or out.
pub trait Cell: Send + Sync + 'static {
    /// Which class this is.
    fn class(&self) -> Class;

    /// Starts a program. Cancelling the future leaves nothing behind.
    fn spawn<'a>(&'a self, spec: &'a Spec) -> SpawnFuture<'a>;
}

/// What [`Cell::spawn`] gives.
pub type SpawnFuture<'a> = Pin<Box<dyn Future<Output = Result<Running, CellError>> + Send + 'a>>;

/// How a program is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Namespaces, Landlock and a system call filter of this kernel.
    Process,
    /// A kernel of its own, between the program and this one: gVisor's, or one in a virtual machine.
    Vm,
    /// A server that somebody else runs, reached by its URL. No [`Cell`] spawns it: nothing of this machine is given to
    /// it but what a call carries, so there is nothing to wall in. Cella holds the contract at the call, and believes
    /// its promises no further ([`Report::remote`] says what holds and what is only trusted).
    Remote,
}

impl Class {
    /// The word for it in contracts and displays.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Vm => "vm",
            Self::Remote => "remote",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A program that runs in a cell.
#[derive(Debug)]
pub struct Running {
    /// The program's standard input; dropping it is end of file.
    pub stdin: pipe::Sender,
    /// The program's standard output.
    pub stdout: pipe::Receiver,
    /// The program's standard error. Somebody must read it (see [`crate::StderrTail`]), else the program may block.
    pub stderr: pipe::Receiver,
    /// The node's ends of a brokered network ([`crate::Network::Brokered`]); `None` under any other.
    pub network: Option<NetworkEnds>,
    /// The cell itself: dropping it kills.
    pub cell: Handle,
}

/// Hold on a running cell. Dropping it kills the whole tree.
#[derive(Debug)]
pub struct Handle {
    id: Arc<str>,
    pid: Option<u32>,
    report: Arc<Report>,
    orders: mpsc::UnboundedSender<End>,
    sockets: Option<mpsc::Sender<SocketOrder>>,
    freezer: Freezer,
    exit: watch::Receiver<Option<Exit>>,
}

/// Asks for an unconnected, non-blocking socket of the cell's network; what a class's driver receives.
#[derive(Debug)]
pub struct SocketOrder {
    /// The port that it will be connected to, so that the driver can refuse one that is not the program's.
    pub port: u16,
    /// IPv6 instead of IPv4.
    pub v6: bool,
    /// UDP instead of TCP. Only a network that a class makes for its own relay has such ([`crate::TreeNetwork`]).
    pub datagrams: bool,
    /// Whom to give it.
    pub reply: oneshot::Sender<io::Result<OwnedFd>>,
}

/// How a cell is asked to end; what a class's driver receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM to every process, then after the grace as `Kill`.
    Stop(Duration),
    /// SIGKILL to every process.
    Kill,
    /// As `Kill`, because of a limit that is watched elsewhere: the cell's [`Exit`] says which.
    Over(LimitHit),
}

/// Ends a cell that oversteps a limit which its class does not see. It keeps nothing alive.
#[derive(Clone, Debug)]
pub struct Ward {
    orders: mpsc::WeakUnboundedSender<End>,
}

impl Ward {
    /// Kills every process; the cell's [`Exit`] says why.
    pub fn over(&self, limit: LimitHit) {
        if let Some(orders) = self.orders.upgrade() {
            // A driver that no longer listens has already seen the end.
            let _ended = orders.send(End::Over(limit));
        }
    }
}

impl Handle {
    /// Made by a class: `orders` is where its driver listens (a closed channel means kill), `exit` is where it
    /// publishes the end, once, when the last process is gone.
    #[must_use]
    pub fn new(
        id: Arc<str>,
        report: Arc<Report>,
        orders: mpsc::UnboundedSender<End>,
        exit: watch::Receiver<Option<Exit>>,
    ) -> Self {
        Self { id, pid: None, report, orders, sockets: None, freezer: Freezer::default(), exit }
    }

    /// Unique on this machine while the cell lives: specification name, node and number.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The same, known by a process id.
    #[must_use]
    pub fn with_pid(mut self, pid: Option<u32>) -> Self {
        self.pid = pid;
        self
    }

    /// The same, with a driver that makes sockets of the cell's network.
    #[must_use]
    pub fn with_sockets(mut self, sockets: mpsc::Sender<SocketOrder>) -> Self {
        self.sockets = Some(sockets);
        self
    }

    /// The same, of a class that can make it stand still.
    #[must_use]
    pub fn with_freezer(mut self, freezer: Freezer) -> Self {
        self.freezer = freezer;
        self
    }

    /// Connects to a TCP port on which the program listens on its own loopback (or on all addresses). Such a port is
    /// published to whoever holds this handle and to nobody else on the machine.
    ///
    /// # Errors
    /// `ConnectionRefused` while nobody listens, `AddrInUse` for a port of the egress broker, `NotConnected` when the cell has
    /// ended, `Unsupported` if its class has no network.
    pub async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        match self.dial((Ipv4Addr::LOCALHOST, port).into()).await {
            // A server that asks for `localhost` may have got the newer one.
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                self.dial((Ipv6Addr::LOCALHOST, port).into()).await.map_err(|_no_better| refused)
            }
            connected => connected,
        }
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        let sockets = self.sockets.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let (reply, made) = oneshot::channel();
        let order = SocketOrder { port: address.port(), v6: address.is_ipv6(), datagrams: false, reply };
        sockets.send(order).await.map_err(|_| gone())?;
        // An order that is sent while the cell's task ends may lie in the channel for as long as this handle lives, with
        // nobody to drop it.
        let socket = tokio::select! {
            biased;
            made = made => made.map_err(|_| gone())??,
            _exit = self.wait() => return Err(gone()),
        };
        let socket = TcpSocket::from_std_stream(socket.into());
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }

    /// The host's id of the cell's first process, while it lives; for displays, never for signals.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid.filter(|_| self.exit().is_none())
    }

    /// What is enforced and what is not.
    #[must_use]
    pub fn report(&self) -> &Arc<Report> {
        &self.report
    }

    /// Waits until the whole tree is gone.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or_default(),
            // The driver is gone with the runtime: nothing is known of the end but that it came.
            Err(_) => Exit::default(),
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// Asks every process to end (SIGTERM) and kills what is left after `grace`. Drop [`Running::stdin`] before:
    /// for an MCP server end of file is the first request to leave (MCP, stdio transport, Shutdown).
    pub async fn stop(&self, grace: Duration) -> Exit {
        self.order(End::Stop(grace));
        self.wait().await
    }

    /// Kills every process, and waits until they are gone.
    pub async fn kill(&self) -> Exit {
        self.order(End::Kill);
        self.wait().await
    }

    /// For whoever watches a limit of this cell.
    #[must_use]
    pub fn ward(&self) -> Ward {
        Ward { orders: self.orders.downgrade() }
    }

    /// For whoever looks at the cell's files while it lives.
    #[must_use]
    pub fn freezer(&self) -> Freezer {
        self.freezer.clone()
    }

    fn order(&self, end: End) {
        // A driver that no longer listens has already seen the end.
        let _ended = self.orders.send(end);
    }
}

/// How a cell ended, and what it had used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Exit status of the main program, if it exited.
    pub code: Option<i32>,
    /// Signal that killed the main program, if one did.
    pub signal: Option<i32>,
    /// The kernel killed something in the cell for want of memory.
    pub oom: bool,
    /// Limit that ended it.
    pub limit: Option<LimitHit>,
    /// From start to end.
    pub wall: Duration,
    /// Processor time of the tree, user and system.
    pub cpu: Duration,
    /// Most memory held at once, in bytes: of the tree where a memory cgroup counts it, else of the largest process.
    pub peak_memory_bytes: u64,
}

impl Exit {
    /// Ended by itself with status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.limit, self.code, self.signal) {
            (Some(limit), ..) => write!(f, "ended by its {limit} limit"),
            (None, Some(code), _) => write!(f, "exited with status {code}"),
            (None, None, Some(signal)) => write!(f, "killed by signal {signal}"),
            (None, None, None) => f.write_str("ended"),
        }
    }
}

/// A limit that ends a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitHit {
    /// [`crate::Limits::memory_bytes`].
    Memory,
    /// [`crate::Limits::cpu_time`].
    CpuTime,
    /// [`crate::Limits::wall_time`].
    WallTime,
    /// [`crate::Limits::output_bytes`].
    Output,
    /// What the copies of [`crate::Access::Copy`] may come to; watched by whoever made the layers.
    Disk,
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::CpuTime => "cpu time",
            Self::WallTime => "wall time",
            Self::Output => "output",
            Self::Disk => "disk",
        })
    }
}
