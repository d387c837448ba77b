//! The node's vault: opened when a server that names a secret starts, and at no other time, so that a node without secrets
//! needs no key, and a secret that was changed is used at the next start.

use std::path::PathBuf;

use cella_catalog::LaunchError;
use cella_transport::FaultKind;
use cella_vault::{KeySource, Name, Secret, Vault, VaultError};

use crate::launcher;

/// Where the secrets of this node are.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    path: PathBuf,
}

// === impl Secrets ===

impl Secrets {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The secret that the value called `variable` refers to.
    pub(crate) async fn get(&self, variable: &str, name: &str) -> Result<Secret, LaunchError> {
        let (path, wanted) = (self.path.clone(), name.to_owned());
        // Files, and a program or a keyring that may take its time.
        let got = tokio::task::spawn_blocking(move || {
            let source = KeySource::find(&path, &|key| std::env::var_os(key))?;
            Vault::open(path, source)?.get(&Name::parse(&wanted)?)
        });
        match got.await {
            Ok(Ok(secret)) => Ok(secret),
            Ok(Err(error)) => Err(refused(variable, name, &error)),
            Err(ended) => Err(launcher::error(
                FaultKind::Internal,
                cella_doorman::UNUSABLE_FILE,
                &ended.to_string(),
                None,
            )),
        }
    }
}

fn refused(variable: &str, name: &str, error: &VaultError) -> LaunchError {
    let message = format!("`{variable}` comes from vault:{name}: {error}");
    launcher::error(FaultKind::Unavailable, error.code(), &message, Some(error.fix()))
}
