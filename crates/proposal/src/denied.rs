//! What a server's cell was refused, from the ledger's events. Pure: events as JSON in, a summary out.

use std::collections::BTreeMap;

use serde_json::Value;

/// One host and port, and how often it was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The name, or the address where there was none.
    pub host: Option<String>,
    /// The port, where a connection was tried: for a name that nothing grants no address is given, so none is.
    pub port: Option<u16>,
    /// The code of the refusal.
    pub code: String,
    /// Why, in words.
    pub why: String,
    /// How often.
    pub times: u64,
    /// When first, in RFC 3339.
    pub first: String,
    /// When last.
    pub last: String,
}

// === impl Refused ===

impl Refused {
    /// The grant that would allow it, where one would: a name or address that nothing grants, or another port of one. What is
    /// special about an address and what a client says wrongly are no matter of a missing grant.
    #[must_use]
    pub fn grant(&self) -> Option<String> {
        if !cella_egress::lacks_grant(&self.code) {
            return None;
        }
        let host = self.host.as_deref()?;
        let port = self.port.unwrap_or(443);
        if let Ok(address) = host.parse::<std::net::IpAddr>() {
            let plain = cella_egress::Kind::of(address).is_none();
            return plain.then(|| std::net::SocketAddr::new(address, port).to_string());
        }
        Some(format!("{host}:{port}"))
    }
}

/// The refusals among these events, the most frequent first.
#[must_use]
pub fn denied(events: &[Value]) -> Vec<Refused> {
    let mut found: BTreeMap<(Option<String>, Option<u16>, String), Refused> = BTreeMap::new();
    for event in events.iter().filter(|event| event["kind"] == "cell.denied") {
        let (body, text) = (&event["body"], |value: &Value| value.as_str().map(str::to_owned));
        let to = body["to"].as_str().and_then(|to| to.parse::<std::net::SocketAddr>().ok());
        let host = text(&body["host"]).or_else(|| to.map(|to| to.ip().to_string()));
        let (port, code) = (to.map(|to| to.port()), text(&body["code"]).unwrap_or_default());
        let (why, at) = (text(&body["why"]).unwrap_or_default(), text(&event["at"]).unwrap_or_default());
        let fresh = Refused {
            host: host.clone(),
            port,
            code: code.clone(),
            why,
            first: at.clone(),
            ..Refused::default()
        };
        let refused = found.entry((host, port, code)).or_insert(fresh);
        refused.times += body["times"].as_u64().unwrap_or(1);
        if at < refused.first {
            refused.first.clone_from(&at);
        }
        if at > refused.last {
            refused.last = at;
        }
    }
    let mut found: Vec<Refused> = found.into_values().collect();
    found.sort_by_key(|refused| std::cmp::Reverse(refused.times));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::denied;

    #[test]
    fn refusals_are_counted_by_host_and_port_with_the_grant_that_was_missing() {
        let event =
            |at: &str, body: serde_json::Value| json!({ "kind": "cell.denied", "at": at, "body": body });
        let events = [
            event(
                "2026-01-02T00:00:00Z",
                json!({ "host": "x.example", "code": "CE2301", "why": "w", "times": 2 }),
            ),
            event(
                "2026-01-01T00:00:00Z",
                json!({ "host": "x.example", "code": "CE2301", "why": "w", "times": 9 }),
            ),
            event(
                "2026-01-01T00:00:00Z",
                json!({ "host": "y.example", "to": "198.18.0.2:80", "code": "CE2302", "times": 3 }),
            ),
            event("2026-01-01T00:00:00Z", json!({ "to": "10.0.0.1:80", "code": "CE2303", "times": 1 })),
            json!({ "kind": "cell.started", "body": {} }),
        ];
        let found = denied(&events);
        assert_eq!((found[0].times, found[0].first.as_str()), (11, "2026-01-01T00:00:00Z"));
        let grants: Vec<_> = found.iter().map(super::Refused::grant).collect();
        assert_eq!(grants, [Some("x.example:443".into()), Some("y.example:80".into()), None]);
    }
}
