//! The node's ends of a cell's network: where what a program sends arrives.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

/// The one name server that `/etc/resolv.conf` inside names. Only this address is bound for names, so that every answer
/// leaves from the address that was asked, and no packet information is needed. It lies in a range that no network
/// routes (RFC 2544), at whose other addresses a broker may answer for names.
pub const NAMESERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Port of names.
pub(crate) const DNS_PORT: u16 = 53;
/// TCP ports that one cell's broker may serve. Each costs the node two descriptors, so this stops a contract from eating
/// them; past it the specification is refused.
pub const PORTS_MAX: usize = 32;

/// What the node holds of a brokered network ([`crate::Network::Brokered`]). All sockets are non-blocking; they live on
/// in the cell's namespace for as long as the node holds them, and whoever drops them makes the ports refuse.
///
/// On a connection accepted here, `local_addr` is the address and port that the program asked for, whatever it was:
/// a made-up address that the broker's name server gave out, an address written down in the program, or loopback. The
/// last is the program talking to itself on a port that is the broker's: refuse it. The peer's address means nothing, a
/// program can bind any. A program that wants to listen on a
/// brokered port itself gets `EADDRINUSE`; on every other port its own loopback is its own.
#[derive(Debug)]
pub struct NetworkEnds {
    /// Listeners with their port: one on `0.0.0.0` and, where this machine has IPv6, one on `[::]` for it alone.
    pub tcp: Vec<(u16, TcpListener)>,
    /// Questions for names by UDP, all to [`NAMESERVER`]: `recv_from`, and `send_to` the one who asked.
    pub dns_udp: Vec<UdpSocket>,
    /// The same by TCP.
    pub dns_tcp: Vec<TcpListener>,
    /// A packet socket (`SOCK_RAW`, each packet with its Ethernet header) that sees everything on the cell's loopback
    /// device on its arrival: also what a program sends to ports that nobody serves, and how the kernel refuses it. It
    /// has no filter; whoever reads it should attach one (`SO_ATTACH_FILTER`) before the program sends bulk. The kernel
    /// drops what is not read in time. `None` where the kernel has no packet sockets; the report says so.
    pub audit: Option<OwnedFd>,
}
