//! The copies of one cell: made before it, watched while it lives, captured when it has ended.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cella_cell::{Access, Handle, LimitHit, Spec, Ward};
use cella_contract::{CellClass, Contract};
use cella_freezer::Freezer;
use tokio::task::JoinHandle;

use crate::{
    About, COPY_BYTES, Checkpoint, DISK_FREE_MIN, Kept, Layers, Measure, Store, Usage, WorkspaceError,
};

/// How often the layers are looked at. A cell that fills the disk goes on until the next look.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How much longer than a look itself the time between two is, so that looking stays a small part of the node's work.
const LOOK_SHARE: u32 = 10;

/// Looks in a row that may fail before the cell is ended: a single one may have met a directory as it went.
const FAILED_LOOKS: u32 = 3;

/// Where a cell's changes to its copies land. Dropping it leaves them for the next start of a node to capture.
#[derive(Debug)]
pub struct Workspace {
    /// Held by whoever looks at them: a checkpoint goes on when nobody waits for it any more.
    layers: Arc<Mutex<Layers>>,
    id: String,
    store: Store,
    freezer: Freezer,
    watching: JoinHandle<()>,
}

/// A way to the layers of a cell for whoever does not own them: a checkpoint can be made as long as they are there.
#[derive(Clone, Debug)]
pub struct Watcher {
    layers: Arc<Mutex<Layers>>,
    freezer: Freezer,
    store: Store,
}

impl Layers {
    /// Makes the layers that a specification needs, and puts them into it; `from`: the workspace that the run starts from.
    /// `None` for a cell without copies.
    ///
    /// # Errors
    /// As for [`Store::begin`], and a class of cell that has none.
    pub async fn of(
        spec: &mut Spec,
        contract: &Contract,
        (store, from): (Store, Option<String>),
    ) -> Result<Option<Self>, WorkspaceError> {
        let copies = || spec.mounts.iter().filter(|mount| mount.access == Access::Copy);
        let mut roots: Vec<PathBuf> = copies().map(|mount| mount.source.clone()).collect();
        roots.sort();
        roots.dedup();
        let Some(first) = roots.first().cloned().or_else(|| from.is_some().then(PathBuf::new)) else {
            return Ok(None);
        };
        if contract.class != CellClass::Process {
            let class = contract.class.as_str().to_owned();
            return Err(WorkspaceError::Class { class, path: first });
        }
        let command = [spec.program.command.display().to_string()];
        let command = command.into_iter().chain(spec.program.args.iter().cloned()).collect();
        let about = About { name: spec.name.clone(), command, cell: String::new() };
        let limit = contract.limits.copy_bytes.unwrap_or(COPY_BYTES);
        let layers = blocking(move || store.begin(about, &roots, limit, from.as_deref())).await?;
        let places: Vec<_> = layers.places().map(|(root, layer)| (root.to_owned(), layer)).collect();
        for mount in spec.mounts.iter().filter(|mount| mount.access == Access::Copy) {
            let place = places.iter().find(|(root, _)| *root == mount.source);
            spec.layers.extend(place.map(|(_, layer)| (mount.target.clone(), layer.clone())));
        }
        // One file is stopped by the kernel, not at the next look.
        spec.limits.file_bytes = Some(spec.limits.file_bytes.map_or(limit, |bytes| bytes.min(limit)));
        Ok(Some(layers))
    }

    /// For a cell that did not come about.
    pub async fn forget(self) {
        if let Err(error) = blocking(move || self.remove()).await {
            tracing::warn!(%error, "the layers of a cell that did not start are still there");
        }
    }
}

// === impl Workspace ===

impl Workspace {
    /// The layers of a cell that runs now; they are watched from here on.
    #[must_use]
    pub fn new(mut layers: Layers, cell: &Handle) -> Self {
        if let Err(error) = layers.worked_in_by(cell.id()) {
            tracing::warn!(%error, "which cell works in a workspace is not written down");
        }
        let watching = tokio::spawn(watch(layers.measure(), cell.ward(), layers.limit()));
        let (id, store) = (layers.id().to_owned(), layers.store().clone());
        Self { layers: Arc::new(Mutex::new(layers)), id, store, freezer: cell.freezer(), watching }
    }

    /// Its id, under which it is found once it is captured.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// For whoever keeps what the cell has changed while somebody else ends it.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher { layers: self.layers.clone(), freezer: self.freezer.clone(), store: self.store.clone() }
    }

    /// Where it will be kept.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// What is kept of it from here on is to be put on record, whatever comes between.
    pub(crate) fn owe(&self) {
        self.watcher().owe();
    }

    /// Keeps what the cell has changed so far; it lives on. No call should be running: the cell stands still for the moment
    /// where that can be done, and else must write nothing.
    ///
    /// # Errors
    /// The disk, or a cell that does not stop writing and cannot be made to stand still.
    pub async fn checkpoint(&self) -> Result<Checkpoint, WorkspaceError> {
        self.watcher().checkpoint().await
    }

    /// Keeps what the cell changed, once it has ended; `None` if that is nothing.
    ///
    /// # Errors
    /// The disk; the next start of a node tries again.
    pub async fn capture(self) -> Result<Option<Kept>, WorkspaceError> {
        self.watching.abort();
        let layers = self.layers;
        blocking(move || held(&layers).captured()).await
    }

    /// Forgets what the cell changed, once it has ended.
    pub async fn discard(self) {
        self.watching.abort();
        let layers = self.layers;
        if let Err(error) = blocking(move || held(&layers).removed()).await {
            tracing::warn!(%error, "the layers of a cell whose changes nobody keeps are still there");
        }
    }
}

// === impl Watcher ===

impl Watcher {
    /// Where it is kept.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    pub(crate) fn owe(&self) {
        held(&self.layers).owes = true;
    }

    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, WorkspaceError> {
        let (layers, freezer) = (self.layers.clone(), self.freezer.clone());
        blocking(move || held(&layers).checkpoint(&freezer)).await
    }
}

fn held(layers: &Mutex<Layers>) -> MutexGuard<'_, Layers> {
    // What a checkpoint that panicked has left is no worse than what one that failed has.
    layers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the cell when its copies have grown too large. Nothing of the kernel does: a layer lies on the host's disk.
async fn watch(measure: Measure, ward: Ward, limit: u64) {
    let mut gauge = Gauge { limit, at_first: None, failed: 0 };
    loop {
        let began = Instant::now();
        // The room first, and by itself: it is known whatever the cell has done to its layer.
        let over = gauge.is_full(look(&measure, Measure::free).await)
            || gauge.is_past(look(&measure, Measure::take).await);
        if over {
            return ward.over(LimitHit::Disk);
        }
        tokio::time::sleep(LOOK_EVERY.max(began.elapsed() * LOOK_SHARE)).await;
    }
}

async fn look<T: Send + 'static>(measure: &Measure, take: fn(&Measure) -> io::Result<T>) -> io::Result<T> {
    let measure = measure.clone();
    tokio::task::spawn_blocking(move || take(&measure)).await.map_err(io::Error::other)?
}

/// Whether what was seen is too much.
#[derive(Debug)]
struct Gauge {
    limit: u64,
    /// Bytes that were free at the first look.
    at_first: Option<u64>,
    /// Looks in a row that came to nothing.
    failed: u32,
}

impl Gauge {
    fn is_full(&mut self, free: io::Result<u64>) -> bool {
        match free {
            Ok(free) => {
                self.at_first.get_or_insert(free);
                free < DISK_FREE_MIN
            }
            Err(error) => self.fails(&error),
        }
    }

    fn is_past(&mut self, usage: io::Result<Usage>) -> bool {
        match usage {
            Ok(usage) => {
                self.failed = 0;
                // What nobody can see is taken to be what the disk has lost meanwhile.
                let lost = self.at_first.unwrap_or(usage.free).saturating_sub(usage.free);
                usage.is_over(self.limit) || (usage.closed > 0 && lost > self.limit)
            }
            Err(error) => self.fails(&error),
        }
    }

    /// A layer that cannot be measured is no layer without a limit.
    fn fails(&mut self, error: &io::Error) -> bool {
        tracing::warn!(%error, "the copies of a cell could not be measured");
        self.failed += 1;
        self.failed >= FAILED_LOOKS
    }
}

/// Work on the disk, off the threads that carry calls.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            Err(WorkspaceError::System { path: PathBuf::from("workspaces"), source: io::Error::other(error) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(closed: u64, free: u64) -> io::Result<Usage> {
        Ok(Usage { closed, free, ..Usage::default() })
    }

    fn gauge() -> Gauge {
        Gauge { limit: 1 << 30, at_first: None, failed: 0 }
    }

    #[test]
    fn looks_that_fail_again_and_again_end_the_cell() {
        let mut gauge = gauge();
        let fails = |gauge: &mut Gauge| gauge.is_past(Err(io::ErrorKind::PermissionDenied.into()));
        assert!(!fails(&mut gauge) && !fails(&mut gauge));
        assert!(!gauge.is_past(usage(0, u64::MAX)), "one that succeeds makes up for them");
        assert!(!fails(&mut gauge) && !fails(&mut gauge) && fails(&mut gauge));
    }

    #[test]
    fn what_is_closed_to_us_is_what_the_disk_has_lost() {
        let mut gauge = gauge();
        assert!(!gauge.is_full(Ok(8 << 30)));
        assert!(!gauge.is_past(usage(1, 15 << 29)));
        assert!(!gauge.is_past(usage(0, 6 << 30)), "somebody else took it");
        assert!(gauge.is_past(usage(1, 6 << 30)));
    }

    #[test]
    fn a_full_disk_ends_the_cell_whatever_the_walk_finds() {
        assert!(gauge().is_full(Ok(DISK_FREE_MIN - 1)));
    }
}
