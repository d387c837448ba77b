//! How does a contract become a confined program that runs? One way, for servers and for what a person runs by hand.
//!
//! What is shown is decided in `sight`, which looks at the host and changes nothing. What is started goes through one
//! function, [`Confinement::start`]: what stands between a cell and the world outside is put there and nowhere else.

mod error;
mod sight;
mod wish;

use std::{fmt, sync::Arc};

use cella_cell::{Cell, CellError, Handle, Process, Spec};
use cella_contract::Contract;
use tokio::net::unix::pipe;

pub use self::{
    error::ConfineError,
    wish::{ShellWish, Terms, Wish, Wished, file_grants},
};

pub(crate) use self::sight::{Line, Sight, seen, spec};

/// Starts confined programs. One per process: it owns what all its cells share.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    cells: Process,
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
}

/// Who is told what a cell does beyond its walls. Nothing of it may block: it is told from the way of the data.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// The cell asked for a connection, and the contract was asked.
    fn connection(&self, asked: &Connection);
}

/// A connection that a cell asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// Host, as the cell named it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether the contract grants it.
    pub granted: bool,
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

    /// Starts a program in its cell. `sink` hears of what it does outside, as long as it lives.
    ///
    /// # Errors
    /// The refusal of the class; nothing is left behind.
    pub async fn start(
        &self,
        spec: &Spec,
        contract: &Contract,
        sink: Arc<dyn Sink>,
    ) -> Result<Confined, CellError> {
        // No class gives a network yet, so nothing is brokered and nobody has anything to tell.
        tracing::debug!(cell = spec.name, contract = contract.name(), egress = contract.egress.len(), ?sink);
        let running = self.cells.spawn(spec).await?;
        Ok(Confined {
            stdin: running.stdin,
            stdout: running.stdout,
            stderr: running.stderr,
            cell: running.cell,
        })
    }
}

impl Sink for NoSink {
    fn connection(&self, _asked: &Connection) {}
}
