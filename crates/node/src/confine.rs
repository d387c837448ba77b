//! How does a contract become a confined program that runs? One way, for servers and for what a person runs by hand.
//!
//! What is shown is decided in `sight`, which looks at the host and changes nothing. What is started goes through one
//! function, [`Confinement::start`]: what stands between a cell and the world outside is put there and nowhere else.

mod classes;
mod egress;
mod error;
mod remote;
mod secrets;
mod sight;
mod wish;

use std::{fmt, sync::Arc};

use cella_cell::{Access, Handle, NetworkEnds, Spec, Warm};
use cella_contract::{CellClass, Contract};
use cella_workspace::{Layers, Workspace};
use tokio::net::unix::pipe;

/// What a sink is told, from the broker's own vocabulary.
pub use cella_egress::{Denial, Record, Verdict};

pub use self::{
    egress::Egress,
    error::ConfineError,
    remote::remote_report,
    secrets::Sources,
    wish::{ShellWish, Terms, Wish, Wished, file_grants},
};

use self::classes::Classes;

pub(crate) use self::sight::{Line, Sight, seen, spec};

/// Starts confined programs. One per process: it owns what all its cells share.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    classes: Classes,
    shared: secrets::Shared,
}

/// A program that runs under its contract. Dropping it kills the program and all that it started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Confined {
    /// The program's standard input; dropping it is end of file.
    pub stdin: pipe::Sender,
    /// The program's standard output.
    pub stdout: pipe::Receiver,
    /// The program's standard error; somebody must read it.
    pub stderr: pipe::Receiver,
    /// The cell.
    pub cell: Handle,
    /// What stands between the cell and the hosts that its contract grants; `None` if it grants none.
    pub egress: Option<Egress>,
    /// Where its changes to copies land; `None` if it has none. To be captured when it has ended.
    pub workspace: Option<Workspace>,
}

/// Who is told what a cell does beyond its walls. It must not block: all connections of the cell wait for it.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// A connection began or ended, or was refused.
    fn told(&self, cell: &str, record: &Record);
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

// === impl Confinement ===

impl Confinement {
    /// Looks at the machine (some milliseconds of file reads).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a program in its cell. Its secrets come from `sources`, as placeholders. `sink` hears of what it does outside, as long as it lives.
    ///
    /// # Errors
    /// The refusal of the class, or of the broker; nothing is left behind.
    pub async fn start(
        &self,
        spec: &Spec,
        contract: &Contract,
        sources: &Sources,
        sink: Arc<dyn Sink>,
    ) -> Result<Confined, ConfineError> {
        let prepared = self.shared.prepared(spec, contract, sources)?;
        let mut spec = prepared.as_ref().map_or(spec, |prepared| &prepared.spec).clone();
        let layers = Layers::of(&mut spec, contract, sources.workspaces()).await?;
        let begun = self
            .begin(contract.class, &spec, |cell, ends| {
                // The cell has seen what was laid out for it.
                let secrets = prepared.and_then(|prepared| prepared.for_broker(cell.clone()));
                Egress::start(cell, contract, ends, (sink, secrets))
            })
            .await;
        match (begun, layers) {
            (Ok(confined), Some(layers)) => {
                let workspace = Workspace::new(layers, &confined.cell);
                Ok(Confined { workspace: Some(workspace), ..confined })
            }
            (Err(error), Some(layers)) => {
                layers.forget().await;
                Err(error)
            }
            (begun, None) => begun,
        }
    }

    /// The same for a program that has no secrets of its own.
    ///
    /// # Errors
    /// As for [`Confinement::start`].
    pub(crate) async fn start_without_secrets(
        &self,
        spec: &Spec,
        contract: &Contract,
        sink: Arc<dyn Sink>,
    ) -> Result<Confined, ConfineError> {
        self.begin(contract.class, spec, |cell, ends| Egress::start(cell, contract, ends, (sink, None))).await
    }

    /// Starts a program that reaches nothing, and tells `sink` what it tries at the ports of its brokered network.
    ///
    /// # Errors
    /// As for [`Confinement::start`].
    pub async fn watch(&self, spec: &Spec, sink: Arc<dyn Sink>) -> Result<Confined, ConfineError> {
        let mut spec = spec.clone();
        // Nobody keeps what it would change.
        for mount in spec.mounts.iter_mut().filter(|mount| mount.access == Access::Copy) {
            mount.access = Access::Read;
        }
        self.begin(CellClass::Process, &spec, |cell, ends| Egress::watch(cell, ends, sink)).await
    }

    /// Keeps a cell of this shape waiting for the next start, made but for its program. `None` where there is none: in
    /// another class, and where a secret is bound to hosts. The cell of such a contract is shown the certificate of an
    /// authority of its own, which is made when it is asked for and never before.
    pub(crate) fn keep_warm(&self, spec: &Spec, contract: &Contract) -> Option<Warm> {
        // A copy is laid out for the run that changes it.
        let copies = spec.mounts.iter().any(|mount| mount.access == Access::Copy);
        (waits(contract) && !copies).then(|| self.classes.keep_warm(spec))
    }

    async fn begin(
        &self,
        class: CellClass,
        spec: &Spec,
        broker: impl FnOnce(Arc<str>, NetworkEnds) -> Result<Egress, ConfineError>,
    ) -> Result<Confined, ConfineError> {
        let running = self.classes.spawn(class, spec).await?;
        let egress = match running.network {
            Some(ends) => Some(broker(running.cell.id().clone(), ends)?),
            None => None,
        };
        Ok(Confined {
            stdin: running.stdin,
            stdout: running.stdout,
            stderr: running.stderr,
            cell: running.cell,
            egress,
            workspace: None,
        })
    }
}

/// Whether cells of this contract can wait.
pub(crate) fn waits(contract: &Contract) -> bool {
    contract.class == CellClass::Process && contract.secrets.values().all(|terms| terms.hosts.is_empty())
}

impl Sink for NoSink {
    fn told(&self, _cell: &str, _record: &Record) {}
}
