//! What the two sides say: frames of seven bytes and a body.

use std::net::{IpAddr, SocketAddr};

/// Bytes of a frame's body at most. Stops a guest from filling the node's memory with one; past it the relay ends.
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;
/// Kind, stream, length.
pub(super) const HEAD_BYTES: usize = 1 + 4 + 2;

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The program connected to this address, or the node to one of the program's; what follows under this number is that
    /// connection.
    Open(SocketAddr),
    /// The program takes the node's connection.
    Opened,
    /// Bytes of it, at least one.
    Data(Vec<u8>),
    /// No more bytes this way.
    End,
    /// It broke.
    Reset,
    /// What was charged for so much was passed on, and as much more may be sent.
    Credit(u32),
    /// Something was tried in vain, and is to be seen outside as well.
    Tried {
        /// A datagram instead of a connection.
        datagram: bool,
        /// To whom.
        to: SocketAddr,
    },
}

const OPEN: u8 = 1;
const DATA: u8 = 2;
const END: u8 = 3;
const RESET: u8 = 4;
const CREDIT: u8 = 5;
const TRIED: u8 = 6;
const TRIED_DATAGRAM: u8 = 7;
const OPENED: u8 = 8;

// === impl Said ===

impl Said {
    /// The frame.
    pub(super) fn encode(&self, stream: u32) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Open(to) => (OPEN, address(*to)),
            Self::Data(bytes) => (DATA, bytes.clone()),
            Self::Opened => (OPENED, Vec::new()),
            Self::End => (END, Vec::new()),
            Self::Reset => (RESET, Vec::new()),
            Self::Credit(bytes) => (CREDIT, bytes.to_le_bytes().to_vec()),
            Self::Tried { datagram: false, to } => (TRIED, address(*to)),
            Self::Tried { datagram: true, to } => (TRIED_DATAGRAM, address(*to)),
        };
        debug_assert!(body.len() <= BODY_BYTES_MAX);
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
        [&[kind][..], &stream.to_le_bytes(), &length.to_le_bytes(), &body].concat()
    }

    /// Stream and length of the body of a frame with this head; `None` for one that is too long.
    pub(super) fn head(head: &[u8; HEAD_BYTES]) -> Option<(u32, usize)> {
        let stream = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let length = usize::from(u16::from_le_bytes([head[5], head[6]]));
        (length <= BODY_BYTES_MAX).then_some((stream, length))
    }

    /// What a frame of this kind with this body says; `None` for what is none.
    pub(super) fn decode(kind: u8, body: Vec<u8>) -> Option<Self> {
        Some(match kind {
            OPEN => Self::Open(address_of(&body)?),
            DATA => Self::Data(body),
            OPENED => Self::Opened,
            END => Self::End,
            RESET => Self::Reset,
            CREDIT => Self::Credit(u32::from_le_bytes(body.try_into().ok()?)),
            TRIED | TRIED_DATAGRAM => {
                Self::Tried { datagram: kind == TRIED_DATAGRAM, to: address_of(&body)? }
            }
            _ => return None,
        })
    }
}

// === free functions ===

fn address(to: SocketAddr) -> Vec<u8> {
    let mut bytes = to.port().to_le_bytes().to_vec();
    match to.ip() {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
    bytes
}

fn address_of(bytes: &[u8]) -> Option<SocketAddr> {
    let (port, ip) = bytes.split_first_chunk::<2>()?;
    let v4 = <[u8; 4]>::try_from(ip).map(IpAddr::from);
    let ip = v4.or_else(|_| <[u8; 16]>::try_from(ip).map(IpAddr::from)).ok()?;
    Some(SocketAddr::new(ip, u16::from_le_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::{BODY_BYTES_MAX, HEAD_BYTES, Said};

    #[test]
    fn what_is_said_is_understood() {
        let to = |text: &str| text.parse().unwrap();
        for said in [
            Said::Open(to("198.18.0.7:443")),
            Said::Open(to("[2001:db8::1]:80")),
            Said::Data(vec![7; BODY_BYTES_MAX]),
            Said::Opened,
            Said::End,
            Said::Reset,
            Said::Credit(70_000),
            Said::Tried { datagram: true, to: to("203.0.113.9:4433") },
            Said::Tried { datagram: false, to: to("[2001:db8::1]:22") },
        ] {
            let frame = said.encode(9);
            let (head, body) = frame.split_first_chunk::<HEAD_BYTES>().unwrap();
            assert_eq!(Said::head(head), Some((9, body.len())));
            assert_eq!(Said::decode(head[0], body.to_vec()), Some(said));
        }
    }

    #[test]
    fn nonsense_says_nothing() {
        assert_eq!(Said::decode(0, Vec::new()), None);
        assert_eq!(Said::decode(1, vec![0; 5]), None);
        assert_eq!(Said::decode(5, vec![0; 3]), None);
        assert_eq!(Said::head(&[2, 0, 0, 0, 0, 0xff, 0xff]), None);
    }
}
