//! Which hosts a cell may reach: `host:port`, matched label by label.

use core::net::IpAddr;
use std::fmt;

use serde_json::{Value, json};

use crate::{
    Code, Place,
    read::{Fault, Word},
};

/// Longest host name, in characters (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;
/// Longest label of a host name, in characters.
const LABEL_MAX: usize = 63;

/// One destination that a cell may reach over TCP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Egress {
    /// Which hosts.
    pub host: EgressHost,
    /// TCP port, never 0.
    pub port: u16,
}

/// The host of an [`Egress`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EgressHost {
    /// This name, in lower case.
    Name(Box<str>),
    /// Every name below this one, not the name itself: `*.example.com` is `Below("example.com")`.
    Below(Box<str>),
    /// This literal address. Private addresses are reachable only when they are named like this.
    Address(IpAddr),
    /// Every public name, written `*`.
    Any,
}

impl Egress {
    /// Whether a connection to a name is covered. The name is compared without regard to case; a name that is not a
    /// host name, or a literal address, is never covered (see [`Egress::covers_address`]).
    #[must_use]
    pub fn covers_name(&self, name: &str, port: u16) -> bool {
        let Some(name) = host_name(name) else { return false };
        self.port == port
            && match &self.host {
                EgressHost::Name(own) => **own == *name,
                EgressHost::Below(parent) => {
                    name.strip_suffix(&**parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                }
                EgressHost::Address(_) => false,
                EgressHost::Any => true,
            }
    }

    /// Whether a connection to a literal address is covered: only when it is named itself.
    #[must_use]
    pub fn covers_address(&self, address: IpAddr, port: u16) -> bool {
        self.port == port && self.host == EgressHost::Address(address.to_canonical())
    }
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            EgressHost::Name(name) => write!(f, "{name}:{}", self.port),
            EgressHost::Below(name) => write!(f, "*.{name}:{}", self.port),
            EgressHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            EgressHost::Address(address) => write!(f, "{address}:{}", self.port),
            EgressHost::Any => write!(f, "*:{}", self.port),
        }
    }
}

impl Word for Egress {
    const EXPECTED: &'static str = "a destination such as \"api.github.com:443\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let fault = || Fault::new(Code::BAD_EGRESS, format!("{text:?} is not a destination"));
        if text.contains("://") {
            return Err(fault().cause("it is a URL").fix("host and port only: \"api.github.com:443\""));
        }
        let no_port = || fault().cause("it has no port").fix(format!("\"{text}:443\""));
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(fault().fix("an IPv6 address stands in brackets: \"[2001:db8::1]:443\""));
        }
        let port = match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => number,
            _ => return Err(fault().cause("the port is not a number from 1 to 65535")),
        };
        let host = egress_host(host).ok_or_else(|| {
            fault().cause(
                "the host must be a name in ASCII, `*.` and a name, `*`, or a literal address; \
                 `*` stands for whole labels in front only",
            )
        })?;
        Ok(Self { host, port })
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^(\\*|(\\*\\.)?[A-Za-z0-9._-]+|\\[[0-9a-fA-F:.]+\\]):[0-9]{1,5}$",
            "examples": ["api.github.com:443", "*.example.com:443", "10.0.0.5:5432"]})
    }
}

fn egress_host(text: &str) -> Option<EgressHost> {
    if let Some(v6) = text.strip_prefix('[') {
        let address: IpAddr = v6.strip_suffix(']')?.parse().ok()?;
        return Some(EgressHost::Address(address.to_canonical()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(EgressHost::Address(address));
    }
    match text.strip_prefix("*.") {
        // `*.com` would be most of the world: a suffix has at least two labels.
        Some(parent) => host_name(parent).filter(|p| p.contains('.')).map(|p| EgressHost::Below(p.into())),
        None if text == "*" => Some(EgressHost::Any),
        None => host_name(text).map(|name| EgressHost::Name(name.into())),
    }
}

/// Letters, digits and hyphens in labels, lower case, without the dot at the end; not something that a resolver could
/// take for an address (a last label of digits, or hexadecimal).
pub(crate) fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_MAX
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    (name.len() <= HOST_MAX && name.split('.').all(label) && !numeric).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn egress(text: &str) -> Option<Egress> {
        Egress::parse(text, &Place::of_file(Path::new("/c"), None)).ok()
    }

    fn covers(entry: &str, name: &str, port: u16) -> bool {
        egress(entry).is_some_and(|e| e.covers_name(name, port))
    }

    #[test]
    fn a_name_covers_itself_and_a_suffix_only_what_is_below_it() {
        assert!(covers("API.github.com:443", "api.GitHub.com.", 443));
        assert!(!covers("api.github.com:443", "api.github.com", 80));
        assert!(!covers("api.github.com:443", "evil-api.github.com", 443));
        assert!(covers("*.example.com:443", "a.b.example.com", 443));
        assert!(!covers("*.example.com:443", "example.com", 443));
        assert!(!covers("*.example.com:443", "evilexample.com", 443));
        assert!(!covers("*.example.com:443", "evil.com\0.example.com", 443));
        assert!(!covers("*.example.com:443", ".example.com", 443));
    }

    #[test]
    fn a_literal_address_is_covered_only_when_named() {
        let loopback: IpAddr = IpAddr::from([127, 0, 0, 1]);
        assert!(egress("127.0.0.1:80").is_some_and(|e| e.covers_address(loopback, 80)));
        assert!(!egress("*:80").is_some_and(|e| e.covers_address(loopback, 80)));
        for spelled in ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "[::1]"] {
            assert!(!covers("*:80", spelled, 80), "{spelled}");
        }
        assert_eq!(egress("[::ffff:10.0.0.5]:1"), egress("10.0.0.5:1"));
    }

    #[test]
    fn what_is_not_a_destination_is_refused() {
        for text in [
            "",
            "host",
            ":443",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "https://h:443",
            "h/x:443",
            "*.com:443",
            "a.*.com:443",
            "**:1",
            "*x.example.com:1",
            "::1:443",
            "bücher.de:443",
            "a..b:1",
            "-a.b:1",
            "a b:1",
            "1.2.3:1",
        ] {
            assert_eq!(egress(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for text in ["api.github.com:443", "*.example.com:8443", "10.0.0.5:5432", "[2001:db8::1]:443", "*:80"]
        {
            assert_eq!(egress(text).map(|e| e.to_string()).as_deref(), Some(text));
        }
    }
}
