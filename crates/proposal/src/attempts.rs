//! What was tried, gathered from the broker's records, and what of it can be proposed. Pure.

use std::{collections::BTreeMap, net::IpAddr};

use cella_contract::DomainName;
use cella_egress::{Denial, Kind, Record, Verdict};

/// Endings of names that mean something in one network only, and of those that clouds give to what hands out credentials.
const LOCAL_ENDINGS: [&str; 7] = ["local", "internal", "localhost", "lan", "home.arpa", "test", "invalid"];

/// Whom a server tried to reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// A name.
    Name(String),
    /// An address, written out.
    Address(IpAddr),
}

/// One host and port that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whom.
    pub host: Wanted,
    /// At which port; `None` when only its address was asked for.
    pub port: Option<u16>,
    /// By datagrams, which no cell may send.
    pub datagram: bool,
    /// How often.
    pub times: u64,
}

// === impl Attempt ===

impl Attempt {
    /// The grant by which a contract would allow it, or why none is proposed. Never a wildcard, and never an address that
    /// only means something here.
    ///
    /// # Errors
    /// Why not.
    pub fn grant(&self) -> Result<String, String> {
        if self.datagram {
            return Err("a datagram; cells send none".to_owned());
        }
        let port = self.port.unwrap_or(443);
        match &self.host {
            Wanted::Name(name) => match local(name) {
                Some(why) => Err(why.to_owned()),
                None => Ok(format!("{name}:{port}")),
            },
            Wanted::Address(address) => match Kind::of(*address) {
                Some(kind) => Err(format!("{kind}; grant it by hand if it is meant")),
                None => Ok(std::net::SocketAddr::new(*address, port).to_string()),
            },
        }
    }

    /// The same as a sentence's end.
    #[must_use]
    pub fn reason(&self) -> String {
        let times = if self.times == 1 { String::new() } else { format!(", {} times", self.times) };
        match self.port {
            Some(_) => format!("asked for during the start{times}"),
            None => format!("its address was asked for during the start{times}; port 443 is assumed"),
        }
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Wanted::Name(name) => f.write_str(name)?,
            Wanted::Address(IpAddr::V6(address)) if self.port.is_some() => write!(f, "[{address}]")?,
            Wanted::Address(address) => write!(f, "{address}")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Why a name is not proposed.
fn local(name: &str) -> Option<&'static str> {
    let ends = |ending: &str| name.strip_suffix(ending).is_some_and(|n| n.is_empty() || n.ends_with('.'));
    if !name.contains('.') || LOCAL_ENDINGS.iter().any(|ending| ends(ending)) {
        return Some("a name of a local network; grant it by hand if it is meant");
    }
    None
}

/// Attempts of a cell that was only watched, the most frequent first. A question for a name counts only where no connection
/// to it followed.
pub fn gathered(records: &[Record]) -> Vec<Attempt> {
    let mut counted: BTreeMap<(Wanted, Option<u16>, bool), u64> = BTreeMap::new();
    for record in records {
        if let Some(key) = key(record) {
            *counted.entry(key).or_default() += record.repeats;
        }
    }
    let followed: Vec<Wanted> =
        counted.keys().filter(|(_, port, _)| port.is_some()).map(|(host, ..)| host.clone()).collect();
    let mut attempts: Vec<Attempt> = counted
        .into_iter()
        .filter(|((host, port, _), _)| port.is_some() || !followed.contains(host))
        .map(|((host, port, datagram), times)| Attempt { host, port, datagram, times })
        .collect();
    attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.times));
    attempts
}

fn key(record: &Record) -> Option<(Wanted, Option<u16>, bool)> {
    let Verdict::Denied(denial) = &record.verdict else { return None };
    let destination = record.subject.destination;
    let name = record.subject.name.as_ref().map(DomainName::as_str);
    let port = destination.map(|to| to.port());
    let host = match (name, destination) {
        (Some(name), _) => Wanted::Name(name.to_owned()),
        // Itself: nobody else hears it.
        (None, Some(to)) if to.ip().is_loopback() => return None,
        (None, Some(to)) => Wanted::Address(to.ip()),
        (None, None) => return None,
    };
    Some((host, port, *denial == Denial::Datagram))
}

#[cfg(test)]
mod tests {
    use cella_contract::DomainName;
    use cella_egress::{Denial, Record, Subject, Verdict};

    use super::gathered;

    fn record(name: Option<&str>, to: Option<&str>, denial: Denial, repeats: u64) -> Record {
        let subject = Subject {
            name: name.map(|name| DomainName::parse(name).expect(name)),
            destination: to.map(|to| to.parse().expect(to)),
            resolved: None,
        };
        Record { subject, verdict: Verdict::Denied(denial), repeats }
    }

    #[test]
    fn a_host_is_proposed_at_the_port_that_was_tried_and_what_is_local_never() {
        let name = |text: &str| Denial::Name { name: DomainName::parse(text).expect(text) };
        let records = [
            record(Some("api.example.com"), None, name("api.example.com"), 2),
            record(Some("api.example.com"), Some("198.18.0.2:8443"), name("api.example.com"), 3),
            record(Some("only.example.com"), None, name("only.example.com"), 1),
            record(Some("metadata.google.internal"), Some("198.18.0.3:80"), Denial::PortClosed, 1),
            record(Some("db"), Some("198.18.0.4:5432"), Denial::PortClosed, 1),
            record(None, Some("169.254.169.254:80"), Denial::PortClosed, 1),
            record(None, Some("10.0.0.7:443"), Denial::PortClosed, 1),
            record(None, Some("127.0.0.1:443"), Denial::PortClosed, 1),
            record(None, Some("8.8.8.8:443"), Denial::Datagram, 1),
            record(None, Some("[2606:4700::1]:443"), Denial::PortClosed, 1),
        ];
        let attempts = gathered(&records);
        let grants: Vec<String> = attempts.iter().filter_map(|attempt| attempt.grant().ok()).collect();
        assert_eq!(grants[0], "api.example.com:8443");
        let mut rest = grants[1..].to_vec();
        rest.sort();
        assert_eq!(rest, ["[2606:4700::1]:443", "only.example.com:443"]);
        assert_eq!(attempts.iter().filter(|attempt| attempt.grant().is_err()).count(), 5, "{attempts:?}");
    }
}
