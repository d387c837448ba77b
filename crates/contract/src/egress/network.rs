//! A network: an address and how many of its bits count.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::EgressFault;

/// Shortest prefix of an IPv4 network, in bits: a private network of class A. Wider is no limit.
const PREFIX_V4_MIN: u8 = 8;
/// Shortest prefix of an IPv6 network, in bits: what a registry gives to a provider.
const PREFIX_V6_MIN: u8 = 32;

/// A network. The bits after the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

// === impl Network ===

impl Network {
    /// True when the address is inside.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.prefix) == self.address
    }

    /// True for a network of IPv6 addresses.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.address.is_ipv6()
    }
}

impl FromStr for Network {
    type Err = EgressFault;

    fn from_str(text: &str) -> Result<Self, EgressFault> {
        let bad = || EgressFault::Address { address: text.to_owned() };
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let (shortest, longest) = if address.is_ipv6() { (PREFIX_V6_MIN, 128) } else { (PREFIX_V4_MIN, 32) };
        let digits = prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|p| digits && *p <= longest).ok_or_else(bad)?;
        if let IpAddr::V6(v6) = address
            && let Some(inner) = v6.to_ipv4_mapped()
        {
            return Err(EgressFault::Mapped { inner });
        }
        if prefix < shortest {
            return Err(EgressFault::Wide { shortest });
        }
        let network = Self { address: masked(address, prefix), prefix };
        if network.address == address { Ok(network) } else { Err(EgressFault::HostBits { network }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}
