//! One instance of a server, seen from those who want to use it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use cella_transport::Fault;
use tokio::{sync::watch, time::Instant};

use crate::{Instance, InstanceKey, Upstream};

/// Place of one instance, from the decision to start it until its process is gone.
pub(crate) struct Slot {
    pub(crate) key: InstanceKey,
    /// When its start was decided.
    pub(crate) began: Instant,
    /// How long lists wait for it, from then on.
    pub(crate) patience: Duration,
    phase: watch::Sender<Phase>,
    stop: watch::Sender<bool>,
    /// Calls in progress.
    busy: AtomicUsize,
    /// End of the last call, in milliseconds after `began`.
    used: AtomicU64,
    answered: AtomicBool,
    guard: Mutex<Option<Box<dyn Instance>>>,
    last_words: Mutex<Vec<String>>,
}

/// Where an instance is in its life.
#[derive(Clone)]
pub(crate) enum Phase {
    /// On its way.
    Starting,
    /// In use.
    Ready(Arc<dyn Upstream>),
    /// Gone; with a fault when it went by itself, without when it was stopped.
    Over(Option<Fault>),
}

/// The right to use an instance; while it lives the instance is not stopped for being idle.
pub(crate) struct Entered {
    pub(crate) slot: Arc<Slot>,
    pub(crate) upstream: Arc<dyn Upstream>,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn new(key: InstanceKey, now: Instant, patience: Duration) -> Self {
        Self {
            key,
            began: now,
            patience,
            phase: watch::Sender::new(Phase::Starting),
            stop: watch::Sender::new(false),
            busy: AtomicUsize::new(0),
            used: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            guard: Mutex::new(None),
            last_words: Mutex::default(),
        }
    }

    pub(crate) fn is_starting(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Starting)
    }

    pub(crate) fn upstream(&self) -> Option<Arc<dyn Upstream>> {
        match &*self.phase.borrow() {
            Phase::Ready(upstream) if !self.is_stopping() && !upstream.is_closed() => Some(upstream.clone()),
            _ => None,
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Waits until it is ready or over.
    pub(crate) async fn settled(&self) -> Phase {
        let mut phases = self.phase.subscribe();
        match phases.wait_for(|phase| !matches!(phase, Phase::Starting)).await {
            Ok(phase) => phase.clone(),
            Err(_) => Phase::Over(None),
        }
    }

    /// Waits until its process is gone.
    pub(crate) async fn over(&self) {
        let mut phases = self.phase.subscribe();
        let _gone_too = phases.wait_for(|phase| matches!(phase, Phase::Over(_))).await.is_err();
    }

    /// Asks it to stop; [`Slot::over`] tells when it has.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    pub(super) async fn stop_asked(&self) {
        let _sender_is_ours = self.stop.subscribe().wait_for(|asked| *asked).await.is_err();
    }

    /// Takes the right to use it, when it is ready.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entered> {
        let upstream = self.upstream()?;
        self.busy.fetch_add(1, Ordering::AcqRel);
        Some(Entered { slot: self.clone(), upstream })
    }

    pub(crate) fn busy(&self) -> usize {
        self.busy.load(Ordering::Acquire)
    }

    /// When it was last used.
    pub(crate) fn used_at(&self) -> Instant {
        self.began + Duration::from_millis(self.used.load(Ordering::Acquire))
    }

    pub(super) fn mark_used(&self) {
        self.used.store(self.began.elapsed().as_millis() as u64, Ordering::Release);
    }

    /// It has answered a call: it is of some use.
    pub(super) fn mark_answered(&self) {
        self.answered.store(true, Ordering::Release);
    }

    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    pub(super) fn put_guard(&self, guard: Box<dyn Instance>) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }

    pub(super) fn take_guard(&self) -> Option<Box<dyn Instance>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What it wrote to stderr at last, kept when its process is gone.
    pub(super) fn keep_last_words(&self, lines: Vec<String>) {
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }

    pub(super) fn last_words(&self) -> Vec<String> {
        std::mem::take(&mut *self.last_words.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the running process something, when there is one.
    pub(crate) fn ask_guard<T>(&self, ask: impl FnOnce(&dyn Instance) -> T) -> Option<T> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(ask)
    }
}

// === impl Entered ===

impl Drop for Entered {
    fn drop(&mut self) {
        self.slot.mark_used();
        self.slot.busy.fetch_sub(1, Ordering::AcqRel);
    }
}
