//! A network in which every address is local, made inside the cell's namespace while its first process still may: what
//! a program sends to anywhere arrives at sockets that the node holds.
//!
//! A route of type `local` for all addresses on the loopback device makes the kernel take every destination for its own.
//! No device, no packet filter and no translation is involved, and nothing runs on the way: the accepted connection's own
//! address is the one that was asked for.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::{
    sys,
    wire::{self, DATAGRAMS, DATAGRAMS_V6, Frame, SOCKET_V6},
};
use crate::network::{DNS_PORT, NAMESERVER};

/// Connections that wait to be accepted, per listener. Past it the kernel drops requests, and the program tries again.
const BACKLOG: i32 = 128;
/// Index of the loopback device in every network namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;
/// All protocols, in network order (`linux/if_ether.h`).
const ETH_P_ALL: u16 = 0x0003_u16.to_be();
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// What [`hand_over`] hands over, in this order.
pub(crate) struct Made {
    pub(crate) tcp: Vec<(u16, OwnedFd)>,
    pub(crate) udp: OwnedFd,
    pub(crate) dns: OwnedFd,
    pub(crate) audit: Option<OwnedFd>,
}

/// Makes the sockets, and hands them to the node.
pub(crate) fn hand_over(node: BorrowedFd<'_>, ports: &[u16]) -> io::Result<()> {
    let Made { tcp, udp, dns, audit } = make(ports)?;
    let frame = Frame::Network { tcp: tcp.iter().map(|(port, _)| *port).collect(), audit: audit.is_some() };
    let listeners = tcp.iter().map(|(_, socket)| socket.as_fd());
    let fds: Vec<BorrowedFd<'_>> =
        listeners.chain([udp.as_fd(), dns.as_fd()]).chain(audit.iter().map(AsFd::as_fd)).collect();
    wire::send(node, &frame, &fds)
}

/// Makes the sockets. The routes are there already ([`all_is_local`]).
pub(crate) fn make(ports: &[u16]) -> io::Result<Made> {
    let mut tcp = Vec::new();
    for port in ports {
        tcp.push((*port, listener(std::net::Ipv4Addr::UNSPECIFIED.into(), *port)?));
        match listener(std::net::Ipv6Addr::UNSPECIFIED.into(), *port) {
            Ok(socket) => tcp.push((*port, socket)),
            // A machine without IPv6 needs no listener for it.
            Err(error) if lacks_v6(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let udp = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, FLAGS, None)?;
    rustix::net::bind(&udp, &std::net::SocketAddrV4::new(NAMESERVER, DNS_PORT))?;
    let dns = listener(NAMESERVER.into(), DNS_PORT)?;
    let audit = match audit() {
        Ok(socket) => Some(socket),
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
        Err(error) => return Err(error),
    };
    Ok(Made { tcp, udp, dns, audit })
}

/// Gives the node an unconnected socket of this network, with which it reaches what the program serves, or says why not.
pub(crate) fn answer(node: BorrowedFd<'_>, order: u8) -> io::Result<()> {
    let made = socket(
        if [SOCKET_V6, DATAGRAMS_V6].contains(&order) { AddressFamily::INET6 } else { AddressFamily::INET },
        if [DATAGRAMS, DATAGRAMS_V6].contains(&order) { SocketType::DGRAM } else { SocketType::STREAM },
    );
    let errno = made.as_ref().err().map(|error| error.raw_os_error().unwrap_or(libc::EIO));
    let fds: Vec<BorrowedFd<'_>> = made.iter().map(AsFd::as_fd).collect();
    wire::send(node, &Frame::Socket { errno }, &fds)
}

fn socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, kind, FLAGS, None)?)
}

fn listener(address: std::net::IpAddr, port: u16) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket(family, SocketType::STREAM)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &std::net::SocketAddr::new(address, port))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn lacks_v6(error: &io::Error) -> bool {
    [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL].map(Some).contains(&error.raw_os_error())
}

/// Adds a route for every IPv4 and IPv6 address to the table of local ones.
pub(crate) fn all_is_local() -> io::Result<()> {
    // No protocol is protocol 0, which is NETLINK_ROUTE.
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    add_route(&socket, libc::AF_INET)?;
    match add_route(&socket, libc::AF_INET6) {
        Err(error) if lacks_v6(&error) || error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        added => added,
    }
}

fn add_route(socket: &OwnedFd, family: i32) -> io::Result<()> {
    rustix::net::send(socket, &local_route(family), SendFlags::empty())?;
    let mut answer = [0u8; 256];
    let (count, _) =
        rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut answer, RecvFlags::empty()))?;
    // `nlmsghdr`, then `nlmsgerr`, whose first field is the negated error number, 0 for success.
    let number = answer[..count].get(HEADER_BYTES..HEADER_BYTES + 4).and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(-number)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Bytes of a `nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// `RTM_NEWROUTE` (rtnetlink(7)): `nlmsghdr`, `rtmsg`, and one attribute, the device.
fn local_route(family: i32) -> Vec<u8> {
    const BYTES: u32 = 16 + 12 + 8;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut message = Vec::new();
    message.extend(BYTES.to_ne_bytes());
    message.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    message.extend(u16::try_from(flags).unwrap_or_default().to_ne_bytes());
    // Sequence and sender: the kernel answers this socket in any case.
    message.extend([0; 8]);
    // Prefixes of length 0 are all addresses.
    let family = u8::try_from(family).unwrap_or_default();
    let (table, scope) = (libc::RT_TABLE_LOCAL, libc::RT_SCOPE_HOST);
    message.extend([family, 0, 0, 0, table, libc::RTPROT_BOOT, scope, libc::RTN_LOCAL]);
    message.extend(0u32.to_ne_bytes());
    message.extend(8u16.to_ne_bytes());
    message.extend(libc::RTA_OIF.to_ne_bytes());
    message.extend(LOOPBACK.to_ne_bytes());
    message
}

/// Sees every packet once: of the two looks that the loopback device gives at it, the one at its departure is left out.
fn audit() -> io::Result<OwnedFd> {
    // Without a protocol it sees nothing, until it is bound.
    let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, FLAGS, None)?;
    sys::ignore_outgoing(socket.as_fd())?;
    sys::bind_packets(socket.as_fd(), ETH_P_ALL, LOOPBACK)?;
    Ok(socket)
}
