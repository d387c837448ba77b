//! A running server as the pool holds it.

use std::{sync::Arc, time::Duration};

use cella_catalog::{BoxFuture, Instance};
use cella_cell::{Exit, Handle, StderrTail};
use cella_event::{Draft, Int, Kind, Label, Map};
use cella_luggage::{Held, Trunk};
use cella_workspace::{Workspace, Workspaces};
use tokio::{net::unix::pipe, task::JoinHandle};

use super::{masks::Masks, published};
use crate::{
    confine::Egress,
    living::{Entry, Living},
    record::Recorder,
};

/// Time a server has to end by itself after its input was closed and it was asked to.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Lines of a server's standard error kept for the status.
const STDERR_LINES: usize = 50;
/// Time to read what a server that is gone left in its stderr.
const STDERR_GRACE: Duration = Duration::from_millis(500);

/// A program in a cell.
#[derive(Debug)]
pub(super) struct CellInstance {
    cell: Arc<Handle>,
    /// Standard input of a program that speaks HTTP: its end is the first request to leave.
    stdin: Option<pipe::Sender>,
    egress: Option<Egress>,
    /// Where its changes to copies land.
    workspace: Option<Workspace>,
    /// Its files are a run's, and are kept after each call.
    luggage: Option<Held>,
    /// Its connections are shown as long as this is here.
    _shown: Option<Entry>,
    tail: StderrTail,
    /// Fills the tail, until the last process of the cell is gone.
    reading: JoinHandle<()>,
    masks: Masks,
    recorder: Recorder,
    server: String,
}

// === impl CellInstance ===

impl CellInstance {
    pub(super) fn new(
        running: (Arc<Handle>, pipe::Receiver, Option<Egress>, Option<Workspace>),
        masks: Masks,
        recorder: Recorder,
        server: String,
        living: &Living,
    ) -> Self {
        let (cell, stderr, egress, workspace) = running;
        let shown = egress.as_ref().zip(cell.pid()).map(|(egress, pid)| living.enter(pid, egress.gauge()));
        let tail = StderrTail::new(STDERR_LINES);
        let filled = tail.clone();
        let reading = tokio::spawn(async move { filled.fill_from(stderr).await });
        Self {
            cell,
            stdin: None,
            egress,
            workspace,
            luggage: None,
            _shown: shown,
            tail,
            reading,
            masks,
            recorder,
            server,
        }
    }

    /// The same, with the trunk of the run whose it is.
    pub(super) fn of(mut self, trunk: Option<Arc<Trunk>>) -> Self {
        self.luggage =
            trunk.zip(self.workspace.as_ref()).map(|(trunk, workspace)| trunk.hold(workspace.watcher()));
        self
    }

    /// The same, with pipes that are not the way to it.
    pub(super) fn beside(mut self, stdin: pipe::Sender, stdout: pipe::Receiver) -> Self {
        published::read_along(&self.tail, stdout);
        self.stdin = Some(stdin);
        self
    }
}

impl Instance for CellInstance {
    fn stop(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            self.stdin = None;
            let exit = self.cell.stop(STOP_GRACE).await;
            // Its connections end on record before it does.
            if let Some(egress) = self.egress.take() {
                egress.close().await;
            }
            let _read_to_its_end = tokio::time::timeout(STDERR_GRACE, &mut self.reading).await;
            self.recorder.note(ended(&self.server, self.cell.id(), &exit)).await;
            self.luggage = None;
            if let Some(workspace) = self.workspace.take() {
                let ledger = self.recorder.ledger().clone();
                Workspaces::of_node(workspace.store(), ledger).capture(workspace).await;
            }
            Some(exit.to_string())
        })
    }

    fn pid(&self) -> Option<u32> {
        self.cell.pid()
    }

    fn stderr_tail(&self) -> Vec<String> {
        self.tail.lines().iter().map(|line| self.masks.mask(line)).collect()
    }

    fn exit(&self) -> Option<String> {
        self.cell.exit().map(|exit| exit.to_string())
    }
}

fn ended(server: &str, cell: &str, exit: &Exit) -> Draft {
    let millis = |d: Duration| Int::saturating(u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let body = Map::new()
        .with("cell", cell.to_owned())
        .with("how", exit.to_string())
        .with("wall_ms", millis(exit.wall))
        .with("cpu_ms", millis(exit.cpu))
        .with("peak_memory_bytes", Int::saturating(exit.peak_memory_bytes));
    Draft::new(Kind::CellExited).server(Label::clipped(server)).body(body)
}
