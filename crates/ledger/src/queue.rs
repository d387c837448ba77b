//! What waits for the disk: filled by callers under a short lock, emptied by the writer.
//!
//! A caller holds the lock for a few copies. The chain is hashed by the writer, which alone knows each predecessor; the
//! sequence number is given here, so that the order of the queue is the order of the ledger.

use std::{
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cella_event::{Encoded, Micros, Seq};
use tokio::sync::{Notify, oneshot, watch};

use crate::{
    AppendError, COMMIT_BYTES, Clock, Health, Options, Payload, Store, StoreError,
    block::{Record, State},
    objects::Staged,
};

/// The place an event got, and where word of its commit will come when somebody waits for it.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) seq: Seq,
    pub(crate) time: Micros,
    pub(crate) durable: Option<Word>,
}

/// Word of a commit, for the one who waits.
pub(crate) type Word = oneshot::Receiver<Result<(), AppendError>>;

/// Tells a waiting caller how its commit ended.
pub(crate) type Waiter = (Seq, oneshot::Sender<Result<(), AppendError>>);

/// Events on their way, in the layout of a block. `prev` is still to be filled in.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) first: Seq0,
    pub(crate) count: u32,
    pub(crate) since: Option<Micros>,
    pub(crate) until: Option<Micros>,
    /// Length-prefixed canonical bytes.
    pub(crate) events: Vec<u8>,
    /// Per event, where in its canonical bytes the predecessor stands.
    pub(crate) prev_at: Vec<u32>,
    pub(crate) payloads: Vec<u8>,
    pub(crate) objects: Vec<Staged>,
    pub(crate) object_bytes: usize,
    pub(crate) waiters: Vec<Waiter>,
    /// Other work that needs the store, done after the commit.
    pub(crate) jobs: Vec<Job>,
}

/// Work on the store that is not an append.
pub(crate) struct Job(pub(crate) Work);

type Work = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// A sequence number that is 0 while the batch is empty.
pub(crate) type Seq0 = u64;

#[derive(Debug)]
struct Inside {
    next: Seq,
    pending: Batch,
    /// When the first pending event came.
    oldest: Option<Instant>,
    committing_events: usize,
    committing_bytes: usize,
    asleep: Asleep,
    health: Health,
    closing: bool,
    spare: Option<Batch>,
}

/// Whether the writer must be woken, and for what: a wake-up costs more than an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asleep {
    No,
    /// It will look again when the oldest event is due.
    UntilDue,
    UntilAny,
}

#[derive(Debug)]
pub(crate) struct Queue {
    inside: Mutex<Inside>,
    wake: Condvar,
    space: Notify,
    events_max: usize,
    bytes_max: usize,
    delay: Duration,
    clock: Clock,
    /// Why the writer ended by a fault of its own, once it has.
    ended: watch::Sender<Option<StoreError>>,
}

// === impl Job ===

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

// === impl Batch ===

impl Batch {
    pub(crate) fn bytes(&self) -> usize {
        self.events.len() + self.payloads.len() + self.object_bytes
    }

    /// True when somebody waits for it, or it is large enough.
    fn is_urgent(&self) -> bool {
        !self.waiters.is_empty() || !self.jobs.is_empty() || self.bytes() >= COMMIT_BYTES
    }

    fn clear(&mut self) {
        let Self { events, prev_at, payloads, objects, waiters, jobs, .. } = self;
        jobs.clear();
        events.clear();
        prev_at.clear();
        payloads.clear();
        objects.clear();
        waiters.clear();
        (self.first, self.count, self.object_bytes) = (0, 0, 0);
        (self.since, self.until) = (None, None);
    }

    fn push(
        &mut self,
        seq: Seq,
        time: Micros,
        encoded: &Encoded,
        payloads: &[Payload<'_>],
        mut staged: Vec<Option<Staged>>,
    ) {
        let start = self.events.len();
        self.events.extend_from_slice(&[0; 4]);
        let prev_at = encoded.seal_into(&mut self.events, seq, time);
        let length = u32::try_from(self.events.len() - start - 4).unwrap_or_default();
        self.events[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.prev_at.push(u32::try_from(prev_at).unwrap_or_default());
        for (i, payload) in payloads.iter().enumerate() {
            let object = staged.get_mut(i).and_then(Option::take);
            let state = match &object {
                Some(_) => State::Object,
                None if payload.reference.is_kept() => State::Inline,
                None => State::NeverKept,
            };
            let bytes = if state == State::Inline { &*payload.bytes } else { &[] };
            let name = payload.reference.name.as_str();
            Record { index: self.count, state, name, salt: payload.salt, bytes }.write(&mut self.payloads);
            if let Some(object) = object {
                self.object_bytes += object.bytes();
                self.objects.push(object);
            }
        }
        if self.count == 0 {
            self.first = seq.0;
        }
        self.count += 1;
        self.since = Some(self.since.map_or(time, |t| t.min(time)));
        self.until = Some(self.until.map_or(time, |t| t.max(time)));
    }
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(options: &Options, next: Seq) -> Self {
        Self {
            inside: Mutex::new(Inside {
                next,
                pending: Batch::default(),
                oldest: None,
                committing_events: 0,
                committing_bytes: 0,
                asleep: Asleep::No,
                health: Health::Well,
                closing: false,
                spare: None,
            }),
            wake: Condvar::new(),
            space: Notify::new(),
            events_max: options.queue_events_max,
            bytes_max: options.queue_bytes_max,
            delay: options.commit_delay,
            clock: options.clock.clone(),
            ended: watch::Sender::default(),
        }
    }

    /// Gives an event its place. With a waiter, the commit starts at once. `staged` has an entry per payload, or none.
    pub(crate) fn push(
        &self,
        encoded: &Encoded,
        payloads: &[Payload<'_>],
        staged: &mut Vec<Option<Staged>>,
        flush: bool,
    ) -> Result<Pushed, AppendError> {
        let payload_bytes: usize = payloads.iter().map(|p| p.bytes.len()).sum();
        let mut inside = self.lock();
        inside.admit(flush)?;
        let waiting = inside.waiting_events();
        let bytes = inside.waiting_bytes() + encoded.sealed_bytes_max() + payload_bytes;
        // One event always fits an empty queue, however large, so that nothing waits for ever.
        if waiting > 0 && (waiting >= self.events_max || bytes > self.bytes_max) {
            return Err(inside.full());
        }
        let time = self.clock.read();
        let seq = inside.next;
        inside.next = seq.next();
        inside.pending.push(seq, time, encoded, payloads, std::mem::take(staged));
        let durable = flush.then(|| {
            let (sender, receiver) = oneshot::channel();
            inside.pending.waiters.push((seq, sender));
            receiver
        });
        if inside.oldest.is_none() {
            inside.oldest = Some(Instant::now());
        }
        self.wake_if_needed(inside);
        Ok(Pushed { seq, time, durable })
    }

    /// Asks for a commit of all that waits, and for word of it. `None` when nothing waits.
    pub(crate) fn flush(&self) -> Result<Option<Word>, AppendError> {
        let mut inside = self.lock();
        inside.admit(true)?;
        let last = Seq(inside.next.0 - 1);
        if inside.waiting_events() == 0 {
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        inside.pending.waiters.push((last, sender));
        self.wake_if_needed(inside);
        Ok(Some(receiver))
    }

    /// Has the writer do something else with its store. The job is dropped undone when the ledger is closed.
    pub(crate) fn submit(&self, job: Job) -> Result<(), AppendError> {
        let mut inside = self.lock();
        inside.admit(true)?;
        inside.pending.jobs.push(job);
        self.wake_if_needed(inside);
        Ok(())
    }

    /// Completes when there may be room again. Made before the attempt that fails, so that no wake-up is missed.
    pub(crate) fn space(&self) -> tokio::sync::futures::Notified<'_> {
        self.space.notified()
    }

    /// For the writer: waits for a batch that is due. `None` when the ledger is closed and all is written.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut inside = self.lock();
        loop {
            let due = inside.due_in(self.delay);
            if due == Some(Duration::ZERO) {
                return Some(inside.take());
            }
            if inside.closing && due.is_none() {
                return None;
            }
            inside = match due {
                Some(wait) => {
                    inside.asleep = Asleep::UntilDue;
                    self.wake.wait_timeout(inside, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    inside.asleep = Asleep::UntilAny;
                    self.wake.wait(inside).unwrap_or_else(PoisonError::into_inner)
                }
            };
            inside.asleep = Asleep::No;
        }
    }

    /// For the writer: a batch is durable.
    pub(crate) fn done(&self, mut batch: Batch) {
        batch.clear();
        let mut inside = self.lock();
        inside.committing_events = 0;
        inside.committing_bytes = 0;
        inside.health = Health::Well;
        inside.spare = Some(batch);
        drop(inside);
        self.space.notify_waiters();
    }

    /// For the writer: a commit failed. Those who wait for durability are told; nothing leaves the queue. Returns false
    /// when the ledger is closing and the writer should give up.
    pub(crate) fn failed(&self, reason: &StoreError, mut waiters: Vec<Waiter>, pause: Duration) -> bool {
        let mut inside = self.lock();
        waiters.append(&mut inside.pending.waiters);
        inside.health = Health::Failing { reason: reason.clone(), waiting: inside.waiting_events() };
        for (seq, waiter) in waiters {
            let _gone = waiter.send(Err(AppendError::Unconfirmed { seq, reason: reason.clone() })).is_err();
        }
        drop(inside);
        // Those who wait for room must learn that there will be none for a while.
        self.space.notify_waiters();
        let inside = self.lock();
        if inside.closing {
            return false;
        }
        let wait = self.wake.wait_timeout_while(inside, pause, |inside| !inside.closing);
        !wait.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_all();
        self.space.notify_waiters();
    }

    /// For the writer: it ends by a fault of its own. Everybody who waits is told, and nobody is admitted any more.
    pub(crate) fn end(&self, reason: &StoreError) {
        let mut inside = self.lock();
        inside.health = Health::Ended { reason: reason.clone() };
        let (waiters, jobs) =
            (std::mem::take(&mut inside.pending.waiters), std::mem::take(&mut inside.pending.jobs));
        drop(inside);
        for (_, waiter) in waiters {
            let _gone = waiter.send(Err(AppendError::Ended { reason: reason.clone() })).is_err();
        }
        drop(jobs);
        self.space.notify_waiters();
        self.ended.send_replace(Some(reason.clone()));
    }

    /// What it means when word of a commit never comes.
    pub(crate) fn silence(&self) -> AppendError {
        let inside = self.lock();
        match &inside.health {
            Health::Ended { reason } => AppendError::Ended { reason: reason.clone() },
            _ if inside.closing => AppendError::Closed,
            // The writer is falling at this moment, and has not said why yet.
            _ => AppendError::Ended { reason: StoreError::Ended { why: "it broke off".into() } },
        }
    }

    /// Completes when the writer has ended by a fault of its own.
    pub(crate) async fn ended(&self) -> StoreError {
        let mut ended = self.ended.subscribe();
        let reason = match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            // The sender lives as long as this queue.
            Err(_) => None,
        };
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn health(&self) -> Health {
        let inside = self.lock();
        match &inside.health {
            Health::Failing { reason, .. } => {
                Health::Failing { reason: reason.clone(), waiting: inside.waiting_events() }
            }
            ended @ Health::Ended { .. } => ended.clone(),
            _ if inside.closing => Health::Closed,
            health => health.clone(),
        }
    }

    /// Events that are not durable yet.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting_events()
    }

    fn wake_if_needed(&self, inside: MutexGuard<'_, Inside>) {
        let now = inside.pending.is_urgent();
        let wake = match inside.asleep {
            Asleep::No => false,
            Asleep::UntilDue => now,
            Asleep::UntilAny => true,
        };
        drop(inside);
        if wake {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inside ===

impl Inside {
    fn admit(&self, flush: bool) -> Result<(), AppendError> {
        if self.closing {
            return Err(AppendError::Closed);
        }
        match &self.health {
            Health::Ended { reason } => Err(AppendError::Ended { reason: reason.clone() }),
            Health::Failing { reason, .. } if flush => Err(AppendError::Failing { reason: reason.clone() }),
            _ => Ok(()),
        }
    }

    fn full(&self) -> AppendError {
        match &self.health {
            Health::Failing { reason, .. } => AppendError::Failing { reason: reason.clone() },
            _ => AppendError::Full,
        }
    }

    const fn waiting_events(&self) -> usize {
        self.pending.count as usize + self.committing_events
    }

    fn waiting_bytes(&self) -> usize {
        self.pending.bytes() + self.committing_bytes
    }

    /// How long until the pending batch must be committed; `None` when there is nothing to commit.
    fn due_in(&self, delay: Duration) -> Option<Duration> {
        if self.pending.is_urgent() {
            return Some(Duration::ZERO);
        }
        if self.pending.count == 0 {
            return None;
        }
        if self.closing {
            return Some(Duration::ZERO);
        }
        self.oldest.map(|oldest| delay.saturating_sub(oldest.elapsed()))
    }

    fn take(&mut self) -> Batch {
        let spare = self.spare.take().unwrap_or_default();
        let batch = std::mem::replace(&mut self.pending, spare);
        self.oldest = None;
        self.committing_events = batch.count as usize;
        self.committing_bytes = batch.bytes();
        batch
    }
}
