//! The node's ends of a cell's network: where what a program sends arrives, and what is said of what nobody serves.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
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
/// last is the program talking to itself on a port that is the broker's: refuse it. A program that wants to listen on a
/// brokered port itself gets `EADDRINUSE`; on every other port its own loopback is its own.
#[derive(Debug)]
pub struct NetworkEnds {
    /// Listeners with their port: one on `0.0.0.0` and, where this machine has IPv6, one on `[::]` for it alone.
    pub tcp: Vec<(u16, TcpListener)>,
    /// Questions for names by UDP, all to [`NAMESERVER`]: `recv_from`, and `send_to` the one who asked.
    pub dns_udp: Vec<UdpSocket>,
    /// The same by TCP.
    pub dns_tcp: Vec<TcpListener>,
    /// A packet socket that sees connection attempts to ports that are not the broker's, datagrams and the like: one per
    /// `recv`, to be read by [`Attempt::parse`]. The kernel drops what is not read in time, so a flood costs nothing but
    /// records. `None` where the kernel has no packet sockets.
    pub audit: Option<OwnedFd>,
}

/// Something that a program sent to where nobody was meant to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// What it was.
    pub protocol: Protocol,
    /// Where it went; port 0 if the protocol has none.
    pub destination: SocketAddr,
}

/// Protocol of an [`Attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// A request for a connection.
    Tcp,
    /// A datagram.
    Udp,
    /// Another, by its number in the IP header.
    Other(u8),
}

/// Bytes of an IPv4 header without options, and of an IPv6 header.
const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;
const TCP: u8 = 6;
const UDP: u8 = 17;

impl Attempt {
    /// Reads a packet of [`NetworkEnds::audit`] (it begins with the IP header). `None` for what a program says to its own
    /// loopback or asks the name server, and for what is no packet.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (address, number, rest): (IpAddr, u8, &[u8]) = match packet.first()? >> 4 {
            4 => {
                let length = usize::from(packet[0] & 0xf) * 4;
                let address: [u8; 4] = packet.get(16..HEADER_V4)?.try_into().ok()?;
                (Ipv4Addr::from(address).into(), *packet.get(9)?, packet.get(length..)?)
            }
            6 => {
                let address: [u8; 16] = packet.get(24..HEADER_V6)?.try_into().ok()?;
                (Ipv6Addr::from(address).into(), *packet.get(6)?, packet.get(HEADER_V6..)?)
            }
            _ => return None,
        };
        if address.to_canonical().is_loopback() {
            return None;
        }
        let protocol = match number {
            TCP => Protocol::Tcp,
            UDP => Protocol::Udp,
            other => Protocol::Other(other),
        };
        let port = match protocol {
            Protocol::Tcp | Protocol::Udp => u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?),
            Protocol::Other(_) => 0,
        };
        let names = address == IpAddr::V4(NAMESERVER) && port == DNS_PORT;
        (!names).then(|| Self { protocol, destination: SocketAddr::new(address, port) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Protocol};

    fn v4(protocol: u8, destination: [u8; 4], port: u16) -> Vec<u8> {
        let mut packet = vec![0u8; 28];
        packet[0] = 0x45;
        packet[9] = protocol;
        packet[16..20].copy_from_slice(&destination);
        packet[22..24].copy_from_slice(&port.to_be_bytes());
        packet
    }

    #[test]
    fn an_attempt_says_what_and_where() {
        let attempt = Attempt::parse(&v4(17, [9, 9, 9, 9], 4433)).unwrap();
        assert_eq!((attempt.protocol, attempt.destination), (Protocol::Udp, "9.9.9.9:4433".parse().unwrap()));
        let mut packet = vec![0u8; 44];
        packet[0] = 0x60;
        packet[6] = 6;
        packet[24] = 0x20;
        packet[42..44].copy_from_slice(&22u16.to_be_bytes());
        let attempt = Attempt::parse(&packet).unwrap();
        assert_eq!((attempt.protocol, attempt.destination), (Protocol::Tcp, "[2000::]:22".parse().unwrap()));
    }

    #[test]
    fn loopback_and_rubbish_are_no_attempts() {
        assert_eq!(Attempt::parse(&v4(6, [127, 3, 0, 1], 80)), None);
        assert_eq!(Attempt::parse(&v4(17, [198, 18, 0, 1], 53)), None);
        assert_eq!(Attempt::parse(&[]), None);
        assert_eq!(Attempt::parse(&[0x45; 19]), None);
        assert_eq!(Attempt::parse(&v4(6, [9, 9, 9, 9], 80)[..22]), None);
    }
}
