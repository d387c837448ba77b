//! Who vouches for the servers outside: the authorities of the machine, or those of the node's `SSL_CERT_FILE`.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Characters of a line of PEM (RFC 7468, 2).
const PEM_LINE_CHARS: usize = 64;

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS towards servers cannot be set up: {0}")]
pub struct TrustError(#[from] rustls::Error);

/// Authorities. Made once and shared: a machine has a few hundred.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    certificates: Arc<[CertificateDer<'static>]>,
}

// === impl Trust ===

impl Trust {
    /// Those of the machine; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn of_machine() -> Result<Self, TrustError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "part of the machine's certificate authorities cannot be read");
        }
        Self::of(found.certs)
    }

    /// Those in a PEM text.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn of_pem(pem: &str) -> Result<Self, TrustError> {
        Self::of(CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect())
    }

    fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let (_added, ignored) = roots.add_parsable_certificates(certificates.iter().cloned());
        if ignored > 0 {
            tracing::debug!(ignored, "certificate authorities that cannot be parsed");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), certificates: certificates.into() })
    }

    /// The certificates as a text, for a cell that is to trust them too.
    #[must_use]
    pub fn pem(&self) -> String {
        let mut text = String::new();
        for certificate in self.certificates.iter() {
            text.push_str("-----BEGIN CERTIFICATE-----\n");
            let encoded = STANDARD.encode(certificate);
            for at in (0..encoded.len()).step_by(PEM_LINE_CHARS) {
                text.push_str(&encoded[at..encoded.len().min(at + PEM_LINE_CHARS)]);
                text.push('\n');
            }
            text.push_str("-----END CERTIFICATE-----\n");
        }
        text
    }

    /// A client that proposes these protocols. Sessions are kept by the shared part.
    pub(crate) fn client(&self, protocols: Vec<Vec<u8>>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols;
        Arc::new(config)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("authorities", &self.certificates.len()).finish_non_exhaustive()
    }
}
