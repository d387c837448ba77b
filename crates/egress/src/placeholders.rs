//! The placeholders of every cell of a node, so that one cell's in another's request is seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use cella_secret::{Placeholder, PlaceholderIndex};

/// All that are in use. One per process, shared by its brokers.
#[derive(Debug)]
pub struct Placeholders {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    cells: BTreeMap<Arc<str>, Vec<(Arc<str>, Placeholder)>>,
    index: PlaceholderIndex,
}

/// The placeholders of a cell are known while this lives.
#[derive(Debug)]
pub(crate) struct Enrolled {
    all: Arc<Placeholders>,
    cell: Arc<str>,
}

// === impl Placeholders ===

impl Placeholders {
    /// What is known now.
    pub(crate) fn index(&self) -> PlaceholderIndex {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).index.clone()
    }

    /// Makes those of a cell known.
    pub(crate) fn enrol(
        self: &Arc<Self>,
        cell: Arc<str>,
        placeholders: Vec<(Arc<str>, Placeholder)>,
    ) -> Enrolled {
        self.change(|cells| drop(cells.insert(cell.clone(), placeholders)));
        Enrolled { all: self.clone(), cell }
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Arc<str>, Vec<(Arc<str>, Placeholder)>>)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known.cells);
        let of_cell = |(cell, of_cell): (&'_ Arc<str>, &'_ Vec<(Arc<str>, Placeholder)>)| {
            let one = |(secret, placeholder): &(Arc<str>, Placeholder)| {
                (cell.to_string(), secret.to_string(), placeholder.clone())
            };
            of_cell.iter().map(one).collect::<Vec<_>>()
        };
        let all: Vec<_> = known.cells.iter().flat_map(of_cell).collect();
        known.index = PlaceholderIndex::new(all.iter().map(|(cell, secret, p)| (&**cell, &**secret, p)));
    }
}

impl Default for Placeholders {
    fn default() -> Self {
        Self { known: Mutex::new(Known { cells: BTreeMap::new(), index: PlaceholderIndex::new([]) }) }
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.all.change(|cells| drop(cells.remove(&self.cell)));
    }
}
