//! Who is trusted to vouch for a server's name.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// Certificate authorities of one endpoint: those of the system, and those the user added. Cheap to clone.
#[derive(Clone, Default)]
pub struct TlsSettings {
    /// None: the system's authorities alone.
    own: Option<Arc<ClientConfig>>,
}

/// Why TLS failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The handshake failed or the certificate is not trusted.
    #[error("{0}")]
    Handshake(io::Error),
    /// The host is no name a certificate can hold.
    #[error("{0} is no name for a certificate")]
    Name(Box<str>),
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
}

impl TlsSettings {
    /// The system's authorities and those in `pem` (one or more certificates).
    pub fn with_authorities(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = system_roots();
        let mut added = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| TlsError::Settings(format!("not PEM: {e}")))?;
            roots.add(certificate).map_err(|e| TlsError::Settings(format!("not a certificate: {e}")))?;
            added += 1;
        }
        if added == 0 {
            return Err(TlsError::Settings("no certificate in the PEM text".into()));
        }
        Ok(Self { own: Some(Arc::new(config(roots)?)) })
    }

    pub(super) async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let config = self.own.clone().map_or_else(system_config, Ok)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.into()))?;
        TlsConnector::from(config).connect(name, stream).await.map_err(TlsError::Handshake)
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.own.is_some() { "TlsSettings(added authorities)" } else { "TlsSettings(system)" })
    }
}

/// Read once: the system's store is a few hundred certificates in files.
fn system_config() -> Result<Arc<ClientConfig>, TlsError> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = SYSTEM.get() {
        return Ok(Arc::clone(config));
    }
    let fresh = Arc::new(config(system_roots())?);
    Ok(Arc::clone(SYSTEM.get_or_init(|| fresh)))
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "part of the system's certificate authorities cannot be read");
    }
    let (_added, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 {
        tracing::debug!(ignored, "certificate authorities that cannot be parsed");
    }
    roots
}

fn config(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions = builder.with_safe_default_protocol_versions();
    let mut config = versions
        .map_err(|e| TlsError::Settings(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
