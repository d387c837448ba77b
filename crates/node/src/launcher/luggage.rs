//! What a process of a run has with it: the files that the run had when its last process ended, or where it left another run.

use std::sync::Arc;

use cella_catalog::{InstanceKey, LaunchError};
use cella_contract::Mode;
use cella_event::{Map, RunId};
use cella_luggage::{At, DIRECT, FROM, LuggageError, OF_RUN, Trunk};
use cella_transport::FaultKind;

use super::{Launcher, error};
use crate::load::Served;

/// Of one process. Nothing for one that is no run's, or that no run of this principal's is known for.
#[derive(Debug, Default)]
pub(super) struct Mine {
    run: Option<RunId>,
    /// The workspace that it starts from.
    pub(super) from: Option<String>,
    pub(super) trunk: Option<Arc<Trunk>>,
}

impl Mine {
    pub(super) async fn of(
        launcher: &Launcher,
        served: &Served,
        key: &InstanceKey,
    ) -> Result<Self, LaunchError> {
        let InstanceKey::Run { principal, run: name } = key else { return Ok(Self::default()) };
        if !served.has_luggage() {
            return Ok(Self::default());
        }
        // What was appended a moment ago is to be seen.
        let _durable_or_failing = launcher.recorder.ledger().flush().await;
        let (luggage, asked, by) = (launcher.luggage.clone(), name.clone(), principal.clone());
        let looked = tokio::task::spawn_blocking(move || luggage.owned(&asked, &by)).await;
        let server = &served.config.name;
        let broken = |why: String| refused(&LuggageError::Start { server: server.clone(), why });
        let run = looked.map_err(|e| broken(e.to_string()))?.map_err(|e| broken(e.to_string()))?;
        let Some(run) = run else { return Ok(Self::default()) };
        let base = launcher.luggage.base(&run, server).await.map_err(|error| refused(&error))?;
        let from = match base {
            At::Host => None,
            At::Kept(id) => Some(id),
        };
        Ok(Self { run: Some(run), from, trunk: Some(launcher.trunks.of(server, name, principal)) })
    }

    /// What the event about its start says of it.
    pub(super) fn told(&self, body: Map, served: &Served) -> Map {
        let Some(run) = &self.run else { return body };
        let direct = served.contract.files.iter().any(|grant| grant.mode == Mode::Write);
        let body = body.with(OF_RUN, run.as_str().to_owned()).with(DIRECT, direct);
        match &self.from {
            Some(from) => body.with(FROM, from.clone()),
            None => body,
        }
    }
}

fn refused(fault: &LuggageError) -> LaunchError {
    error(FaultKind::Unavailable, fault.code(), &fault.to_string(), Some(fault.fix().to_owned()))
}
