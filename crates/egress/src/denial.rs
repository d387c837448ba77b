//! Why a cell did not get what it asked for.

use std::net::IpAddr;

use cella_contract::DomainName;
use cella_secret::Violation;

use crate::guard::Kind;

/// A refusal. Each has a code (`docs/errors/`), a cause (its text) and a fix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// No grant covers the name.
    #[error("{name} is not granted")]
    Name {
        /// What was asked for.
        name: DomainName,
    },
    /// What was asked for is no host's name.
    #[error("a query for something that is no host's name")]
    NotAName,
    /// The name is granted, at other ports.
    #[error("{name} is granted, but not port {port}")]
    Port {
        /// The name.
        name: DomainName,
        /// The port.
        port: u16,
    },
    /// An address written out that no grant names.
    #[error("{address} is not granted at port {port}")]
    Address {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// An address of the pool that stands for no name.
    #[error("{address} stands for no name in this cell")]
    NobodysAddress {
        /// The address.
        address: IpAddr,
    },
    /// The name led to an address that it must not lead to.
    #[error("the name leads to {address}, {kind}")]
    Guarded {
        /// The address.
        address: IpAddr,
        /// What is special about it.
        kind: Kind,
    },
    /// The name could not be resolved where the node stands.
    #[error("{name} cannot be resolved: {cause}")]
    NotResolved {
        /// The name.
        name: DomainName,
        /// From the resolver.
        cause: String,
    },
    /// A TLS hello without a server name, towards a name.
    #[error("the TLS hello names no server, {expected} was asked for")]
    NoServerName {
        /// The name that was resolved.
        expected: DomainName,
    },
    /// A TLS hello for somebody else.
    #[error("the TLS hello is for {got}, {expected} was asked for")]
    ServerName {
        /// The name that was resolved.
        expected: DomainName,
        /// The name in the hello.
        got: String,
    },
    /// An HTTP request without exactly one host, towards a name.
    #[error("the request names no host or several, {expected} was asked for")]
    NoHost {
        /// The name that was resolved.
        expected: DomainName,
    },
    /// An HTTP request for somebody else.
    #[error("the request is for {got}, {expected} was asked for")]
    Host {
        /// The name that was resolved.
        expected: DomainName,
        /// The host in the request.
        got: String,
    },
    /// It begins as TLS or HTTP and goes on as something else.
    #[error("what the client sent first can not be read")]
    Opening,
    /// HTTP/2 without TLS, whose hosts cannot be seen.
    #[error("HTTP/2 without TLS towards a name")]
    ClearHttp2,
    /// The opening did not become complete.
    #[error("what the client sent first did not become complete in time or in size")]
    OpeningLimit,
    /// Too many connections at the same time.
    #[error("more than {most} connections at the same time")]
    Connections {
        /// The limit.
        most: usize,
    },
    /// Too many connections in a second.
    #[error("more than {most} new connections in a second")]
    ConnectionRate {
        /// The limit.
        most: u32,
    },
    /// Too many names.
    #[error("more than {most} names")]
    Names {
        /// The limit.
        most: usize,
    },
    /// Too many queries in a second.
    #[error("more than {most} queries in a second")]
    QueryRate {
        /// The limit.
        most: u32,
    },
    /// The cell sent as much as it may.
    #[error("more than {most} bytes sent")]
    Bytes {
        /// The limit.
        most: u64,
    },
    /// A datagram other than a DNS query.
    #[error("a datagram")]
    Datagram,
    /// A connection to a port that no grant has.
    #[error("a port that no grant has")]
    PortClosed,
    /// The node does not take records any more.
    #[error("the connection cannot be put on record")]
    NoRecord,
    /// A placeholder where its secret has no business.
    #[error("{0}")]
    Secret(Violation),
    /// A request that no program has to make of a host with a secret.
    #[error("{what} towards a host with a secret")]
    Form {
        /// What was asked.
        what: &'static str,
    },
    /// Towards a host with a secret only HTTP is understood.
    #[error("towards {name}, to which a secret is bound, only HTTP is spoken; the client proposes {got}")]
    Protocol {
        /// The host.
        name: DomainName,
        /// What was proposed.
        got: String,
    },
    /// The program does not trust the cell's authority.
    #[error("the program in the cell does not take Cella's certificate for {name}: {cause}")]
    Distrusted {
        /// The host.
        name: DomainName,
        /// What it said.
        cause: String,
    },
    /// The server did not prove to be the host.
    #[error("no TLS with {name}, to which a secret is bound: {cause}")]
    ServerTls {
        /// The host.
        name: DomainName,
        /// What was wrong.
        cause: String,
    },
    /// The value of a secret cannot be had.
    #[error("the value of the secret `{secret}` cannot be had: {cause}")]
    NoValue {
        /// The secret.
        secret: String,
        /// The code of the cause.
        code: &'static str,
        /// Why.
        cause: String,
    },
    /// A body that would have to be read whole is too long.
    #[error("a body of more than {most} bytes in which a secret may stand")]
    Body {
        /// The limit.
        most: usize,
    },
    /// An answer that cannot be looked into.
    #[error("the answer of {name} cannot be passed on: {cause}")]
    Answer {
        /// The host.
        name: DomainName,
        /// The code of the cause.
        code: &'static str,
        /// Why.
        cause: String,
    },
}

const NAME: &str = "CE2301";
const PORT: &str = "CE2302";
const ADDRESS: &str = "CE2303";
const PORT_CLOSED: &str = "CE2320";

/// True for the code of a refusal that one more grant would have prevented. What is special about an address, or wrong in what
/// a client says, is no matter of a missing grant.
#[must_use]
pub fn lacks_grant(code: &str) -> bool {
    [NAME, PORT, ADDRESS, PORT_CLOSED].contains(&code)
}

// === impl Denial ===

impl Denial {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => NAME,
            Self::Port { .. } => PORT,
            Self::Address { .. } => ADDRESS,
            Self::NobodysAddress { .. } => "CE2304",
            Self::Guarded { .. } => "CE2305",
            Self::NotAName => "CE2306",
            Self::NoServerName { .. } => "CE2307",
            Self::ServerName { .. } => "CE2308",
            Self::NoHost { .. } => "CE2309",
            Self::Host { .. } => "CE2310",
            Self::Opening => "CE2311",
            Self::ClearHttp2 => "CE2312",
            Self::OpeningLimit => "CE2313",
            Self::Connections { .. } => "CE2314",
            Self::ConnectionRate { .. } => "CE2315",
            Self::Names { .. } => "CE2316",
            Self::QueryRate { .. } => "CE2317",
            Self::Bytes { .. } => "CE2318",
            Self::Datagram => "CE2319",
            Self::PortClosed => PORT_CLOSED,
            Self::NoRecord => "CE2321",
            Self::NotResolved { .. } => "CE2322",
            Self::Secret(violation) => violation.code(),
            Self::Form { .. } => "CE2327",
            Self::Protocol { .. } => "CE2328",
            Self::Distrusted { .. } => "CE2329",
            Self::ServerTls { .. } => "CE2330",
            Self::Body { .. } => "CE2362",
            Self::NoValue { code, .. } | Self::Answer { code, .. } => code,
        }
    }

    /// What to do about it, if the connection is wanted.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Name { name } => format!("add \"{name}:443\" (or its port) to the contract's `egress`"),
            Self::Port { name, port } => format!("add \"{name}:{port}\" to the contract's `egress`"),
            Self::Address { address, port } => {
                let entry = std::net::SocketAddr::new(*address, *port);
                format!("add \"{entry}\" to the contract's `egress`, or have the server use a granted name")
            }
            Self::NobodysAddress { .. } => "have the server resolve the name again".into(),
            Self::Guarded { kind, .. } if kind.is_final() => "correct what the name resolves to".into(),
            Self::Guarded { address, .. } => {
                format!("if it is meant, grant the address itself: add \"{address}:PORT\" to `egress`")
            }
            Self::NotAName | Self::Datagram => "cells reach TCP ports of granted hosts, nothing else".into(),
            Self::NoServerName { .. } | Self::ServerName { .. } | Self::NoHost { .. } | Self::Host { .. } => {
                "grant the host that is meant; one name does not give access to its neighbours".into()
            }
            Self::Opening | Self::OpeningLimit => "see what the server sends first".into(),
            Self::ClearHttp2 => "use TLS, or grant the address instead of the name".into(),
            Self::Connections { .. }
            | Self::ConnectionRate { .. }
            | Self::Names { .. }
            | Self::QueryRate { .. }
            | Self::Bytes { .. } => "see what the server does; raise the limit if it is meant".into(),
            Self::PortClosed => "add the host and port to the contract's `egress`".into(),
            Self::NotResolved { name, .. } => format!("look {name} up on the machine that Cella runs on"),
            Self::Secret(_) => "if it is meant, widen `[secrets.NAME]` in the contract".into(),
            Self::Form { .. } => {
                "have the server make plain requests there; over a WebSocket no secret can be put in".into()
            }
            Self::Protocol { name, .. } => {
                format!("take {name} out of the secret's `hosts`, or speak HTTP/1.1 or HTTP/2 with it")
            }
            Self::Distrusted { .. } => {
                "have the program trust the file that SSL_CERT_FILE names in its cell, or take the host out of the \
                 secret's `hosts`"
                    .into()
            }
            Self::ServerTls { .. } => {
                "see the certificate of the server; for an authority of your own set SSL_CERT_FILE for Cella".into()
            }
            Self::NoValue { .. } => "see where the contract says the secret is from".into(),
            Self::Body { .. } => "send less at once, or put the secret into a header".into(),
            Self::Answer { .. } => "see what the server answers".into(),
            Self::NoRecord => "see why the ledger does not take events".into(),
        }
    }
}
