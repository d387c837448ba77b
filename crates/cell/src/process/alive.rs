//! The node's hold on one cell whose first process exists: its socket, its first process, and what is seen of it.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::net::{RecvFlags, SendFlags};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, oneshot},
};

use super::{
    driver::LAUNCH_TIMEOUT,
    sys,
    watch::{Seen, Watch},
    wire::{self, Ended, Failure, Frame, SOCKET, SOCKET_V6, TERMINATE},
};
use crate::{CellError, End, LimitHit, Network, NetworkEnds, SocketOrder};

/// Bytes read from a cell's socket at once.
const READ_BYTES: usize = 4096;
/// How often the tree is looked at where no control group counts it. Half of it passes on average before a limit that is
/// overstepped is noticed; a look costs some hundred microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What may be wanted of a cell while it lives.
pub(super) struct Wants {
    pub(super) end: mpsc::UnboundedReceiver<End>,
    pub(super) sockets: mpsc::Receiver<SocketOrder>,
    /// Limits that were seen to be overstepped elsewhere.
    pub(super) limits: mpsc::UnboundedReceiver<LimitHit>,
    pub(super) watch: Option<Watch>,
}

/// A cell whose first process exists.
pub(super) struct Alive {
    socket: AsyncFd<OwnedFd>,
    received: Vec<u8>,
    /// Descriptors received with it, and not yet given to a frame.
    fds: VecDeque<OwnedFd>,
    /// Of the first process: readable when the whole tree is gone.
    pub(super) pidfd: Option<AsyncFd<OwnedFd>>,
    pub(super) not_idmapped: Vec<std::path::PathBuf>,
    pub(super) network: Option<NetworkEnds>,
    /// Ports that are the broker's, not the program's.
    brokered: Vec<u16>,
    /// Who waits for a socket, in the order in which they were asked for.
    waiting: VecDeque<oneshot::Sender<io::Result<OwnedFd>>>,
    pub(super) seen: Seen,
    /// The limit for which the node ended it.
    pub(super) hit: Option<LimitHit>,
    pub(super) ended: Option<Ended>,
    pub(super) began: Instant,
}

/// How far a cell is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    Waiting,
    Started,
}

/// Why no program runs.
#[derive(Debug)]
pub(super) enum Unstarted {
    /// The cell said it, and so has run nothing.
    Said(Failure),
    /// The cell is gone, and what it was sent was not read to its end: so it has run nothing.
    Unread(io::Error),
    /// The cell is gone or cannot be understood.
    Lost(CellError),
}

impl Unstarted {
    /// Of a socket whose other end is closed. The kernel tells whether something lay unread in it then (`unix(7)`).
    pub(super) fn broken(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Unread(error),
            _ => Self::Lost(CellError::Launcher { cause: error.to_string() }),
        }
    }
}

impl From<CellError> for Unstarted {
    fn from(error: CellError) -> Self {
        Self::Lost(error)
    }
}

impl Alive {
    pub(super) fn new(socket: AsyncFd<OwnedFd>, network: &Network) -> Self {
        let brokered = match network {
            Network::Brokered { ports } => ports.clone(),
            Network::None | Network::Sealed => Vec::new(),
        };
        Self {
            socket,
            received: Vec::new(),
            fds: VecDeque::new(),
            pidfd: None,
            not_idmapped: Vec::new(),
            network: None,
            brokered,
            waiting: VecDeque::new(),
            seen: Seen::default(),
            hit: None,
            ended: None,
            began: Instant::now(),
        }
    }

    pub(super) async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.socket.writable().await?;
            let sent = ready.try_io(|socket| Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?));
            if let Ok(sent) = sent {
                bytes = &bytes[sent?..];
            }
        }
        Ok(())
    }

    /// The next frame and its descriptors; `None` at end of file.
    async fn frame(&mut self) -> io::Result<Option<(Frame, Vec<OwnedFd>)>> {
        loop {
            if let Some(frame) = wire::decode::<Frame>(&mut self.received)? {
                // Fewer where this process's table of descriptors is full: the kernel drops what does not fit.
                let count = frame.fds().min(self.fds.len());
                let fds = self.fds.drain(..count).collect();
                return Ok(Some((frame, fds)));
            }
            let mut ready = self.socket.readable().await?;
            let mut chunk = [0; READ_BYTES];
            let read = ready.try_io(|socket| wire::receive_with_fds(socket.as_fd(), &mut chunk));
            let Ok(read) = read else { continue };
            let (count, fds) = read?;
            if count == 0 {
                return Ok(None);
            }
            self.received.extend_from_slice(&chunk[..count]);
            self.fds.extend(fds);
        }
    }

    /// What the kernel says of the descriptor that stands for the first process (`pidfd_open(2)`).
    pub(super) fn pid(&self) -> Option<u32> {
        let fd = std::os::fd::AsRawFd::as_raw_fd(self.pidfd.as_ref()?);
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        line.trim().parse().ok()
    }

    /// Waits until the program runs.
    pub(super) async fn until_started(&mut self) -> Result<(), Unstarted> {
        self.until(Reached::Started).await
    }

    /// Waits until the walls stand, in a cell that was told to wait for its program.
    pub(super) async fn until_waiting(&mut self) -> Result<(), Unstarted> {
        self.until(Reached::Waiting).await
    }

    async fn until(&mut self, wanted: Reached) -> Result<(), Unstarted> {
        loop {
            let Some((frame, mut fds)) = self.frame().await.map_err(Unstarted::broken)? else {
                return Err(died_early().into());
            };
            if fds.len() < frame.fds() {
                return Err(CellError::from(too_many_files()).into());
            }
            let reached = match frame {
                Frame::Made { not_idmapped } => {
                    self.not_idmapped = not_idmapped;
                    let pidfd = fds.pop().map(|fd| sys::awaitable(fd, Interest::READABLE));
                    self.pidfd = pidfd.transpose().map_err(CellError::from)?;
                    continue;
                }
                Frame::Network { tcp, audit } => {
                    self.network = Some(network_ends(&tcp, audit, fds));
                    continue;
                }
                Frame::Waiting => Reached::Waiting,
                Frame::Started => Reached::Started,
                Frame::Failed(failure) => return Err(Unstarted::Said(failure)),
                Frame::Ended(_) | Frame::Socket { .. } => return Err(died_early().into()),
            };
            if reached == wanted {
                self.began = Instant::now();
                return Ok(());
            }
        }
    }

    /// Completes when a cell that waits for its program is not there any more: it has nothing to say.
    pub(super) async fn until_disturbed(&mut self) {
        let _gone_or_broken = self.frame().await;
    }

    /// Whether it is still there and has said nothing, as the kernel knows it at this moment.
    pub(super) fn is_quiet(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        self.received.is_empty()
            && matches!(rustix::net::recv(&self.socket, &mut [0; 1], flags), Err(rustix::io::Errno::AGAIN))
    }

    /// Carries out orders until every process is gone.
    pub(super) async fn until_gone(&mut self, wants: &mut Wants) {
        let mut deadline: Option<tokio::time::Instant> = None;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut listening = true;
        while listening {
            let timeout = deadline.unwrap_or_else(|| tokio::time::Instant::now() + LAUNCH_TIMEOUT);
            tokio::select! {
                frame = self.frame() => match frame {
                    Ok(Some((frame, fds))) => self.take(frame, fds),
                    Ok(None) | Err(_) => listening = false,
                },
                order = wants.end.recv() => match order {
                    Some(End::Stop(grace)) => {
                        self.order(TERMINATE);
                        let until = tokio::time::Instant::now() + grace;
                        deadline = Some(deadline.map_or(until, |before| before.min(until)));
                    }
                    Some(End::Over(limit)) => {
                        self.hit = Some(limit);
                        listening = false;
                    }
                    Some(End::Kill) | None => listening = false,
                },
                Some(wanted) = wants.sockets.recv() => self.ask_for_socket(wanted),
                Some(limit) = wants.limits.recv() => {
                    self.hit = Some(limit);
                    listening = false;
                }
                _ = looks.tick(), if wants.watch.is_some() => {
                    self.hit = self.look(&mut wants.watch).await;
                    listening = self.hit.is_none();
                }
                () = tokio::time::sleep_until(timeout) => listening = deadline.is_none(),
            }
        }
        self.waiting.clear();
        self.kill().await;
    }

    fn take(&mut self, frame: Frame, mut fds: Vec<OwnedFd>) {
        match frame {
            Frame::Ended(ended) => self.ended = Some(ended),
            Frame::Socket { errno } => {
                let Some(reply) = self.waiting.pop_front() else { return };
                let made = errno.map_or_else(
                    || fds.pop().ok_or_else(too_many_files),
                    |errno| Err(io::Error::from_raw_os_error(errno)),
                );
                // Whoever asked may have gone; then the socket closes here.
                let _nobody_waits = reply.send(made);
            }
            Frame::Made { .. }
            | Frame::Network { .. }
            | Frame::Waiting
            | Frame::Started
            | Frame::Failed(_) => {}
        }
    }

    fn ask_for_socket(&mut self, wanted: SocketOrder) {
        let refused = if wanted.datagrams { Some(io::ErrorKind::Unsupported) } else { None };
        let taken = self.brokered.contains(&wanted.port).then_some(io::ErrorKind::AddrInUse);
        if let Some(refused) = refused.or(taken) {
            let _nobody_waits = wanted.reply.send(Err(refused.into()));
            return;
        }
        if self.order(if wanted.v6 { SOCKET_V6 } else { SOCKET }) {
            self.waiting.push_back(wanted.reply);
        }
    }

    /// One byte always fits, unless the cell is gone or reads no orders; whether it went.
    fn order(&self, order: u8) -> bool {
        rustix::net::send(&self.socket, &[order], SendFlags::NOSIGNAL) == Ok(1)
    }

    async fn look(&mut self, watch: &mut Option<Watch>) -> Option<LimitHit> {
        let mut looking = watch.take()?;
        let looked = tokio::task::spawn_blocking(move || (looking.look(), looking)).await;
        let (seen, looking) = looked.ok()?;
        self.seen = seen;
        let hit = looking.judge(&seen);
        *watch = Some(looking);
        hit
    }

    /// Kills the first process, which takes the others along, and waits until that has happened.
    pub(super) async fn kill(&mut self) {
        let Some(pidfd) = &self.pidfd else { return };
        let _gone_already = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        if self.ended.is_none() {
            // What it said before it was killed.
            self.ended = match wire::decode(&mut self.received) {
                Ok(Some(Frame::Ended(ended))) => Some(ended),
                _ => None,
            };
        }
        let _gone = pidfd.readable().await;
    }
}

pub(super) fn too_many_files() -> io::Error {
    io::Error::from_raw_os_error(libc::EMFILE)
}

fn died_early() -> CellError {
    CellError::Launcher { cause: "the cell's first process died while it was being set up".into() }
}

/// The descriptors in the order in which the cell sends them.
pub(super) fn network_ends(ports: &[u16], audit: bool, fds: Vec<OwnedFd>) -> NetworkEnds {
    let mut fds = fds.into_iter();
    let tcp = ports.iter().copied().zip(fds.by_ref().map(Into::into)).collect();
    NetworkEnds {
        tcp,
        dns_udp: fds.by_ref().take(1).map(Into::into).collect(),
        dns_tcp: fds.by_ref().take(1).map(Into::into).collect(),
        audit: fds.next().filter(|_| audit),
    }
}
