//! Who may a browser speak for? `Host` and `Origin` against DNS rebinding (2026-07-28 streamable-http, section 2).
//!
//! A page that resolves its own name to 127.0.0.1 still sends its own name in both headers, so comparing them with the
//! names this node is known by is enough. Loopback names are always known; others are configured.

use http::{HeaderMap, Uri, header, uri::Authority};

/// The names a node is known by.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    hosts: Vec<Box<str>>,
    origins: Vec<Box<str>>,
}

/// Which header is foreign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    Host,
    Origin,
}

impl Names {
    /// `hosts` are `name` or `name:port`; `origins` are compared as a whole.
    pub(super) fn new(hosts: &[String], origins: &[String]) -> Self {
        let lower = |list: &[String]| list.iter().map(|s| s.trim().to_ascii_lowercase().into()).collect();
        Self { hosts: lower(hosts), origins: lower(origins) }
    }

    /// Refuses a request that was addressed to, or sent by, a name that is not ours.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Foreign> {
        let mut hosts = headers.get_all(header::HOST).iter().map(|h| h.to_str().unwrap_or_default());
        let (named, second) = (hosts.next(), hosts.next());
        // RFC 9112 section 3.2.2: a target in absolute form comes with the same name in Host
        let host = match (uri.authority().map(Authority::as_str), named) {
            (Some(authority), Some(named)) => authority.eq_ignore_ascii_case(named).then_some(named),
            (authority, named) => authority.or(named),
        };
        let host_known = second.is_none() && host.is_some_and(|h| self.knows(h));
        if !host_known {
            return Err(Foreign::Host);
        }
        for origin in headers.get_all(header::ORIGIN) {
            if !origin.to_str().is_ok_and(|o| self.admits(o)) {
                return Err(Foreign::Origin);
            }
        }
        Ok(())
    }

    fn knows(&self, host: &str) -> bool {
        is_loopback(host) || {
            let host = host.to_ascii_lowercase();
            let name = without_port(&host);
            self.hosts.iter().any(|h| **h == *host || **h == *name)
        }
    }

    fn admits(&self, origin: &str) -> bool {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(is_loopback) || self.origins.iter().any(|o| o.eq_ignore_ascii_case(origin))
    }
}

/// `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(names: &Names, host: &str, origin: Option<&str>) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        names.check(&Uri::from_static("/mcp"), &headers)
    }

    #[test]
    fn loopback_names_are_known_with_any_port() {
        let names = Names::default();
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]", "[::1]:99"] {
            assert_eq!(verdict(&names, host, None), Ok(()), "{host}");
            assert_eq!(verdict(&names, host, Some(&format!("http://{host}"))), Ok(()), "{host}");
        }
    }

    #[test]
    fn foreign_names_are_refused() {
        let names = Names::default();
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "127.0.0.1:x"]
        {
            assert_eq!(verdict(&names, host, None), Err(Foreign::Host), "{host}");
        }
        for origin in ["http://evil.example", "null", "http://localhost.evil.example", "localhost", ""] {
            assert_eq!(verdict(&names, "localhost", Some(origin)), Err(Foreign::Origin), "{origin}");
        }
    }

    #[test]
    fn configured_names_are_known() {
        let names = Names::new(&["Cella.example".into()], &["https://app.example".into()]);
        assert_eq!(verdict(&names, "cella.example:8443", Some("https://app.example")), Ok(()));
        assert_eq!(verdict(&names, "cella.example", Some("https://app.example:1")), Err(Foreign::Origin));
    }

    #[test]
    fn a_target_in_absolute_form_names_the_same_host() {
        let verdict = |target: &'static str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            Names::default().check(&Uri::from_static(target), &headers)
        };
        assert_eq!(verdict("http://localhost:80/mcp", "LOCALHOST:80"), Ok(()));
        for (target, host) in [
            ("http://localhost/mcp", "evil.example"),
            ("http://evil.example/mcp", "localhost"),
            ("http://evil.example/mcp", "evil.example"),
            ("http://localhost/mcp", ""),
            ("http://evil@localhost/mcp", "localhost"),
        ] {
            assert_eq!(verdict(target, host), Err(Foreign::Host), "{target} {host}");
        }
    }

    #[test]
    fn two_host_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "localhost".parse().unwrap());
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert_eq!(Names::default().check(&Uri::from_static("/mcp"), &headers), Err(Foreign::Host));
    }
}
