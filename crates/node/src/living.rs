//! What runs right now, beyond what the catalogue knows of it: the connections of each cell.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cella_egress::Gauge;

/// The cells with a broker, by the id of their first process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Living {
    cells: Arc<Mutex<HashMap<u32, Gauge>>>,
}

/// A cell's entry; dropping it takes the entry out.
#[derive(Debug)]
pub(crate) struct Entry {
    living: Living,
    pid: u32,
}

// === impl Living ===

impl Living {
    /// Enters a cell.
    pub(crate) fn enter(&self, pid: u32, gauge: Gauge) -> Entry {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, gauge);
        Entry { living: self.clone(), pid }
    }

    /// Open connections of a cell; none for one that has no broker and so reaches nothing.
    pub(crate) fn connections(&self, pid: u32) -> u64 {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.get(&pid).map_or(0, Gauge::connections)
    }
}

// === impl Entry ===

impl Drop for Entry {
    fn drop(&mut self) {
        self.living.cells.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}
