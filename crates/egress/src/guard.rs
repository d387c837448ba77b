//! Addresses that a name must not lead to.
//!
//! Whoever owns a granted name decides what it resolves to; without this table `api.example.com` could mean the database
//! next door or the cloud's credential service. An address or network written out in the contract lifts it for that
//! address. Documentation ranges (RFC 5737, RFC 3849) are not in the table: private mirrors live there, and nobody else does.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Why an address is special.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `0.0.0.0/8`, `::`: this machine, in practice.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// RFC 1918, `fc00::/7`, `fec0::/10`.
    Private,
    /// `100.64.0.0/10`: behind a provider's translation, and of overlay networks.
    Shared,
    /// A cloud's service that hands out credentials of the machine.
    Metadata,
    /// Multicast or broadcast.
    Multicast,
    /// Reserved, or an embedding that cannot be looked into.
    Reserved,
    /// An address that the broker makes up itself.
    Made,
    /// An address of the machine that the node runs on.
    Own,
}

/// Services that hand out credentials of the machine: AWS, Google and Azure; Alibaba; Azure's host; Oracle.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// AWS keeps its services in `fd00:ec2::/32`.
const METADATA_V6: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
];

/// IPv4 ranges by first address and prefix.
const V4: [(Ipv4Addr, u32, Kind); 13] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Kind::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Kind::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Kind::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Kind::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Kind::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Kind::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Kind::Reserved),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Kind::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Kind::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Kind::Made),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Kind::Multicast),
    (Ipv4Addr::new(255, 255, 255, 255), 32, Kind::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Kind::Reserved),
];

/// IPv6 ranges by first address and prefix, after the embedded IPv4 addresses have been looked at.
const V6: [(Ipv6Addr, u32, Kind); 11] = [
    (Ipv6Addr::UNSPECIFIED, 128, Kind::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Kind::Loopback),
    // NAT64 with a prefix of the operator's own (RFC 8215): where the IPv4 address stands is not known
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Kind::Reserved),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, Kind::Reserved),
    // Teredo
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, Kind::Reserved),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, Kind::Made),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Kind::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Kind::LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Kind::Private),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Kind::Multicast),
    // segment routing
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, Kind::Reserved),
];

/// What is special about an address; `None` for one that a name may lead to. Whether it is the machine's own is not a
/// matter of its bits and is found elsewhere.
pub(crate) fn kind(address: IpAddr) -> Option<Kind> {
    match address {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => kind_v6(v6),
    }
}

// === impl Kind ===

impl Kind {
    /// What is special about an address; `None` for one that a name may lead to. Whether it is the machine's own is not a
    /// matter of its bits.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        kind(address)
    }

    /// True when no grant lifts the refusal: nobody can mean such an address.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Unspecified | Self::Multicast | Self::Made)
    }

    /// True when only the address written out lifts the refusal: who grants a network does not think of this.
    #[must_use]
    pub fn needs_own_grant(self) -> bool {
        self == Self::Metadata
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Private => "a private address",
            Self::Shared => "an address of a shared range",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
            Self::Made => "an address that stands for a name inside cells",
            Self::Own => "an address of the machine that Cella runs on",
        })
    }
}

fn kind_v4(address: Ipv4Addr) -> Option<Kind> {
    if METADATA_V4.contains(&address) {
        return Some(Kind::Metadata);
    }
    let inside = |first: Ipv4Addr, prefix: u32| (first.to_bits() ^ address.to_bits()) >> (32 - prefix) == 0;
    V4.iter().find(|(first, prefix, _)| inside(*first, *prefix)).map(|(_, _, kind)| *kind)
}

fn kind_v6(address: Ipv6Addr) -> Option<Kind> {
    let inside = |first: Ipv6Addr, prefix: u32| (first.to_bits() ^ address.to_bits()) >> (128 - prefix) == 0;
    if METADATA_V6.iter().any(|(first, prefix)| inside(*first, *prefix)) {
        return Some(Kind::Metadata);
    }
    let own = V6.iter().find(|(first, prefix, _)| inside(*first, *prefix)).map(|(_, _, kind)| *kind);
    own.or_else(|| embedded(address).and_then(kind_v4))
}

/// The IPv4 address inside: mapped and compatible (RFC 4291, 2.5.5), NAT64 (RFC 6052, 2.1), 6to4 (RFC 3056, 2).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn what_a_name_must_not_lead_to() {
        for (address, expected) in [
            ("0.0.0.0", Kind::Unspecified),
            ("0.1.2.3", Kind::Unspecified),
            ("127.0.0.1", Kind::Loopback),
            ("127.255.0.9", Kind::Loopback),
            ("10.0.0.1", Kind::Private),
            ("172.16.0.1", Kind::Private),
            ("172.31.255.255", Kind::Private),
            ("192.168.1.1", Kind::Private),
            ("100.64.0.1", Kind::Shared),
            ("100.127.255.255", Kind::Shared),
            ("169.254.1.1", Kind::LinkLocal),
            ("169.254.169.254", Kind::Metadata),
            ("100.100.100.200", Kind::Metadata),
            ("168.63.129.16", Kind::Metadata),
            ("192.0.0.192", Kind::Metadata),
            ("192.0.0.8", Kind::Reserved),
            ("198.18.0.1", Kind::Made),
            ("198.19.255.255", Kind::Made),
            ("224.0.0.251", Kind::Multicast),
            ("255.255.255.255", Kind::Multicast),
            ("240.0.0.1", Kind::Reserved),
            ("::", Kind::Unspecified),
            ("::1", Kind::Loopback),
            ("fe80::1", Kind::LinkLocal),
            ("fd12::1", Kind::Private),
            ("fec0::1", Kind::Private),
            ("fd00:ec2::254", Kind::Metadata),
            ("fd20:ce::254", Kind::Metadata),
            ("ff02::1", Kind::Multicast),
            ("2001:2::5", Kind::Made),
            ("2001::1", Kind::Reserved),
            ("::ffff:127.0.0.1", Kind::Loopback),
            ("::ffff:169.254.169.254", Kind::Metadata),
            ("::10.0.0.1", Kind::Private),
            ("::ffff:0:10.0.0.1", Kind::Private),
            ("64:ff9b::a00:1", Kind::Private),
            ("64:ff9b::a9fe:a9fe", Kind::Metadata),
            ("64:ff9b:1::1", Kind::Reserved),
            ("2002:7f00:1::", Kind::Loopback),
            ("2002:a9fe:a9fe::1", Kind::Metadata),
        ] {
            assert_eq!(kind(address.parse().expect(address)), Some(expected), "{address}");
        }
    }

    #[test]
    fn what_a_name_may_lead_to() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "192.0.2.7",
            "198.51.100.7",
            "203.0.113.7",
            "2001:db8::7",
            "2606:4700::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert_eq!(kind(address.parse().expect(address)), None, "{address}");
        }
    }
}
