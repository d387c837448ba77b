//! What a cell tries where nobody listens: ports without a grant, and datagrams.
//!
//! A packet socket on the cell's loopback device sees it all; a filter in the kernel lets through only what is needed, so
//! that bulk traffic costs nothing here. A connection to a closed port shows by the reset that the kernel answers it with:
//! unlike the first packet, that one does not exist for ports on which the cell's own programs listen.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
};

use socket2::{SockFilter, SockRef};
use tokio::net::UdpSocket;

use crate::{connection::Cell, denial::Denial, limits::AUDIT_BYTES, record::Subject};

const ETHERNET_BYTES: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS_PORT: u16 = 53;
/// The flags reset and acknowledgement, which answer a first packet that nobody wanted (RFC 9293, 3.10.7.1).
const RESET_ACK: u8 = 0x14;

/// Packets that are remembered, because the loopback device shows each twice: going out and coming in.
const REMEMBERED: usize = 16;

/// Something that a cell tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) destination: SocketAddr,
    pub(crate) denial: Denial,
}

/// Where the cell's own name server listens: the queries that are answered, and so no attempts in vain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered(Vec<IpAddr>);

/// Puts what the socket sees on record until the broker ends.
///
/// # Errors
/// The descriptor is no socket that can be waited for.
pub(crate) fn watch(
    socket: OwnedFd,
    cell: Arc<Cell>,
    answered: Answered,
) -> io::Result<impl Future<Output = ()> + Send> {
    if let Err(error) = SockRef::from(&socket).attach_filter(&filter()) {
        tracing::warn!(%error, "the audit of a cell has no filter in the kernel and costs more");
    }
    // the type says datagrams and not UDP: nothing but waiting and receiving is done with it
    let socket = std::net::UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    let socket = ClosedAside(Some(UdpSocket::from_std(socket)?));
    Ok(async move {
        let Some(socket) = &socket.0 else { return };
        let mut seen: VecDeque<[u8; AUDIT_BYTES]> = VecDeque::new();
        loop {
            if socket.readable().await.is_err() {
                return;
            }
            let mut packet = [0; AUDIT_BYTES];
            let Ok(length) = socket.try_recv(&mut packet) else { continue };
            let Some(attempt) = attempt(&packet[..length.min(AUDIT_BYTES)], &answered) else { continue };
            if let Some(at) = seen.iter().position(|other| *other == packet) {
                // the second showing of this one; a third would be another packet
                seen.remove(at);
                continue;
            }
            seen.truncate(REMEMBERED - 1);
            seen.push_front(packet);
            let name = cell.name(attempt.destination.ip());
            let subject = Subject { name, destination: Some(attempt.destination), resolved: None };
            cell.recorder.denied(subject, attempt.denial);
        }
    })
}

/// Closing a packet socket waits until no processor looks at it, some milliseconds; a thread of the runtime that serves
/// connections must not stand still for so long.
struct ClosedAside(Option<UdpSocket>);

impl Drop for ClosedAside {
    fn drop(&mut self) {
        if let (Some(socket), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            let _closes_in_its_time = runtime.spawn_blocking(move || drop(socket));
        }
    }
}

// === impl Answered ===

impl Answered {
    /// Everywhere that these sockets are bound to.
    pub(crate) fn at(sockets: &[std::net::UdpSocket]) -> io::Result<Self> {
        sockets.iter().map(|socket| Ok(socket.local_addr()?.ip())).collect::<io::Result<_>>().map(Self)
    }

    fn includes(&self, address: IpAddr, port: u16) -> bool {
        let here = |bound: &IpAddr| {
            *bound == address || bound.is_unspecified() && bound.is_ipv4() == address.is_ipv4()
        };
        port == DNS_PORT && self.0.iter().any(here)
    }
}

/// What a packet shows, if it shows something.
fn attempt(packet: &[u8], answered: &Answered) -> Option<Attempt> {
    let (ethernet, packet) = packet.split_at_checked(ETHERNET_BYTES)?;
    let (protocol, source, destination, payload) = match u16::from_be_bytes([ethernet[12], ethernet[13]]) {
        IPV4 => ipv4(packet)?,
        IPV6 => ipv6(packet)?,
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
    let (from, to) = (port(0)?, port(2)?);
    match protocol {
        TCP => {
            let sequence = payload.get(4..8)?;
            // an answer to a first packet has no number of its own; resets of living connections have
            let unwanted = payload.get(13)? & 0x3f == RESET_ACK && sequence == [0; 4];
            let destination = SocketAddr::new(source, from);
            unwanted.then_some(Attempt { destination, denial: Denial::PortClosed })
        }
        UDP => {
            // queries that are answered and the answers, and a cell may talk to itself
            let wanted = answered.includes(destination, to) || answered.includes(source, from);
            let in_vain = !wanted && !destination.is_loopback();
            let destination = SocketAddr::new(destination, to);
            in_vain.then_some(Attempt { destination, denial: Denial::Datagram })
        }
        _ => None,
    }
}

type Packet<'a> = (u8, IpAddr, IpAddr, &'a [u8]);

fn ipv4(packet: &[u8]) -> Option<Packet<'_>> {
    let fixed: &[u8; 20] = packet.first_chunk()?;
    let header = usize::from(fixed[0] & 0x0f) * 4;
    let first_fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff == 0;
    if fixed[0] >> 4 != 4 || header < fixed.len() || !first_fragment {
        return None;
    }
    let address =
        |at: usize| IpAddr::V4(Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]));
    Some((fixed[9], address(12), address(16), packet.get(header..)?))
}

fn ipv6(packet: &[u8]) -> Option<Packet<'_>> {
    let (fixed, payload) = packet.split_first_chunk::<40>()?;
    if fixed[0] >> 4 != 6 {
        return None;
    }
    let address = |at: usize| fixed[at..].first_chunk::<16>().map(|bytes| IpAddr::V6(Ipv6Addr::from(*bytes)));
    Some((fixed[6], address(8)?, address(24)?, payload))
}

/// Lets through UDP, and TCP with the reset flag, over IPv4 and IPv6 without extension headers (classic BPF). The numbers
/// after an operation are how many rules to skip when it is true and when it is not.
fn filter() -> [SockFilter; 15] {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_BYTE_INDEXED: u16 = 0x50;
    const LOAD_HEADER_LENGTH: u16 = 0xb1;
    const JUMP: u16 = 0x05;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const RESET: u32 = 4;
    let rule = SockFilter::new;
    [
        rule(LOAD_HALF, 0, 0, 12),
        rule(JUMP_EQUAL, 0, 6, IPV4.into()),
        rule(LOAD_BYTE, 0, 0, 23),
        rule(JUMP_EQUAL, 9, 0, UDP.into()),
        rule(JUMP_EQUAL, 0, 9, TCP.into()),
        rule(LOAD_HEADER_LENGTH, 0, 0, 14),
        rule(LOAD_BYTE_INDEXED, 0, 0, 27),
        rule(JUMP, 0, 0, 4),
        rule(JUMP_EQUAL, 0, 5, IPV6.into()),
        rule(LOAD_BYTE, 0, 0, 20),
        rule(JUMP_EQUAL, 2, 0, UDP.into()),
        rule(LOAD_BYTE, 0, 0, 67),
        rule(JUMP_SET, 0, 1, RESET),
        rule(RETURN, 0, 0, 0xffff),
        rule(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests;
