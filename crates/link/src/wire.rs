//! How a server is reached.

use std::{fmt, path::PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header::HOST, uri::PathAndQuery};
use tokio::io::{AsyncRead, AsyncWrite};

use super::LinkError;
use cella_transport::net::{Address, Dialer, TlsSettings};

/// The wire towards one server.
#[non_exhaustive]
pub enum Wire {
    /// The pipes of a process, or any other byte stream with a line per message.
    Stdio {
        /// What the server reads.
        stdin: Box<dyn AsyncWrite + Send + Unpin>,
        /// What the server writes.
        stdout: Box<dyn AsyncRead + Send + Unpin>,
    },
    /// Streamable HTTP.
    Http(Endpoint),
    /// HTTP with a separate event stream, revision 2024-11-05.
    LegacySse(Endpoint),
    /// Streamable HTTP, or the event stream of 2024-11-05 when the server knows nothing else.
    DetectHttp(Endpoint),
}

/// An HTTP endpoint.
#[derive(Clone)]
pub struct Endpoint {
    /// `http` or `https`, without user info: credentials belong into `headers`.
    pub url: String,
    /// Sent with every request, for example static credentials. Values are secrets and never printed.
    pub headers: Vec<(String, String)>,
    /// Connect to this unix socket instead of the URL's host.
    pub unix: Option<PathBuf>,
    /// Connect by this instead of to the URL's host.
    pub dialer: Option<Dialer>,
    /// Who may vouch for the server's name.
    pub tls: TlsSettings,
}

/// An endpoint that was checked.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    /// `http://host:port`, for comparing origins.
    pub(super) origin: String,
    /// The `Host` header and the user's own.
    pub(super) headers: HeaderMap,
    /// Path and query, as requests name it.
    pub(super) path: Uri,
}

impl Wire {
    /// HTTP with a separate event stream, for those who know a server to speak nothing newer.
    #[must_use]
    pub fn event_stream(endpoint: Endpoint) -> Self {
        Self::LegacySse(endpoint)
    }
}

impl Endpoint {
    /// An endpoint without credentials. `unix:/path/to/socket` is the endpoint `/mcp` behind a unix socket,
    /// `unix:/path/to/socket:/path` another one.
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        let (url, unix) = match url.strip_prefix("unix:") {
            None => (url, None),
            Some(place) => {
                let (socket, path) = place.split_once(":/").unwrap_or((place, "mcp"));
                (format!("http://localhost/{path}"), Some(PathBuf::from(socket)))
            }
        };
        Self { url, headers: Vec::new(), unix, dialer: None, tls: TlsSettings::default() }
    }

    pub(super) fn check(&self) -> Result<Target, LinkError> {
        let bad = |why: &str| LinkError::BadEndpoint { why: why.to_owned() };
        let uri: Uri = self.url.parse().map_err(|_| bad("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("it is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it holds credentials; put them into headers"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let address = match (&self.dialer, &self.unix) {
            (Some(dialer), _) => Address::Dialled(dialer.clone()),
            (None, Some(path)) => Address::Unix(path.clone()),
            (None, None) => Address::Tcp { host: host.into(), port, tls },
        };
        let scheme = if tls { "https" } else { "http" };
        Ok(Target {
            address,
            origin: format!("{scheme}://{}:{port}", authority.host().to_ascii_lowercase()),
            headers: self.header_map(authority.as_str())?,
            path: path_of(&uri),
        })
    }

    fn header_map(&self, host: &str) -> Result<HeaderMap, LinkError> {
        let bad = |why: String| LinkError::BadEndpoint { why };
        let mut map = HeaderMap::with_capacity(self.headers.len() + 12);
        let host = HeaderValue::from_str(host).map_err(|_| bad("its host is no header value".into()))?;
        map.insert(HOST, host);
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| bad(format!("{name:?} is no header name")))?;
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| bad(format!("the value of the header {name} is no header value")))?;
            value.set_sensitive(true);
            map.append(name, value);
        }
        Ok(map)
    }
}

impl Target {
    /// The path of another URL of the same origin, absolute or relative; `None` for another origin. What a server
    /// names must not make us send credentials elsewhere.
    pub(super) fn same_origin(&self, reference: &str) -> Option<Uri> {
        let reference = reference.trim();
        if reference.starts_with("//") {
            return None;
        }
        if reference.starts_with('/') {
            return reference.parse::<PathAndQuery>().ok().map(Uri::from);
        }
        if !reference.contains("://") {
            let base = self.path.path();
            let folder = &base[..=base.rfind('/')?];
            return format!("{folder}{reference}").parse::<PathAndQuery>().ok().map(Uri::from);
        }
        let uri: Uri = reference.parse().ok()?;
        let authority = uri.authority().filter(|a| !a.as_str().contains('@'))?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let origin = format!("{}://{}:{port}", uri.scheme_str()?, authority.host().to_ascii_lowercase());
        (origin == self.origin).then(|| path_of(&uri))
    }
}

fn path_of(uri: &Uri) -> Uri {
    let path = uri.path_and_query().filter(|p| !p.as_str().is_empty()).cloned();
    Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Endpoint")
            .field("url", &self.url.split(['?', '#']).next())
            .field("headers", &names)
            .field("unix", &self.unix)
            .field("dialer", &self.dialer)
            .field("tls", &self.tls)
            .finish()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio { .. } => f.write_str("Stdio"),
            Self::Http(endpoint) => f.debug_tuple("Http").field(endpoint).finish(),
            Self::LegacySse(endpoint) => f.debug_tuple("LegacySse").field(endpoint).finish(),
            Self::DetectHttp(endpoint) => f.debug_tuple("DetectHttp").field(endpoint).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_headers_but_never_their_values() {
        let mut endpoint = Endpoint::new("https://example.com/mcp?key=hunter2");
        endpoint.headers.push(("Authorization".into(), "Bearer hunter2".into()));
        let shown =
            format!("{endpoint:?} {:?} {:?}", endpoint.check().unwrap(), Wire::Http(endpoint.clone()));
        assert!(shown.contains("Authorization"), "{shown}");
        let target = format!("{:?}", endpoint.check().unwrap().headers);
        assert!(!target.contains("hunter2"), "{target}");
        assert!(!format!("{endpoint:?}").contains("hunter2"));
    }

    #[test]
    fn endpoint_event_may_only_name_the_same_origin() {
        let target = Endpoint::new("http://example.com/a/sse").check().unwrap();
        let path = |reference| target.same_origin(reference).map(|u| u.to_string());
        assert_eq!(path("/messages?id=1").as_deref(), Some("/messages?id=1"));
        assert_eq!(path("messages").as_deref(), Some("/a/messages"));
        assert_eq!(path("http://EXAMPLE.com:80/m").as_deref(), Some("/m"));
        for other in [
            "http://example.com:81/m",
            "https://example.com/m",
            "//evil.test/m",
            "http://evil.test/m",
            "http://u@example.com/m",
            "x:y",
            "",
        ] {
            assert!(other.is_empty() || path(other).is_none_or(|p| p == "/a/x:y"), "{other}");
        }
    }

    #[test]
    fn a_unix_socket_is_written_as_a_url_with_the_path_of_the_endpoint_behind_it() {
        for (url, path) in [("unix:/run/a.sock", "/mcp"), ("unix:/run/a.sock:/x/y?z=1", "/x/y?z=1")] {
            let target = Endpoint::new(url).check().unwrap();
            assert_eq!(target.address, Address::Unix("/run/a.sock".into()), "{url}");
            assert_eq!(target.path, path);
        }
    }

    #[test]
    fn bad_endpoints_are_refused_with_a_reason() {
        for url in ["", "nonsense", "ftp://x/", "http://user:pw@h/"] {
            assert!(Endpoint::new(url).check().is_err(), "{url}");
        }
        let target = Endpoint::new("http://[::1]:7000").check().unwrap();
        assert_eq!(target.address, Address::Tcp { host: "::1".into(), port: 7000, tls: false });
        assert_eq!(target.path, "/");
    }
}
