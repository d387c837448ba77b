//! Who is asked.

use std::{fmt, time::Duration};

use cella_dialogue::Wire;
use cella_transport::net::{Address, TlsSettings};

/// A provider of models, or a server that speaks like one.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// How it is spoken to.
    pub wire: Wire,
    /// Where.
    pub address: Address,
    /// What stands before the wire's own path: `/v1` of `https://api.openai.com/v1`, for example.
    pub base_path: String,
    /// `Host` of its requests.
    pub authority: String,
    /// Its key; `None`: it wants none.
    pub key: Option<ApiKey>,
    /// More headers of each request.
    pub headers: Vec<(String, String)>,
    /// Who is trusted to vouch for its name.
    pub tls: TlsSettings,
    /// How long to wait for a connection.
    pub connect: Duration,
}

/// A key: never printed.
#[derive(Clone)]
pub struct ApiKey(String);

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected http://HOST[:PORT][/PATH] or https://..., got {got}")]
pub struct BadProvider {
    /// What was found.
    pub got: String,
}

/// Time for a connection where nothing else is said.
const CONNECT: Duration = Duration::from_secs(10);

impl Provider {
    /// A provider at a base URL such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// [`BadProvider`].
    pub fn at(name: impl Into<String>, wire: Wire, url: &str) -> Result<Self, BadProvider> {
        let bad = || BadProvider { got: url.to_owned() };
        let parsed: http::Uri = url.parse().map_err(|_| bad())?;
        let (tls, standard) = match parsed.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(bad()),
        };
        let authority = parsed.authority().ok_or_else(bad)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || authority.as_str().contains('@') || parsed.query().is_some() {
            return Err(bad());
        }
        let port = authority.port_u16().unwrap_or(standard);
        Ok(Self {
            name: name.into(),
            wire,
            address: Address::Tcp { host: host.into(), port, tls },
            base_path: parsed.path().trim_end_matches('/').to_owned(),
            authority: authority.as_str().to_owned(),
            key: None,
            headers: Vec::new(),
            tls: TlsSettings::default(),
            connect: CONNECT,
        })
    }

    /// The host's name.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.address {
            Address::Tcp { host, .. } => host,
            _ => "",
        }
    }

    /// True for OpenAI's own service, which takes parameters that compatible servers do not know yet.
    pub(crate) fn is_openai(&self) -> bool {
        self.authority.ends_with("openai.com") || self.authority.ends_with("openai.azure.com")
    }
}

impl ApiKey {
    /// A key, without the line break that a file or a command puts behind it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_and_a_key_is_not_printed() {
        let mut provider = Provider::at("o", Wire::OpenaiChat, "https://api.openai.com/v1/").expect("a URL");
        assert_eq!((provider.base_path.as_str(), provider.authority.as_str()), ("/v1", "api.openai.com"));
        assert_eq!(provider.address.to_string(), "api.openai.com:443");
        provider.key = Some(ApiKey::new("sk-secret\n"));
        assert!(!format!("{provider:?}").contains("secret"));
        for bad in ["api.openai.com", "ftp://x/", "https://u:p@x/", "https:///v1", "https://x/v1?a=b"] {
            assert!(Provider::at("o", Wire::OpenaiChat, bad).is_err(), "{bad}");
        }
    }
}
