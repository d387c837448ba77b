//! Shells: cells that are born before anybody asks for them, and wait for their program.
//!
//! A shell has everything of a cell but the program: its namespaces, root, network, groups and filters, and the process that
//! will become the program, from which every right is gone. It has run nothing. It is taken out before it is used and never
//! comes back, so that no two programs ever share anything of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{
    Ground,
    driver::{self, Tell, Wanted},
};
use crate::{CellError, Program, Running, Shape, Spec};

/// Shells of one node that are born or wait at the same time. Each takes a process and a half of memory, two process ids,
/// up to four control groups and some ten descriptors: this stops a configuration of many servers from taking them all
/// for what may never be used. Past it servers start cold.
pub const SHELLS_MAX: usize = 16;
/// How long a shell waits. Stops an old view of the host (mounts made since, files below a mount of which another was put
/// in place) from being served for ever; past it the shell ends and another is born.
pub const SHELL_AGE_MAX: Duration = Duration::from_secs(600);
/// From the loss of a shell to the birth of the next. The program that has just been given the one starts meanwhile, and
/// the two would slow each other down.
const REFILL_AFTER: Duration = Duration::from_millis(200);
/// The same when a birth failed. Stops a shape that cannot be born from being tried without end.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// All shells of a node that wait.
#[derive(Debug)]
pub(crate) struct Shells {
    waiting: Mutex<Vec<Waiting>>,
    room: Arc<Semaphore>,
}

/// One that can be taken.
#[derive(Debug)]
struct Waiting {
    number: u64,
    keeper: Arc<Keeper>,
    pid: Option<u32>,
    shell: Shell,
}

/// One that was taken: it becomes one cell, or none.
#[derive(Debug)]
pub(crate) struct Shell {
    ask: oneshot::Sender<Asked>,
}

/// Which cell it is to become, and whom to tell.
type Asked = (Arc<Wanted>, Tell);

/// The wish that some of a shape wait.
#[derive(Debug)]
struct Keeper {
    shape: Shape,
    state: watch::Sender<State>,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// Being born, waiting, or being cleared away.
    living: usize,
    waiting: usize,
    /// The last birth came to nothing.
    failed: bool,
    /// Nobody wants any more.
    over: bool,
}

/// What a shell holds of its keeper until it is used or gone.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    ground: Arc<Ground>,
    keeper: Arc<Keeper>,
    _room: OwnedSemaphorePermit,
}

/// Keeps shells of one shape waiting. Dropping it ends those that wait; what runs by then is not touched.
#[derive(Debug)]
pub struct Warm {
    ground: Arc<Ground>,
    keeper: Arc<Keeper>,
    count: usize,
}

// === impl Shells ===

impl Default for Shells {
    fn default() -> Self {
        Self { waiting: Mutex::default(), room: Arc::new(Semaphore::new(SHELLS_MAX)) }
    }
}

impl Shells {
    /// Takes out one of this specification's shape, the oldest first.
    pub(super) fn take(&self, spec: &Spec) -> Option<Shell> {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return None;
        }
        let shape = Shape::of(spec);
        let at = waiting.iter().position(|waiting| waiting.keeper.shape == shape)?;
        let Waiting { keeper, shell, .. } = waiting.remove(at);
        keeper.state.send_modify(|state| state.waiting -= 1);
        Some(shell)
    }

    fn enter(&self, one: Waiting) {
        let mut waiting = self.lock();
        // Looked at under the lock under which the last keeper's shells are taken out.
        if !one.keeper.state.borrow().over {
            one.keeper.state.send_modify(|state| {
                state.waiting += 1;
                state.failed = false;
            });
            waiting.push(one);
        }
    }

    fn remove(&self, gone: impl Fn(&Waiting) -> bool) {
        self.lock().retain(|waiting| {
            let gone = gone(waiting);
            if gone {
                waiting.keeper.state.send_modify(|state| state.waiting -= 1);
            }
            !gone
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shell {
    /// What came of it, or `None` if it was gone or did not fit any more: then it has run nothing, and will not.
    pub(super) async fn become_cell(self, wanted: &Arc<Wanted>) -> Option<Result<Running, CellError>> {
        let (tell, told) = oneshot::channel();
        self.ask.send((Arc::clone(wanted), tell)).ok()?;
        told.await.ok()
    }
}

// === impl Place ===

impl Place {
    fn new(ground: &Arc<Ground>, keeper: &Arc<Keeper>, room: OwnedSemaphorePermit) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        keeper.state.send_modify(|state| state.living += 1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { number, ground: Arc::clone(ground), keeper: Arc::clone(keeper), _room: room }
    }

    /// No shell came into being.
    pub(super) fn failed(self, error: &CellError) {
        tracing::warn!(code = error.code(), %error, "no shell could be made to wait; cells of its shape start cold");
        self.keeper.state.send_modify(|state| state.failed = true);
    }

    /// Waits to be taken; `None` when it has waited for too long, or when nobody wants it any more.
    pub(super) async fn until_asked(&self, pid: Option<u32>) -> Option<Asked> {
        let (ask, asked) = oneshot::channel();
        let (number, keeper) = (self.number, Arc::clone(&self.keeper));
        self.ground.shells.enter(Waiting { number, keeper, pid, shell: Shell { ask } });
        tokio::time::timeout(SHELL_AGE_MAX, asked).await.ok()?.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ground.shells.remove(|waiting| waiting.number == self.number);
        self.keeper.state.send_modify(|state| state.living -= 1);
    }
}

// === impl Warm ===

impl Warm {
    /// Begins to keep so many. Within a runtime.
    pub(super) fn begin(ground: &Arc<Ground>, spec: &Spec, count: usize) -> Self {
        let keeper = Keeper { shape: Shape::of(spec), state: watch::Sender::default() };
        let this = Self { ground: Arc::clone(ground), keeper: Arc::new(keeper), count };
        // Nothing of one program is left for another: a shell is told everything about its own.
        let spec = Spec { program: shown_of(spec), env: BTreeMap::new(), ..spec.clone() };
        tokio::spawn(fill(Arc::clone(ground), Arc::clone(&this.keeper), Arc::new(spec), count));
        this
    }

    /// Whether it is for cells of this shape.
    #[must_use]
    pub fn is_for(&self, spec: &Spec) -> bool {
        self.keeper.shape == Shape::of(spec)
    }

    /// Waits until as many wait as are wanted; false if they do not come to.
    pub async fn is_ready(&self) -> bool {
        let mut state = self.keeper.state.subscribe();
        let settled = state.wait_for(|state| state.failed || state.waiting >= self.count).await;
        settled.is_ok_and(|state| state.waiting >= self.count)
    }

    /// The host's ids of the first processes of those that wait; for displays.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let waiting = self.ground.shells.lock();
        let mine = waiting.iter().filter(|waiting| Arc::ptr_eq(&waiting.keeper, &self.keeper));
        mine.filter_map(|waiting| waiting.pid).collect()
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.keeper.state.send_modify(|state| state.over = true);
        self.ground.shells.remove(|waiting| Arc::ptr_eq(&waiting.keeper, &self.keeper));
    }
}

/// What of a program stands in the walls.
fn shown_of(spec: &Spec) -> Program {
    let Program { files, links, .. } = &spec.program;
    Program { files: files.clone(), links: links.clone(), ..Program::default() }
}

/// Bears one shell after the other, until nobody wants any more.
async fn fill(ground: Arc<Ground>, keeper: Arc<Keeper>, spec: Arc<Spec>, count: usize) {
    let mut state = keeper.state.subscribe();
    let mut pause = Duration::ZERO;
    loop {
        let wanted = |state: &State| state.over || (state.living < count && state.living == state.waiting);
        let Ok(seen) = state.wait_for(wanted).await.map(|seen| *seen) else { return };
        let room = async {
            tokio::time::sleep(if seen.failed { RETRY_AFTER } else { pause }).await;
            Arc::clone(&ground.shells.room).acquire_owned().await
        };
        let room = tokio::select! {
            room = room => room,
            _ = state.wait_for(|state| state.over) => return,
        };
        let Ok(room) = room else { return };
        let before = keeper.state.borrow().waiting;
        tokio::spawn(driver::wait(
            Arc::clone(&ground),
            Arc::clone(&spec),
            Place::new(&ground, &keeper, room),
        ));
        // The first ones come as fast as they can.
        pause = if before + 1 < count && pause.is_zero() { Duration::ZERO } else { REFILL_AFTER };
    }
}
