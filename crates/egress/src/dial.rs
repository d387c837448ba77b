//! From a vetted address to a connection.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use rustix::io::Errno;
use tokio::net::TcpStream;

use crate::policy::Vetted;

/// Reserved and never anybody's: it can be bound only where any address can (`net.ipv4.ip_nonlocal_bind`).
const NOBODY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1));
/// The same for IPv6: of the prefix whose packets are discarded (RFC 6666).
const NOBODY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1));

/// Connects to exactly this address.
pub(crate) async fn dial(to: Vetted) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to.address()).await?;
    // a message that waits for its acknowledgement costs 40 ms
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// True for an address of this machine: a socket can be bound to it. Nothing is sent, and local routes count, which a list
/// of interfaces would miss.
///
/// # Errors
/// It cannot be found out, mostly for want of descriptors.
pub(crate) fn is_own(address: IpAddr) -> io::Result<bool> {
    let nobody = if address.is_ipv4() { NOBODY_V4 } else { NOBODY_V6 };
    Ok(can_bind(address)? && (!can_bind(nobody)? || is_source(address)?))
}

fn can_bind(address: IpAddr) -> io::Result<bool> {
    match UdpSocket::bind(SocketAddr::new(address, 0)) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => Ok(false),
        // without IPv6 on this machine none of its addresses are its own
        Err(e) if e.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => Ok(false),
        Err(e) => Err(e),
    }
}

/// True when the kernel would send from the very address that it sends to: all but secondary addresses, and good enough
/// where binding proves nothing.
fn is_source(address: IpAddr) -> io::Result<bool> {
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // any port: a datagram socket sends nothing when it is connected, and an address without a route is not ours
    let connected = socket.connect(SocketAddr::new(address, 9));
    Ok(connected.and_then(|()| socket.local_addr()).is_ok_and(|source| source.ip() == address))
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn the_machine_knows_its_own_addresses() {
        let own = |text: &str| is_own(text.parse().expect(text)).expect("found out");
        assert!(own("127.0.0.9") && own("::1"));
        assert!(!own("203.0.113.9") && !own("2001:db8::9"));
    }
}
