//! What the owner of a link decides.

use std::time::Duration;

use cella_mcp::{Limits, Object, Raw, own_client_capabilities, raw_json};

/// How a link behaves towards its server.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// What the server is called in logs.
    pub name: Box<str>,
    /// The `clientInfo` of Cella's own requests, and of callers that gave none.
    pub info: Raw,
    /// The capabilities declared in a handshake that serves many callers: a superset. What a particular caller lacks is
    /// refused when the server asks for it.
    pub capabilities: Raw,
    /// Which era to try.
    pub era: EraPreference,
    /// The directories the contract declares: the answer to `roots/list` when no caller is there to answer it.
    pub roots: Vec<Root>,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// What is accepted from the server.
    pub limits: LinkLimits,
}

/// Which era to speak to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EraPreference {
    /// The modern one if the server speaks it.
    #[default]
    Auto,
    /// Only the handshake and what follows from it.
    Legacy,
    /// Only the modern one; a server that does not speak it is refused.
    Modern,
}

/// A directory as servers are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// A `file://` URI.
    pub uri: String,
    /// For display.
    pub name: Option<String>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the answer to the question whether the server is modern, before the other era is tried as well. Servers in
    /// Python take up to 6 s to their first answer.
    pub probe: Duration,
    /// For the whole opening.
    pub handshake: Duration,
    /// For a call without a sign of life of the server. Progress starts it anew.
    pub idle: Duration,
    /// For a call altogether, whatever the server reports. Time that a question waits for its answer does not count.
    pub total: Duration,
    /// For an answer to a question of the server.
    pub ask: Duration,
    /// For the server to take leave of us.
    pub close: Duration,
}

/// What is accepted from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLimits {
    /// One message: bytes, nesting, parts.
    pub message: Limits,
    /// Pages of one list.
    pub list_pages: usize,
    /// Entries of one list.
    pub list_items: usize,
    /// Bytes of one list.
    pub list_bytes: usize,
}

impl LinkOptions {
    /// Options with Cella's own name and capabilities.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut info = Object::empty();
        info.set_str("name", "cella");
        info.set_str("version", env!("CARGO_PKG_VERSION"));
        Self {
            name: name.into(),
            info: info.to_raw(),
            capabilities: own_client_capabilities(),
            era: EraPreference::Auto,
            roots: Vec::new(),
            deadlines: Deadlines::default(),
            limits: LinkLimits::default(),
        }
    }

    /// The result of `roots/list` from the declared directories.
    pub(super) fn roots_result(&self) -> Raw {
        let roots: Vec<String> = self.roots.iter().map(|root| root.to_raw().get().to_owned()).collect();
        let result = raw_json(format!("{{\"roots\":[{}]}}", roots.join(",")));
        result.unwrap_or_else(|_| Object::empty().to_raw())
    }
}

impl Root {
    fn to_raw(&self) -> Raw {
        let mut root = Object::empty();
        root.set_str("uri", &self.uri);
        if let Some(name) = &self.name {
            root.set_str("name", name);
        }
        root.to_raw()
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            probe: Duration::from_secs(8),
            handshake: Duration::from_secs(60),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(900),
            ask: Duration::from_secs(900),
            close: Duration::from_secs(2),
        }
    }
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self { message: Limits::SERVER, list_pages: 1000, list_items: 50_000, list_bytes: 64 * 1024 * 1024 }
    }
}
