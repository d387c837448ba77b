//! Reading the configuration and every contract it names. The only place that opens these files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use cella_cell::Class;
use cella_contract::{
    CellClass, Config, Contract, ContractSource, Diagnostics, Isolation, Mode, Run, ServerConfig, ToolTerms,
};
use sha2::{Digest, Sha256};

use crate::{
    StartError,
    grants::{self, Grants, Refused},
};

/// A configuration with its contracts.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Enabled servers by name.
    pub servers: BTreeMap<Arc<str>, Arc<Served>>,
    /// What is not wrong but should be known.
    pub warnings: Vec<String>,
}

/// One server with its contract.
#[derive(Clone, Debug)]
pub struct Served {
    /// As configured.
    pub config: ServerConfig,
    /// What it may do.
    pub contract: Contract,
    /// The directory that relative paths of the configuration start from.
    pub base: PathBuf,
    /// The directory that relative paths of the contract start from.
    pub contract_base: PathBuf,
    /// Changes whenever anything of this server changes.
    pub digest: [u8; 32],
    /// Paths of the host, resolved when this was read.
    pub(crate) grants: Grants,
    /// The contract's digest as events show it, in hexadecimal.
    pub contract_digest: String,
}

impl Served {
    /// Whether each run has a process of its own here, and works in copies: what it changes is the run's, and goes with it.
    #[must_use]
    pub fn has_luggage(&self) -> bool {
        let isolation = self.config.isolation.unwrap_or_default().max(self.contract.isolation);
        isolation == Isolation::Run && self.contract.files.iter().any(|grant| grant.mode == Mode::Copy)
    }

    /// The class of what holds it.
    #[must_use]
    pub fn class(&self) -> Class {
        match (&self.config.run, self.contract.class) {
            (Run::Remote(_), _) => Class::Remote,
            (Run::Program(_), CellClass::Process) => Class::Process,
            (Run::Program(_), CellClass::Vm(_)) => Class::Vm,
        }
    }
}

/// Reads a configuration file and the contracts it names.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong in those that can.
pub fn load(path: &Path) -> Result<Loaded, StartError> {
    of_text(path, &read(path)?)
}

/// The same for a text that is to stand in that file.
pub(crate) fn of_text(path: &Path, text: &str) -> Result<Loaded, StartError> {
    let name = path.display().to_string();
    let (config, warnings) = Config::parse(&name, text).map_err(StartError::Config)?;
    let mut warnings: Vec<String> = warnings.0.iter().map(ToString::to_string).collect();
    let base = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let (mut found, mut wrong) = (Vec::new(), Diagnostics::default());
    let mut grants = BTreeMap::new();
    for (name, server) in config.servers.iter().filter(|(_, s)| s.enabled) {
        match contract(name, server, &base)? {
            Ok((contract, contract_base)) => {
                warnings.extend(ignored(name, server, &contract));
                let name: Arc<str> = Arc::from(name.as_str());
                grants.insert(name.clone(), Grants::of(server, &contract, &contract_base, &base));
                let served = Served {
                    digest: digest(server, &contract),
                    contract_digest: contract.digest().iter().map(|b| format!("{b:02x}")).collect(),
                    config: server.clone(),
                    contract,
                    base: base.clone(),
                    contract_base,
                    grants: Grants::default(),
                };
                found.push((name, served));
            }
            Err(mut found) => wrong.0.append(&mut found.0),
        }
    }
    grants::refuse_redirectable(&mut grants);
    warnings.extend(grants.iter().flat_map(|(name, grants)| unusable(name, grants)));
    let granted = |(name, served): (Arc<str>, Served)| {
        let grants = grants.remove(&name).unwrap_or_default();
        (name, Arc::new(Served { grants, ..served }))
    };
    let servers = found.into_iter().map(granted).collect();
    if wrong.has_errors() { Err(StartError::Config(wrong)) } else { Ok(Loaded { config, servers, warnings }) }
}

/// Reads a configuration as [`load`] does, and answers as a node would that is to use it.
///
/// # Errors
/// Whatever a node would refuse it for.
pub fn check(path: &Path) -> Result<Loaded, StartError> {
    let loaded = load(path)?;
    crate::plan::plan(&loaded)?;
    Ok(loaded)
}

type Read = Result<(Contract, PathBuf), Diagnostics>;

fn contract(name: &str, server: &ServerConfig, base: &Path) -> Result<Read, StartError> {
    match &server.contract {
        ContractSource::Preset(preset) => Ok(Ok((Contract::preset(*preset), base.to_path_buf()))),
        ContractSource::File(named) => {
            let path = base.join(named);
            let text = fs::read_to_string(&path).map_err(|source| StartError::Contract {
                server: name.to_owned(),
                named: named.clone(),
                path: path.clone(),
                source,
            })?;
            let parsed = Contract::parse(&path.display().to_string(), &text);
            let home = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            Ok(parsed.map(|contract| (contract, home)))
        }
    }
}

/// What a contract says and this version does nothing about. Not an error: none of it grants anything.
fn ignored(name: &str, server: &ServerConfig, contract: &Contract) -> Vec<String> {
    let remote = matches!(server.run, Run::Remote(_));
    let with = |says: fn(&ToolTerms) -> bool| {
        let names: Vec<&str> =
            contract.tools.iter().filter(|(_, terms)| says(terms)).map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let egress = remote && !contract.egress.is_empty();
    let secrets: Vec<&str> = contract.secrets.keys().map(String::as_str).collect();
    let found = [
        egress.then(|| "grants egress, but the server is remote: what it reaches is its owner's".to_owned()),
        (remote && !secrets.is_empty()).then(|| {
            let names = secrets.join(", ");
            format!("has secrets ({names}), but `url` is no cell; use headers in the server's entry")
        }),
        (server.warm == Some(true) && !crate::confine::waits(contract)).then(|| {
            "is for a class, or has secrets for hosts, with which no cell waits; `warm` changes nothing"
                .to_owned()
        }),
        with(|terms| !terms.locks.is_empty())
            .map(|tools| format!("has locks ({tools}), which this version does not take; calls may overlap")),
        with(|terms| terms.undo.is_some())
            .map(|tools| format!("names an undo ({tools}), which this version never calls")),
        with(|terms| terms.probe.is_some())
            .map(|tools| format!("names a probe ({tools}), which this version never calls")),
    ];
    let found = found.into_iter().flatten();
    found.map(|what| format!("warning: `{name}`: {} {what}", contract.name())).collect()
}

/// Grants for which the server will not start.
fn unusable(name: &str, grants: &Grants) -> Vec<String> {
    let redirected = grants.declared.iter().chain(&grants.named).filter_map(|grant| match &grant.refused {
        Some(Refused::Redirectable { link, server }) => Some(format!(
            "warning: `{name}` will not start: {} leads through the link {}, which `{server}` may change",
            grant.written.display(),
            link.display()
        )),
        _ => None,
    });
    redirected.collect()
}

fn digest(server: &ServerConfig, contract: &Contract) -> [u8; 32] {
    // Debug shows every field as written; it need not be stable across versions, only tell changes apart.
    let hash = Sha256::new().chain_update(format!("{server:?}")).chain_update(contract.digest());
    hash.finalize().into()
}

fn read(path: &Path) -> Result<String, StartError> {
    fs::read_to_string(path).map_err(|source| StartError::Read { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn what_is_accepted_and_not_done_is_said_of_each() {
        let dir = tempfile::tempdir().expect("a directory");
        let contract = "egress = [\"a.example:443\"]\n[secrets.K]\nfrom = \"env:K\"\n[tools.pay]\neffect = \"reversible\"\n\
            undo = \"refund\"\nprobe = \"status\"\nlocks = [\"write row:x\"]\n";
        std::fs::write(dir.path().join("c.toml"), contract).expect("a file");
        let config = "[servers.x]\nurl = \"https://x.example/mcp\"\ncontract = \"c.toml\"\n";
        std::fs::write(dir.path().join("cella.toml"), config).expect("a file");
        let warnings = load(&dir.path().join("cella.toml")).expect("loaded").warnings;
        for word in ["secrets (K)", "locks (pay)", "undo (pay)", "probe (pay)"] {
            let said = warnings.iter().filter(|warning| warning.contains(word) && warning.contains("`x`"));
            assert_eq!(said.count(), 1, "{word} in {warnings:?}");
        }
        assert!(warnings.iter().any(|warning| warning.contains("its owner's")), "{warnings:?}");
        let held = "[servers.x]\ncommand = \"x\"\ncontract = \"c.toml\"\n";
        std::fs::write(dir.path().join("held.toml"), held).expect("a file");
        let warnings = load(&dir.path().join("held.toml")).expect("loaded").warnings;
        let said = |word: &str| warnings.iter().any(|warning| warning.contains(word));
        assert!(!said("egress") && !said("secrets"), "{warnings:?}");
        std::fs::write(dir.path().join("c.toml"), "[tools.pay]\neffect = \"read\"\n").expect("a file");
        assert!(load(&dir.path().join("cella.toml")).expect("loaded").warnings.is_empty());
    }
}
