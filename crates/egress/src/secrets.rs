//! The secrets of one cell, as its broker knows them: what stands for each in the cell, and whom to ask for its value.
//!
//! A value is read when a connection to one of its hosts begins, read again when it is older than a minute, and gone with
//! the last connection.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

use cella_contract::{DomainName, SecretTerms};
use cella_secret::{BindError, Binding, Facts, Placeholder, Rewriter, Scrubber, SecretBytes, Violation};
use http::HeaderMap;

use crate::{
    authority::Authority,
    denial::Denial,
    limits::VALUE_AGE_MAX,
    placeholders::{Enrolled, Placeholders},
    trust::Trust,
};

/// The secrets of a cell.
#[derive(Debug)]
pub struct Secrets {
    /// The cell, as records and refusals name it.
    pub cell: Arc<str>,
    /// Each secret.
    pub bound: Vec<Bound>,
    /// Whom to ask for values.
    pub values: Arc<dyn Values>,
    /// Those of every cell of the node.
    pub placeholders: Arc<Placeholders>,
    /// What vouches for the bound hosts in the cell.
    pub authority: Authority,
    /// Who vouches for them outside.
    pub trust: Trust,
}

/// A secret of a cell.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Its name in the contract.
    pub name: String,
    /// Where it may be used.
    pub terms: SecretTerms,
    /// What stands for it in the cell.
    pub placeholder: Placeholder,
}

/// A value to come.
pub type Value<'a> = Pin<Box<dyn Future<Output = Result<SecretBytes, NoValue>> + Send + 'a>>;

/// Knows the values of a cell's secrets.
pub trait Values: fmt::Debug + Send + Sync {
    /// The value of the secret of that name in the contract.
    fn value<'a>(&'a self, secret: &'a str) -> Value<'a>;
}

/// A value cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NoValue {
    /// The stable code.
    pub code: &'static str,
    /// Why, without the value.
    pub message: String,
}

/// The same, in use by a broker.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) secrets: Secrets,
    /// Every secret without its value.
    blanks: Arc<[Binding]>,
    /// Values in use by connections.
    in_use: Mutex<HashMap<DomainName, Weak<Material>>>,
    _enrolled: Enrolled,
}

/// What a connection to one host needs.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) bindings: Arc<[Binding]>,
    pub(crate) scrubber: Scrubber,
    read: Instant,
}

// === impl Armed ===

impl Armed {
    pub(crate) fn new(secrets: Secrets) -> Self {
        let blank = |b: &Bound| Binding::blank(&b.name, &b.terms, b.placeholder.clone());
        let blanks = secrets.bound.iter().map(blank).collect();
        let own = secrets.bound.iter().map(|b| (b.name.as_str().into(), b.placeholder.clone())).collect();
        let enrolled = secrets.placeholders.enrol(secrets.cell.clone(), own);
        Self { secrets, blanks, in_use: Mutex::default(), _enrolled: enrolled }
    }

    /// True when a secret is bound to this host, so that what is said to it is read.
    pub(crate) fn reaches(&self, host: &DomainName) -> bool {
        self.blanks.iter().any(|binding| binding.reaches(host.as_str()))
    }

    /// Values and search for a host, no older than they may be.
    pub(crate) async fn material(&self, host: &DomainName) -> Result<Arc<Material>, Denial> {
        let known = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned();
        if let Some(material) = known.and_then(|weak| weak.upgrade()).filter(|m| m.is_fresh()) {
            return Ok(material);
        }
        let mut bindings = Vec::with_capacity(self.blanks.len());
        for (bound, blank) in self.secrets.bound.iter().zip(self.blanks.iter()) {
            bindings.push(if blank.reaches(host.as_str()) { self.read(bound).await? } else { blank.clone() });
        }
        let reaching = bindings.iter().filter(|binding| binding.reaches(host.as_str()));
        let scrubber = Scrubber::new(reaching);
        let material = Arc::new(Material { bindings: bindings.into(), scrubber, read: Instant::now() });
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|_, weak| weak.strong_count() > 0);
        in_use.insert(host.clone(), Arc::downgrade(&material));
        Ok(material)
    }

    async fn read(&self, bound: &Bound) -> Result<Binding, Denial> {
        let Bound { name, terms, placeholder } = bound;
        let without =
            |code: &'static str, cause: String| Denial::NoValue { secret: name.clone(), code, cause };
        let value = self.secrets.values.value(name).await.map_err(|no| without(no.code, no.message))?;
        let bound = Binding::new(name, terms, placeholder.clone(), value.expose());
        bound.map_err(|error: BindError| without(error.code(), error.to_string()))
    }

    /// Refuses a placeholder in what is sent without TLS.
    pub(crate) fn in_clear(&self, host: &str, said: &[u8]) -> Result<(), Violation> {
        let facts = Facts {
            sni: None,
            address_vetted: false,
            certificate_valid: false,
            authority: host.to_owned(),
            method: String::new(),
            path: String::new(),
        };
        let mut search = self.rewriter(self.blanks.clone(), facts).body(&HeaderMap::new())?;
        let mut out = Vec::with_capacity(said.len());
        search.push(said, &mut out)?;
        search.finish(&mut out).map(drop)
    }

    /// What rewrites a request with these facts.
    pub(crate) fn rewriter(&self, bindings: Arc<[Binding]>, facts: Facts) -> Rewriter {
        Rewriter::new(self.secrets.placeholders.index(), self.secrets.cell.clone(), bindings, facts)
    }
}

// === impl Material ===

impl Material {
    pub(crate) fn is_fresh(&self) -> bool {
        self.read.elapsed() < VALUE_AGE_MAX
    }
}
