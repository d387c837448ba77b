//! A running server as the pool holds it.

use std::time::Duration;

use cella_catalog::{BoxFuture, Instance};
use cella_cell::{Exit, Handle, StderrTail};
use cella_event::{Draft, Int, Kind, Label, Map};

use super::masks::Masks;
use crate::record::Recorder;

/// Time a server has to end by itself after its input was closed and it was asked to.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// A program in a cell.
#[derive(Debug)]
pub(super) struct CellInstance {
    cell: Handle,
    tail: StderrTail,
    masks: Masks,
    recorder: Recorder,
    server: String,
}

// === impl CellInstance ===

impl CellInstance {
    pub(super) fn new(
        cell: Handle,
        tail: StderrTail,
        masks: Masks,
        recorder: Recorder,
        server: String,
    ) -> Self {
        Self { cell, tail, masks, recorder, server }
    }
}

impl Instance for CellInstance {
    fn stop(self: Box<Self>) -> BoxFuture<'static, Option<String>> {
        Box::pin(async move {
            let exit = self.cell.stop(STOP_GRACE).await;
            self.recorder.note(ended(&self.server, self.cell.id(), &exit)).await;
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
