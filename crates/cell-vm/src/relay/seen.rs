//! What a packet on a guest's loopback shows of an attempt in vain.

use std::net::{IpAddr, SocketAddr};

/// Bytes of a packet that are looked at: Ethernet, the longest IPv4 header, TCP.
pub(super) const PACKET_BYTES: usize = 128;
const ETHERNET_BYTES: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS_PORT: u16 = 53;
/// Reset and acknowledgement, which answer a first packet that nobody wanted (RFC 9293, 3.10.7.1).
const RESET_ACK: u8 = 0x14;

/// Whether it was a datagram, and where it was to go.
pub(super) fn attempt(packet: &[u8]) -> Option<(bool, SocketAddr)> {
    let (ethernet, packet) = packet.split_at_checked(ETHERNET_BYTES)?;
    let (protocol, source, destination, payload) = match ethernet[12..14] {
        [0x08, 0x00] => {
            let fixed = packet.first_chunk::<20>()?;
            let ip = |at: usize| fixed[at..].first_chunk::<4>().map(|bytes| IpAddr::from(*bytes));
            let whole = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff == 0;
            let payload = packet.get(usize::from(fixed[0] & 0x0f) * 4..).filter(|_| whole)?;
            (fixed[9], ip(12)?, ip(16)?, payload)
        }
        [0x86, 0xdd] => {
            let (fixed, payload) = packet.split_first_chunk::<40>()?;
            let ip = |at: usize| fixed[at..].first_chunk::<16>().map(|bytes| IpAddr::from(*bytes));
            (fixed[6], ip(8)?, ip(24)?, payload)
        }
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
    let (from, to) = (port(0)?, port(2)?);
    match protocol {
        TCP => {
            // The answer to a first packet has no number of its own; resets of living connections have one.
            let unwanted = payload.get(13)? & 0x3f == RESET_ACK && payload.get(4..8)? == [0; 4];
            (unwanted && !source.is_loopback()).then_some((false, SocketAddr::new(source, from)))
        }
        UDP if ![from, to].contains(&DNS_PORT) && !destination.is_loopback() => {
            Some((true, SocketAddr::new(destination, to)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::attempt;

    fn packet(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
        [&[0; 12][..], &[8, 0], &ip, &from, &to, payload].concat()
    }

    #[test]
    fn a_refused_connection_and_a_datagram_are_seen_and_nothing_else() {
        let tcp =
            |flags: u8| [&[0x11, 0x51, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags][..], &[0; 6]].concat();
        let refused = packet(6, [203, 0, 113, 9], [10, 0, 0, 1], &tcp(0x14));
        assert_eq!(attempt(&refused), Some((false, "203.0.113.9:4433".parse().unwrap())));
        assert_eq!(attempt(&packet(6, [203, 0, 113, 9], [10, 0, 0, 1], &tcp(0x12))), None);
        assert_eq!(attempt(&packet(6, [127, 0, 0, 1], [127, 0, 0, 1], &tcp(0x14))), None);
        let datagram = packet(17, [10, 0, 0, 1], [203, 0, 113, 9], &[0x90, 0, 0x11, 0x51, 0, 8, 0, 0]);
        assert_eq!(attempt(&datagram), Some((true, "203.0.113.9:4433".parse().unwrap())));
        assert!((0..38).all(|length| attempt(&datagram[..length]).is_none()));
    }
}
