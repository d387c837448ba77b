//! What a client says first: whom a TLS hello or an HTTP request is for.
//!
//! Many names share an address, so the address alone does not say who answers. A client that asked for one name and then
//! speaks for another (domain fronting) is refused. What is neither TLS nor HTTP goes on unseen: databases, mail, SSH.
//!
//! Not seen here: hosts inside TLS, the inner hello of ECH, the second and later requests of a connection that HTTP keeps
//! open, TLS that begins after a first exchange (STARTTLS).

use cella_contract::DomainName;
use rustls::server::Acceptor;

use crate::{denial::Denial, limits::OPENING_HEADERS_MAX};

/// First byte of a TLS record with a handshake, and the major version after it (RFC 8446, 5.1).
const TLS_HANDSHAKE: [u8; 2] = [22, 3];
/// First line of HTTP/2 without TLS (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// What a load balancer puts before a connection to say whose it is (PROXY protocol, versions 1 and 2). What follows would go
/// unseen, and a cell has nobody to speak for.
const FORWARDED: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
/// Longest method of a request, in bytes. Registered ones have up to 16.
const METHOD_BYTES_MAX: usize = 32;
/// Characters of a foreign name that are kept for the record.
const GOT_CHARS_MAX: usize = 128;

/// What the first bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A TLS hello.
    Tls {
        /// The server it is for.
        name: Option<String>,
    },
    /// An HTTP/1 request.
    Http {
        /// The authority in the target, if it has one.
        target: Option<String>,
        /// Each `Host` header.
        hosts: Vec<String>,
    },
    /// HTTP/2 without TLS.
    ClearHttp2,
    /// Something else.
    Opaque,
    /// It may yet become one of the others.
    Incomplete,
    /// It begins as TLS or HTTP and is neither.
    Malformed,
}

/// Reads the first bytes of a client, all of them from the beginning.
pub(crate) fn read(bytes: &[u8]) -> Opening {
    match bytes {
        [] => Opening::Incomplete,
        [first] if *first == TLS_HANDSHAKE[0] => Opening::Incomplete,
        _ if bytes.starts_with(&TLS_HANDSHAKE) => tls(bytes),
        _ => text(bytes),
    }
}

// === impl Opening ===

impl Opening {
    /// Refuses an opening that is not for the name that was resolved.
    pub(crate) fn must_be_for(&self, expected: &DomainName, port: u16) -> Result<(), Denial> {
        let is_expected = |name: &str| DomainName::parse(name).is_ok_and(|name| name == *expected);
        match self {
            Self::Opaque => Ok(()),
            Self::Tls { name: Some(name) } if is_expected(name) => Ok(()),
            Self::Tls { name: Some(name) } => {
                Err(Denial::ServerName { expected: expected.clone(), got: shown(name) })
            }
            Self::Tls { name: None } => Err(Denial::NoServerName { expected: expected.clone() }),
            Self::Http { target, hosts } => {
                let [host] = hosts.as_slice() else {
                    return Err(Denial::NoHost { expected: expected.clone() });
                };
                let authorities = target.iter().chain([host]);
                let foreign = authorities.into_iter().find(|a| !is_authority_of(a, expected, port));
                foreign
                    .map_or(Ok(()), |got| Err(Denial::Host { expected: expected.clone(), got: shown(got) }))
            }
            Self::ClearHttp2 => Err(Denial::ClearHttp2),
            Self::Incomplete => Err(Denial::OpeningLimit),
            Self::Malformed => Err(Denial::Opening),
        }
    }
}

/// `host` or `host:port` (RFC 9110, 7.2); one final dot is allowed, user information is not.
fn is_authority_of(text: &str, name: &DomainName, port: u16) -> bool {
    let (host, own_port) = text.split_once(':').unwrap_or((text, ""));
    let host = host.strip_suffix('.').unwrap_or(host);
    let digits = own_port.bytes().all(|b| b.is_ascii_digit());
    let port_fits = digits && (own_port.is_empty() || own_port.parse() == Ok(port));
    port_fits && DomainName::parse(host).is_ok_and(|host| host == *name)
}

/// A stranger's text, fit for a record.
fn shown(text: &str) -> String {
    text.chars().take(GOT_CHARS_MAX).flat_map(char::escape_debug).collect()
}

fn tls(bytes: &[u8]) -> Opening {
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        if !acceptor.read_tls(&mut rest).is_ok_and(|read| read > 0) {
            return Opening::Malformed;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(str::to_owned);
                return Opening::Tls { name };
            }
            Ok(None) => {}
            Err(_) => return Opening::Malformed,
        }
    }
    Opening::Incomplete
}

/// HTTP is known by its version at the end of the first line; a first line without one is some other protocol's. Servers
/// differ in what they forgive before and in that line, so whatever could be a request to the most lenient one is waited for
/// and then read strictly.
fn text(bytes: &[u8]) -> Opening {
    if FORWARDED.iter().any(|header| bytes.starts_with(header)) {
        return Opening::Malformed;
    }
    // servers skip empty lines before a request (RFC 9112, 2.2), so they must not hide one
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'));
    let Some(bytes) = start.map(|at| &bytes[at..]) else { return Opening::Incomplete };
    let end = bytes.iter().position(|b| *b == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    if line.windows(5).any(|w| w.eq_ignore_ascii_case(b"HTTP/")) {
        return match end {
            None => Opening::Incomplete,
            Some(_) if line.starts_with(HTTP2_PREFACE) => Opening::ClearHttp2,
            Some(_) => request(bytes),
        };
    }
    let is_text = !line.iter().any(|b| b.is_ascii_control() && !matches!(b, b'\r' | b'\t'));
    if end.is_none() && (is_text || begins_like_a_request(line)) {
        Opening::Incomplete
    } else {
        Opening::Opaque
    }
}

/// Letters and something that one server or another takes for a space.
fn begins_like_a_request(line: &[u8]) -> bool {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t' | 0x0b | 0x0c | 0x1c..=0x1f | 0x85 | 0xa0);
    let start = line.iter().position(|b| !is_blank(b)).unwrap_or(line.len());
    let letters = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_');
    let method = line[start..].iter().take_while(|b| letters(b)).count();
    let after = line.get(start + method);
    method <= METHOD_BYTES_MAX && after.is_none_or(|b| method > 0 && is_blank(b))
}

fn request(bytes: &[u8]) -> Opening {
    let mut headers = [httparse::EMPTY_HEADER; OPENING_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return Opening::Incomplete,
        Err(_) => return Opening::Malformed,
        Ok(httparse::Status::Complete(_)) => {}
    }
    let path = request.path.unwrap_or_default();
    let target = if request.method.is_some_and(|m| m.eq_ignore_ascii_case("CONNECT")) {
        Some(path)
    } else if path.starts_with('/') || path == "*" {
        None
    } else {
        // what is neither a path nor has an authority is for nobody
        let authority = path.split_once("://").map_or("", |(_, rest)| rest);
        Some(authority.split(['/', '?', '#']).next().unwrap_or_default())
    };
    let hosts = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host"));
    let hosts = hosts.map(|h| String::from_utf8_lossy(h.value).trim().to_owned()).collect();
    Opening::Http { target: target.map(str::to_owned), hosts }
}

#[cfg(test)]
mod tests;
