//! What a cell with secrets is given: placeholders in its environment, and the certificate of an authority of its own.
//! Values are looked up when a request needs one, and never before.

mod certificates;
mod values;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use cella_cell::Spec;
use cella_contract::{Contract, SecretTerms};
use cella_egress::{Authority, Bound, Placeholders, Secrets, Trust};
use cella_secret::Placeholder;
use cella_workspace::Store;

use self::{certificates::Certificates, values::Lookup};
use super::ConfineError;
use crate::{Places, vault};

/// Where the values of a contract's secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// What relative paths in `file:` start from.
    base: PathBuf,
    vault: PathBuf,
    /// Where a file lies for the moment in which a cell is made.
    runtime: PathBuf,
    /// Where what it changes in copies is kept.
    workspaces: PathBuf,
    /// The workspace that it starts from.
    from: Option<String>,
}

/// What all cells of a process share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    placeholders: Arc<Placeholders>,
    /// Read when the first cell with a secret starts.
    trust: Arc<OnceLock<Trust>>,
}

/// A cell with secrets that can be made.
#[derive(Debug)]
pub(super) struct Prepared {
    /// With the placeholders in its environment.
    pub(super) spec: Spec,
    bound: Vec<Bound>,
    /// `None` where no secret is for any host.
    opened: Option<(Authority, Trust)>,
    placeholders: Arc<Placeholders>,
    values: Arc<Lookup>,
    /// Gone when this is.
    _certificates: Option<Certificates>,
}

// === impl Sources ===

impl Sources {
    /// Those of the node with these places, for a contract whose paths start from `base`.
    #[must_use]
    pub fn of(places: &Places, base: &Path) -> Self {
        let runtime = places.socket.parent().unwrap_or(&places.state).to_path_buf();
        Self {
            base: base.to_path_buf(),
            vault: places.vault(),
            runtime,
            workspaces: places.workspaces(),
            from: None,
        }
    }
}

impl Sources {
    /// The same for a cell that starts from what another one changed.
    #[must_use]
    pub fn starting_from(mut self, workspace: Option<String>) -> Self {
        self.from = workspace;
        self
    }

    /// Where what it changes in copies is kept, and what it starts from.
    pub(super) fn workspaces(&self) -> (Store, Option<String>) {
        (Store::new(self.workspaces.clone()), self.from.clone())
    }
}

// === impl Shared ===

impl Shared {
    /// What a cell with this contract is given beside its specification; `None` for one without secrets.
    pub(super) fn prepared(
        &self,
        spec: &Spec,
        contract: &Contract,
        sources: &Sources,
    ) -> Result<Option<Prepared>, ConfineError> {
        if contract.secrets.is_empty() {
            return Ok(None);
        }
        let bound = contract.secrets.iter().map(|(name, terms)| bound(name, terms));
        let bound = bound.collect::<Result<Vec<_>, _>>()?;
        let mut spec = spec.clone();
        for Bound { terms, placeholder, .. } in &bound {
            spec.env.extend(terms.env.clone().map(|variable| (variable, placeholder.to_string())));
        }
        let hosts: Vec<&str> =
            bound.iter().flat_map(|bound| bound.terms.hosts.iter().map(String::as_str)).collect();
        let (mut opened, mut certificates) = (None, None);
        if !hosts.is_empty() {
            let trust = self.trust()?;
            let authority = Authority::new(hosts, SystemTime::now()).map_err(ConfineError::Authority)?;
            let text = format!("{}{}", trust.pem(), authority.pem());
            let laid_out = Certificates::write(&sources.runtime, &text)?;
            laid_out.show(&mut spec);
            (opened, certificates) = (Some((authority, trust)), Some(laid_out));
        }
        let from = contract.secrets.iter().map(|(name, terms)| (name.clone(), terms.from.clone()));
        let values = Lookup {
            from: from.collect(),
            base: sources.base.clone(),
            vault: vault::Secrets::new(sources.vault.clone()),
        };
        Ok(Some(Prepared {
            spec,
            bound,
            opened,
            placeholders: self.placeholders.clone(),
            values: Arc::new(values),
            _certificates: certificates,
        }))
    }

    fn trust(&self) -> Result<Trust, ConfineError> {
        if let Some(trust) = self.trust.get() {
            return Ok(trust.clone());
        }
        let fresh = Trust::of_machine().map_err(ConfineError::Trust)?;
        Ok(self.trust.get_or_init(|| fresh).clone())
    }
}

// === impl Prepared ===

impl Prepared {
    /// What the broker of the cell needs.
    pub(super) fn for_broker(self, cell: Arc<str>) -> Option<Secrets> {
        let (authority, trust) = self.opened?;
        let Self { bound, placeholders, values, .. } = self;
        Some(Secrets { cell, bound, values, placeholders, authority, trust })
    }
}

fn bound(name: &str, terms: &SecretTerms) -> Result<Bound, ConfineError> {
    let failed = |cause: String| ConfineError::Placeholder { secret: name.to_owned(), cause };
    let format = terms.format.clone().unwrap_or_default();
    let mut random = vec![0; Placeholder::random_bytes(&format)];
    getrandom::fill(&mut random).map_err(|e| failed(e.to_string()))?;
    let placeholder = Placeholder::generate(&format, &random).map_err(|e| failed(e.to_string()))?;
    Ok(Bound { name: name.to_owned(), terms: terms.clone(), placeholder })
}

#[cfg(test)]
mod tests;
