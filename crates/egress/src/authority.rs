//! The authority of one cell: it vouches, in this cell and nowhere else, for the hosts that its secrets are bound to.
//!
//! Its key is made when the cell starts, never leaves this process's memory and ends with the cell. Even with it nobody
//! could vouch for another host: the certificate is constrained to the bound ones.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use cella_contract::DomainName;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::NoServerSessionStorage,
};
use time::OffsetDateTime;

/// How long before now certificates begin to hold: a program may set its clock by something coarse.
const BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an authority holds. A cell that lives longer must be started again; its key is gone with it anyway.
const AUTHORITY_LIFE: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How long a certificate for a host holds.
const LEAF_LIFE: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// After which it is replaced.
const LEAF_RENEWAL: Duration = Duration::from_secs(24 * 60 * 60);
/// Certificates kept. Threat: memory, through a wildcard. Past it: made anew.
const LEAVES_MAX: usize = 256;

/// What vouches for hosts in one cell.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// One key for every host: all of them are this process.
    key: KeyPair,
    leaves: Mutex<HashMap<DomainName, Leaf>>,
}

struct Leaf {
    config: Arc<ServerConfig>,
    made: SystemTime,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate for {subject}: {cause}")]
pub struct AuthorityError {
    subject: String,
    cause: String,
}

// === impl Authority ===

impl Authority {
    /// An authority for these hosts (`api.example`, `*.example`), beginning now.
    ///
    /// # Errors
    /// The operating system gives no randomness, or a host is no name.
    pub fn new<'a>(
        hosts: impl IntoIterator<Item = &'a str>,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let failed = |e: rcgen::Error| AuthorityError::of("the authority of a cell", e);
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Cella: the authority of one cell");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let subtree = |host: &str| GeneralSubtree::DnsName(host.trim_start_matches("*.").to_owned());
        // A constraint on names says nothing about certificates for addresses.
        let addresses = [CidrSubnet::from_v4_prefix([0; 4], 0), CidrSubnet::from_v6_prefix([0; 16], 0)];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: hosts.into_iter().map(subtree).collect(),
            excluded_subtrees: addresses.into_iter().map(GeneralSubtree::IpAddress).collect(),
        });
        lasting(&mut params, now, AUTHORITY_LIFE);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?);
        Ok(Self {
            issuer: issuer.map_err(failed)?,
            key: KeyPair::generate().map_err(failed)?,
            leaves: Mutex::default(),
        })
    }

    /// The certificate, for the trust store of the cell.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// How to be this host towards the cell.
    pub(crate) fn server(
        &self,
        name: &DomainName,
        now: SystemTime,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |leaf: &&Leaf| now.duration_since(leaf.made).is_ok_and(|age| age < LEAF_RENEWAL);
        if let Some(leaf) = leaves.get(name).filter(fresh) {
            return Ok(leaf.config.clone());
        }
        let config = Arc::new(self.config(name, now)?);
        if leaves.len() >= LEAVES_MAX {
            leaves.clear();
        }
        leaves.insert(name.clone(), Leaf { config: config.clone(), made: now });
        Ok(config)
    }

    fn config(&self, name: &DomainName, now: SystemTime) -> Result<ServerConfig, AuthorityError> {
        let failed = |e: rcgen::Error| AuthorityError::of(name.as_str(), e);
        let mut params = CertificateParams::new(vec![name.to_string()]).map_err(failed)?;
        params.distinguished_name = named("Cella, for a cell");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        lasting(&mut params, now, LEAF_LIFE);
        let leaf = params.signed_by(&self.key, &self.issuer).map_err(failed)?;
        let chain = vec![leaf.der().clone(), self.issuer.der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let failed = |e: rustls::Error| AuthorityError::of(name.as_str(), e);
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        let mut config =
            versions.map_err(failed)?.with_no_client_auth().with_single_cert(chain, key).map_err(failed)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

// === impl AuthorityError ===

impl AuthorityError {
    /// The code of everything that a cell with secrets needs and that could not be made.
    pub const CODE: &'static str = "CE2361";

    fn of(subject: &str, cause: impl fmt::Display) -> Self {
        Self { subject: subject.to_owned(), cause: cause.to_string() }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        Self::CODE
    }
}

fn named(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn lasting(params: &mut CertificateParams, now: SystemTime, life: Duration) {
    params.not_before = OffsetDateTime::from(now - BACKDATED);
    params.not_after = OffsetDateTime::from(now + life);
}

#[cfg(test)]
mod tests;
