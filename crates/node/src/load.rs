//! Reading the configuration and every contract it names. The only place that opens these files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use cella_contract::{Config, Contract, ContractSource, Diagnostics, Run, ServerConfig};
use sha2::{Digest, Sha256};

use crate::{
    StartError,
    grants::{self, Grants},
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

/// Reads a configuration file and the contracts it names.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong in those that can.
pub fn load(path: &Path) -> Result<Loaded, StartError> {
    let text = read(path)?;
    let name = path.display().to_string();
    let (config, warnings) = Config::parse(&name, &text).map_err(StartError::Config)?;
    let mut warnings: Vec<String> = warnings.0.iter().map(ToString::to_string).collect();
    let base = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let (mut found, mut wrong) = (Vec::new(), Diagnostics::default());
    let mut grants = BTreeMap::new();
    for (name, server) in config.servers.iter().filter(|(_, s)| s.enabled) {
        match contract(server, &base)? {
            Ok((contract, contract_base)) => {
                warnings.extend(unusable(name, server, &contract));
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
    let granted = |(name, served): (Arc<str>, Served)| {
        let grants = grants.remove(&name).unwrap_or_default();
        (name, Arc::new(Served { grants, ..served }))
    };
    let servers = found.into_iter().map(granted).collect();
    if wrong.has_errors() { Err(StartError::Config(wrong)) } else { Ok(Loaded { config, servers, warnings }) }
}

type Read = Result<(Contract, PathBuf), Diagnostics>;

fn contract(server: &ServerConfig, base: &Path) -> Result<Read, StartError> {
    match &server.contract {
        ContractSource::Preset(preset) => Ok(Ok((Contract::preset(*preset), base.to_path_buf()))),
        ContractSource::File(path) => {
            let path = base.join(path);
            let text = read(&path)?;
            let parsed = Contract::parse(&path.display().to_string(), &text);
            let home = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            Ok(parsed.map(|contract| (contract, home)))
        }
    }
}

/// What a contract says that this version cannot give. Not an error: less is granted than asked, never more.
fn unusable(name: &str, server: &ServerConfig, contract: &Contract) -> Option<String> {
    let confined = matches!(server.run, Run::Program(_));
    (confined && !contract.egress.is_empty()).then(|| {
        format!(
            "warning: `{name}`: {} grants egress, but cells have no network in this version",
            contract.name()
        )
    })
}

fn digest(server: &ServerConfig, contract: &Contract) -> [u8; 32] {
    // Debug shows every field as written; it need not be stable across versions, only tell changes apart.
    let hash = Sha256::new().chain_update(format!("{server:?}")).chain_update(contract.digest());
    hash.finalize().into()
}

fn read(path: &Path) -> Result<String, StartError> {
    fs::read_to_string(path).map_err(|source| StartError::Read { path: path.to_path_buf(), source })
}
