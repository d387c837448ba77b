//! The brokered network of a tree that is confined by others: a sandbox whose own kernel stands on this one's sockets.
//!
//! The network namespace is that of the tree's first process, made as for a cell of class `process`; a small process beside
//! the program makes sockets of it for the node, and ends with the tree. Node and tree find each other by a socket in the
//! filesystem: the program's standard streams are the program's.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::net::SendFlags;
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixListener,
    sync::mpsc,
};

use super::{
    alive, brokered,
    launcher::LAUNCHER_ARG,
    order, sys,
    sys::Forked,
    wire::{self, DATAGRAMS, DATAGRAMS_V6, Frame, SOCKET, SOCKET_V6},
};
use crate::{CellError, Network, NetworkEnds, SocketOrder};

/// Second argument: run a program in a tree with a network of its own.
pub(super) const NETWORK_TREE_ARG: &str = "network-tree";
/// Sockets that may be asked for before the tree has made them. Stops a flood of connections from filling its queue; past
/// it whoever asks waits.
const SOCKETS_WAITING: usize = 16;
/// Bytes read from the tree's socket at once.
const READ_BYTES: usize = 4096;

/// The network of a tree ([`crate::whole_tree`]) in which every address is local and ends at sockets that the node holds.
/// It lives as long as the tree does.
#[derive(Debug)]
pub struct TreeNetwork {
    listener: UnixListener,
    socket: PathBuf,
    ports: Vec<u16>,
}

// === impl TreeNetwork ===

impl TreeNetwork {
    /// For the ports of this network; `None` for one that is not brokered. `dir` is a directory of the caller's own, into
    /// which nobody else may look: whoever reaches the socket in it could be taken for the tree.
    ///
    /// # Errors
    /// Ports that cannot be brokered, or no socket in that directory.
    pub fn of(network: &Network, dir: &Path) -> Result<Option<Self>, CellError> {
        let Some(ports) = order::brokered(network)? else { return Ok(None) };
        let socket = dir.join("network");
        // Of a tree that was started before in the same directory.
        let _none = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        Ok(Some(Self { listener, socket, ports }))
    }

    /// As [`crate::whole_tree`], in this network.
    #[must_use]
    pub fn whole_tree(&self, program: &Path) -> Command {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let mut command = Command::new("/proc/self/exe");
        command.arg(LAUNCHER_ARG).arg(NETWORK_TREE_ARG).arg(std::process::id().to_string());
        command.arg(&self.socket).arg(ports.join(",")).arg(program);
        command
    }

    /// Waits for the tree that was started; gives the node's ends, and where sockets of the network are to be had
    /// ([`crate::Handle::with_sockets`]). Needs a tokio runtime.
    ///
    /// # Errors
    /// The tree ended before, or its network could not be made. Whoever waits should watch the tree as well: one that
    /// never comes is waited for.
    pub async fn ends(self) -> io::Result<(NetworkEnds, mpsc::Sender<SocketOrder>)> {
        let (stream, _) = self.listener.accept().await?;
        if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let fd: OwnedFd = stream.into_std()?.into();
        let fd = sys::awaitable(fd, Interest::READABLE | Interest::WRITABLE)?;
        let mut link = Link { fd, received: Vec::new(), fds: VecDeque::new() };
        let (Frame::Network { tcp, audit }, fds) = link.frame().await? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let ends = alive::network_ends(&tcp, audit, fds);
        let (sockets, orders) = mpsc::channel(SOCKETS_WAITING);
        tokio::spawn(link.serve(self.ports, orders));
        Ok((ends, sockets))
    }
}

/// The node's end of the tree's socket.
struct Link {
    fd: AsyncFd<OwnedFd>,
    received: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Link {
    /// Has sockets made as long as somebody may ask for one. Dropping the link ends the process that makes them.
    async fn serve(mut self, brokered: Vec<u16>, mut orders: mpsc::Receiver<SocketOrder>) {
        while let Some(order) = orders.recv().await {
            let made = if brokered.contains(&order.port) {
                Err(io::ErrorKind::AddrInUse.into())
            } else {
                self.socket(&order).await
            };
            let _nobody_waits = order.reply.send(made);
        }
    }

    async fn socket(&mut self, order: &SocketOrder) -> io::Result<OwnedFd> {
        let gone = |_: io::Error| io::Error::from(io::ErrorKind::NotConnected);
        // One byte always fits: the answer to the last one has come.
        let order = match (order.datagrams, order.v6) {
            (false, false) => SOCKET,
            (false, true) => SOCKET_V6,
            (true, false) => DATAGRAMS,
            (true, true) => DATAGRAMS_V6,
        };
        rustix::net::send(&self.fd, &[order], SendFlags::NOSIGNAL).map_err(|error| gone(error.into()))?;
        match self.frame().await.map_err(gone)? {
            (Frame::Socket { errno: Some(errno) }, _) => Err(io::Error::from_raw_os_error(errno)),
            (_, mut fds) => fds.pop().ok_or_else(alive::too_many_files),
        }
    }

    async fn frame(&mut self) -> io::Result<(Frame, Vec<OwnedFd>)> {
        loop {
            if let Some(frame) = wire::decode::<Frame>(&mut self.received)? {
                if self.fds.len() < frame.fds() {
                    return Err(alive::too_many_files());
                }
                let fds = self.fds.drain(..frame.fds()).collect();
                return Ok((frame, fds));
            }
            let mut ready = self.fd.readable().await?;
            let mut chunk = [0; READ_BYTES];
            let read = ready.try_io(|fd| wire::receive_with_fds(fd.as_fd(), &mut chunk));
            let Ok(read) = read else { continue };
            let (count, fds) = read?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received.extend_from_slice(&chunk[..count]);
            self.fds.extend(fds);
        }
    }
}

/// Makes every address local in the network namespace of this very process, for one that relays from there: the first of a
/// virtual machine, say. Gives the same sockets that a cell's network has.
///
/// # Errors
/// This process may not, or a port is taken.
pub fn make_local(ports: &[u16]) -> io::Result<NetworkEnds> {
    sys::loopback_up()?;
    brokered::all_is_local()?;
    let brokered::Made { tcp, udp, dns, audit } = brokered::make(ports)?;
    let tcp = tcp.into_iter().map(|(port, socket)| (port, socket.into())).collect();
    Ok(NetworkEnds { tcp, dns_udp: vec![udp.into()], dns_tcp: vec![dns.into()], audit })
}

/// What a keeper is told of the network of its tree.
#[derive(Debug)]
pub(super) struct Wanted {
    node: UnixStream,
    ports: Vec<u16>,
}

impl Wanted {
    /// The two words before the program's own: the node's socket, and ports with commas between them.
    pub(super) fn read(mut words: impl Iterator<Item = OsString>) -> io::Result<Self> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let (socket, ports) = (words.next().ok_or_else(invalid)?, words.next().ok_or_else(invalid)?);
        let ports = ports.to_str().unwrap_or_default().split(',').filter(|port| !port.is_empty());
        let ports = ports.map(str::parse).collect::<Result<_, _>>().map_err(io::Error::other)?;
        Ok(Self { node: UnixStream::connect(OsStr::new(&socket))?, ports })
    }

    /// In the first process of the tree, which is in a new network namespace and may still do anything in it.
    pub(super) fn make(self) -> io::Result<()> {
        sys::loopback_up()?;
        brokered::all_is_local()?;
        brokered::hand_over(self.node.as_fd(), &self.ports)?;
        match sys::fork(0)? {
            Forked::Child => sys::exit_now(i32::from(make_sockets(self.node.as_fd()).is_err())),
            Forked::Parent { .. } => Ok(()),
        }
    }
}

/// Makes a socket for each byte, until the node is gone.
fn make_sockets(node: BorrowedFd<'_>) -> io::Result<()> {
    // The program's streams are the program's alone.
    sys::place_standard_fd(node, 0)?;
    sys::close_from(1, false)?;
    let node = io::stdin();
    loop {
        let mut order = [0; 1];
        if rustix::io::retry_on_intr(|| rustix::io::read(&node, &mut order))? == 0 {
            return Ok(());
        }
        brokered::answer(node.as_fd(), order[0])?;
    }
}
