//! What the node and a cell say to each other, over one socket per cell.
//!
//! The socket is also the cell's lifeline: the node holds the one end for as long as it lives, the cell's first process
//! the other. End of file on either side means that the other is gone. A parent-death signal would not do: it is bound to
//! the *thread* that forked, and a runtime's worker threads come and go.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest message, in bytes. Stops a broken peer from making us allocate without end; past it the message is refused.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Descriptors in one message. A request has the socket, three pipes, and one per control group hierarchy; the ends of a
/// brokered network are two listeners per port and three sockets more.
pub(crate) const FDS_MAX: usize = 80;
/// Asks every process of the cell to end.
pub(crate) const TERMINATE: u8 = b'T';
/// Asks for an unconnected socket of the cell's network, IPv4.
pub(crate) const SOCKET: u8 = b'4';
/// As [`SOCKET`], IPv6.
pub(crate) const SOCKET_V6: u8 = b'6';
/// As [`SOCKET`], UDP: only of a tree's network.
pub(crate) const DATAGRAMS: u8 = b'd';
/// As [`DATAGRAMS`], IPv6.
pub(crate) const DATAGRAMS_V6: u8 = b'D';

/// From the process that becomes the program to the cell's first, over a pipe that ends when it has become one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It has made the cell's network namespace, and is in it.
    Network,
    /// Nothing is left to do but `exec`. What ends without having said this, has run nothing.
    Executing,
    /// It goes no further.
    Failed(Failure),
}

/// From the cell to the node, in this order.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// The namespaces exist; the descriptor of their first process comes along.
    Made {
        /// Mounts whose owner could not be translated.
        not_idmapped: Vec<PathBuf>,
    },
    /// The node's ends of a brokered network come along, in this order.
    Network {
        /// Ports of the TCP listeners, one descriptor each.
        tcp: Vec<u16>,
        /// Whether there is an audit socket behind them and the two for names.
        audit: bool,
    },
    /// The walls stand, and no program is known yet.
    Waiting,
    /// The program is running.
    Started,
    /// A socket that was asked for: its descriptor comes along, or the error number says why there is none.
    Socket {
        /// The kernel's answer, if it was no.
        errno: Option<i32>,
    },
    /// Nothing runs, because of this.
    Failed(Failure),
    /// The main program is gone.
    Ended(Ended),
}

/// Where setting up went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// What was being done.
    pub(crate) step: Step,
    /// To which path, if to one.
    pub(crate) path: Option<PathBuf>,
    /// The kernel's answer.
    pub(crate) errno: Option<i32>,
    /// More words.
    pub(crate) detail: String,
}

/// What can go wrong, by who has to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    Order,
    Namespaces,
    NamespaceLock,
    IdMap,
    Source,
    Idmapped,
    Overlay,
    Mount,
    Proc,
    Network,
    Identity,
    Limits,
    Cgroup,
    Landlock,
    Seccomp,
    Capabilities,
    WorkingDirectory,
    Exec,
    /// The process that was to become the program is gone, and has become nothing.
    Gone,
}

impl Step {
    /// It failed on what is to run, not on where: it would anywhere.
    pub(crate) fn is_of_program(self) -> bool {
        matches!(self, Self::WorkingDirectory | Self::Exec)
    }
}

/// How the main program ended, as its reaper saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) wall_limit: bool,
    pub(crate) cpu_micros: u64,
    pub(crate) peak_bytes: u64,
}

impl Failure {
    pub(crate) fn new(step: Step, error: &io::Error) -> Self {
        Self { step, path: None, errno: error.raw_os_error(), detail: error.to_string() }
    }

    pub(crate) fn at(step: Step, path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self { path: Some(path.into()), ..Self::new(step, error) }
    }
}

/// Length, then JSON.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MESSAGE_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("message too long"))?;
    let mut bytes = Vec::with_capacity(body.len() + 4);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Takes one whole message off the front of what was received, if it is there.
pub(crate) fn decode<T: DeserializeOwned>(received: &mut Vec<u8>) -> io::Result<Option<T>> {
    let Some((length, rest)) = received.split_first_chunk::<4>() else { return Ok(None) };
    let length = checked_length(*length)?;
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let message = serde_json::from_slice(body)?;
    received.drain(..length + 4);
    Ok(Some(message))
}

impl Frame {
    /// How many descriptors come with it.
    pub(crate) fn fds(&self) -> usize {
        match self {
            Self::Made { .. } | Self::Socket { errno: None } => 1,
            Self::Network { tcp, audit } => tcp.len() + 2 + usize::from(*audit),
            Self::Socket { errno: Some(_) }
            | Self::Waiting
            | Self::Started
            | Self::Failed(_)
            | Self::Ended(_) => 0,
        }
    }
}

/// Sends a message and its descriptors, blocking.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = encode(message)?;
    let sent = send_with_fds(socket, &bytes, fds)?;
    (&FdStream(socket)).write_all(&bytes[sent..])
}

/// Receives one message, blocking.
pub(crate) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<T> {
    let mut stream = &FdStream(socket);
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; checked_length(length)?];
    stream.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

fn checked_length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > MESSAGE_BYTES_MAX { Err(io::Error::other("message too long")) } else { Ok(length) }
}

/// Sends bytes with descriptors; gives how many bytes went.
pub(crate) fn send_with_fds(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let sent = rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(sent)
}

/// Receives bytes and descriptors; zero bytes is end of file.
pub(crate) fn receive_with_fds(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fds = fds.flatten().collect();
    Ok((message.bytes, fds))
}

/// Blocking reads and writes on a borrowed socket.
struct FdStream<'fd>(BorrowedFd<'fd>);

impl Read for &FdStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(self.0.as_fd(), &mut *buffer))?)
    }
}

impl Write for &FdStream<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::net::send(self.0.as_fd(), buffer, SendFlags::NOSIGNAL))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, MESSAGE_BYTES_MAX, decode, encode};

    #[test]
    fn a_message_is_taken_only_when_whole() {
        let bytes = encode(&Frame::Started).unwrap();
        let mut received = Vec::new();
        for byte in &bytes {
            assert_eq!(decode::<Frame>(&mut received).unwrap(), None);
            received.push(*byte);
        }
        received.extend_from_slice(&bytes[..3]);
        assert_eq!(decode::<Frame>(&mut received).unwrap(), Some(Frame::Started));
        assert_eq!(received, &bytes[..3]);
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused() {
        let mut received = u32::try_from(MESSAGE_BYTES_MAX + 1).unwrap().to_le_bytes().to_vec();
        assert!(decode::<Frame>(&mut received).is_err());
    }
}
