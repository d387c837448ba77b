//! Where a cell may connect to: `api.example.com:443`, `*.example.com:443`, `10.0.0.5:5432`, `10.0.0.0/24:5432`.
//!
//! A grant is read once, here, strictly; whoever enforces it compares typed values. The same [`DomainName`] reads the
//! names that a cell asks for, so nothing can be one name to the check and another to the resolver.

mod name;
mod network;

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
    str::FromStr,
};

pub use self::{
    name::{DomainName, NameFault},
    network::Network,
};

/// The port that Cella answers itself in every cell, so that no query ever leaves it.
const DNS_PORT: u16 = 53;

/// One entry of `egress`: somebody, and one TCP port there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EgressGrant {
    /// Who may be reached.
    pub host: EgressHost,
    /// At which port.
    pub port: NonZeroU16,
}

/// Who may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EgressHost {
    /// This name.
    Name(DomainName),
    /// Every name that has one or more labels before this one; not the name itself.
    Below(DomainName),
    /// This address, wherever it is.
    Address(IpAddr),
    /// Every address of this network.
    Network(Network),
}

/// Why an entry of `egress` is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EgressFault {
    /// It has a scheme or a path.
    Url,
    /// It has no port.
    NoPort,
    /// `*` as a port, or a range.
    AnyPort,
    /// The port is not a number from 1 to 65535.
    Port {
        /// As written.
        port: String,
    },
    /// Port 53, which Cella answers itself.
    DnsPort,
    /// An IPv6 address without brackets.
    Brackets,
    /// The address or network cannot be read.
    Address {
        /// As written.
        address: String,
    },
    /// An address that is nobody's: unspecified, multicast or broadcast.
    Nobody {
        /// The address.
        address: IpAddr,
    },
    /// An IPv4 address inside an IPv6 one.
    Mapped {
        /// The IPv4 address.
        inner: Ipv4Addr,
    },
    /// A network whose address has bits after its prefix.
    HostBits {
        /// The network that was probably meant.
        network: Network,
    },
    /// A network so wide that it grants everything.
    Wide {
        /// The shortest prefix allowed.
        shortest: u8,
    },
    /// `localhost`, which every cell has of its own.
    Localhost,
    /// The name is not one.
    Name(NameFault),
}

// === impl EgressGrant ===

impl FromStr for EgressGrant {
    type Err = EgressFault;

    fn from_str(text: &str) -> Result<Self, EgressFault> {
        if text.contains("://") {
            return Err(EgressFault::Url);
        }
        let (host, port) = split(text)?;
        Ok(Self { port: port_of(port)?, host: host_of(host)? })
    }
}

impl fmt::Display for EgressGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            EgressHost::Name(name) => write!(f, "{name}:{}", self.port),
            EgressHost::Below(name) => write!(f, "*.{name}:{}", self.port),
            EgressHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            EgressHost::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            EgressHost::Network(network) if network.is_v6() => write!(f, "[{network}]:{}", self.port),
            EgressHost::Network(network) => write!(f, "{network}:{}", self.port),
        }
    }
}

// === impl EgressHost ===

impl EgressHost {
    /// Whether a name is meant.
    #[must_use]
    pub fn covers_name(&self, name: &DomainName) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Below(apex) => name.is_below(apex),
            Self::Address(_) | Self::Network(_) => false,
        }
    }

    /// Whether an address is meant, written out or as part of a network.
    #[must_use]
    pub fn covers_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Address(own) => *own == address,
            Self::Network(network) => network.contains(address),
            Self::Name(_) | Self::Below(_) => false,
        }
    }
}

// === impl EgressFault ===

impl EgressFault {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        crate::codes::EGRESS
    }

    /// What to write instead.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Url => "leave out the scheme and the path: \"api.example.com:443\"".into(),
            Self::NoPort => {
                "write \"api.example.com:443\", \"*.example.com:443\" or \"10.0.0.5:5432\"".into()
            }
            Self::AnyPort => "one entry per port: \"api.example.com:443\", \"api.example.com:8443\"".into(),
            Self::Port { .. } => "a number from 1 to 65535".into(),
            Self::DnsPort => "leave it out: names of granted hosts are answered in every cell".into(),
            Self::Brackets => "put the address in brackets: \"[2001:db8::1]:443\"".into(),
            Self::Address { .. } => {
                "four numbers from 0 to 255, an IPv6 address in brackets, or a network as 10.0.0.0/24".into()
            }
            Self::Nobody { .. } => "the address of one machine".into(),
            Self::Mapped { inner } => format!("write the IPv4 address: {inner}"),
            Self::HostBits { network } => format!("write {network}, or the one address without a prefix"),
            Self::Wide { shortest } => format!("networks of /{shortest} or longer, or names"),
            Self::Localhost => {
                "write \"127.0.0.1:PORT\" to reach a service of the machine that Cella runs on".into()
            }
            Self::Name(fault) => fault.fix().into(),
        }
    }
}

impl fmt::Display for EgressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("a URL, not a host and port"),
            Self::NoPort => f.write_str("without a port"),
            Self::AnyPort => f.write_str("a grant is for one port"),
            Self::Port { port } => write!(f, "`{port}` is not a port"),
            Self::DnsPort => f.write_str("port 53 is answered by Cella itself"),
            Self::Brackets => f.write_str("an IPv6 address without brackets"),
            Self::Address { address } => write!(f, "`{address}` is not an address or network"),
            Self::Nobody { address } => write!(f, "{address} is nobody's address"),
            Self::Mapped { .. } => f.write_str("an IPv4 address written as IPv6"),
            Self::HostBits { .. } => f.write_str("the network's address has bits after its prefix"),
            Self::Wide { .. } => f.write_str("a network so wide is no limit"),
            Self::Localhost => f.write_str("inside a cell, localhost is the cell itself"),
            Self::Name(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for EgressFault {}

// === reading ===

fn split(text: &str) -> Result<(&str, &str), EgressFault> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or(EgressFault::Brackets)?;
        let host = &text[..inside.len() + 2];
        return after.strip_prefix(':').map(|port| (host, port)).ok_or(EgressFault::NoPort);
    }
    let (host, port) = text.rsplit_once(':').ok_or(EgressFault::NoPort)?;
    if text.parse::<Ipv6Addr>().is_ok() || host.contains(':') {
        return Err(EgressFault::Brackets);
    }
    Ok((host, port))
}

fn port_of(port: &str) -> Result<NonZeroU16, EgressFault> {
    if port == "*" || port.contains('-') || port.contains(',') {
        return Err(EgressFault::AnyPort);
    }
    if port.contains('/') {
        return Err(EgressFault::Url);
    }
    // `parse` would take a leading plus sign.
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse::<NonZeroU16>() {
        Ok(number) if digits && number.get() == DNS_PORT => Err(EgressFault::DnsPort),
        Ok(number) if digits => Ok(number),
        _ => Err(EgressFault::Port { port: port.to_owned() }),
    }
}

fn host_of(host: &str) -> Result<EgressHost, EgressFault> {
    let bad = || EgressFault::Address { address: host.to_owned() };
    if let Some(inside) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        if inside.contains('/') {
            return inside.parse().map(EgressHost::Network);
        }
        return address(IpAddr::V6(inside.parse().map_err(|_| bad())?));
    }
    if host.contains('/') {
        return host.parse().map(EgressHost::Network);
    }
    if let Ok(v4) = host.parse::<Ipv4Addr>() {
        return address(IpAddr::V4(v4));
    }
    let (apex, wild) = host.strip_prefix("*.").map_or((host, false), |apex| (apex, true));
    let name = DomainName::parse(apex).map_err(EgressFault::Name)?;
    if name.is_localhost() {
        return Err(EgressFault::Localhost);
    }
    Ok(if wild { EgressHost::Below(name) } else { EgressHost::Name(name) })
}

fn address(address: IpAddr) -> Result<EgressHost, EgressFault> {
    if let IpAddr::V6(v6) = address
        && let Some(inner) = v6.to_ipv4_mapped()
    {
        return Err(EgressFault::Mapped { inner });
    }
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return Err(EgressFault::Nobody { address });
    }
    Ok(EgressHost::Address(address))
}

#[cfg(test)]
mod tests;
