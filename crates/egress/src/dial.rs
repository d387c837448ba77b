//! From a vetted address to a connection.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

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
pub(crate) fn is_own(address: IpAddr) -> bool {
    let nobody = if address.is_ipv4() { NOBODY_V4 } else { NOBODY_V6 };
    can_bind(address) && (!can_bind(nobody) || is_source(address))
}

fn can_bind(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// True when the kernel would send from the very address that it sends to: all but secondary addresses, and good enough
/// where binding proves nothing.
fn is_source(address: IpAddr) -> bool {
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(is_own("127.0.0.9".parse().expect("an address")));
        assert!(!is_own("203.0.113.9".parse().expect("an address")));
    }
}
