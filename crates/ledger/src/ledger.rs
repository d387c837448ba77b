//! The handle callers write through.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use cella_event::{Draft, Hash, Head, Int, Kind, Map, Micros, Seq, Value};
use tokio::sync::{oneshot, watch};

use crate::{
    AppendError, CloseError, Health, OBJECT_BYTES_MIN, OpenError, Opened, Options, PAYLOAD_BYTES_MAX,
    Payload, Reader, Store, StoreError, Tail,
    lock::Lock,
    objects::{Objects, Staged},
    open,
    queue::{Job, Queue},
    sqlite::SqliteStore,
    writer::Writer,
};

/// When an append counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// After the commit that contains it: it survives the loss of power. For intents of effects.
    Flushed,
    /// As soon as it has its place: it is on disk within [`crate::COMMIT_DELAY`] or so. For reads and outcomes.
    Buffered,
}

/// The place an event got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its sequence number.
    pub seq: Seq,
    /// The time that was recorded.
    pub time: Micros,
}

/// An open ledger. Cheap to clone; the last handle to go flushes and closes it.
#[derive(Clone)]
pub struct Ledger {
    inside: Arc<Inside>,
}

struct Inside {
    queue: Arc<Queue>,
    head: watch::Receiver<Head>,
    reader: Reader,
    objects: Arc<Objects>,
    dir: PathBuf,
    /// The writer and the lock it holds; gone once the ledger is closed.
    writer: Mutex<Option<(Writing, Lock)>>,
}

/// The writer's thread.
type Writing = JoinHandle<Result<(), CloseError>>;

// === impl Ledger ===

impl Ledger {
    /// Opens the ledger of a directory, making it when it is absent, and checks its end. Blocking.
    ///
    /// # Errors
    /// [`OpenError`]; a reader can be opened all the same with [`Reader::open`].
    pub fn open(options: &Options) -> Result<(Self, Opened), OpenError> {
        let lock = open::begin(options)?;
        let store = Box::new(SqliteStore::open(options)?);
        Self::start(options, lock, store)
    }

    /// Opens a ledger over another storage than SQLite. The directory holds its lock, mark and objects.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn over(options: &Options, store: Box<dyn Store>) -> Result<(Self, Opened), OpenError> {
        let lock = open::begin(options)?;
        Self::start(options, lock, store)
    }

    fn start(options: &Options, lock: Lock, store: Box<dyn Store>) -> Result<(Self, Opened), OpenError> {
        let open::Parts { store, mark, opened, consent } = open::check(options, store)?;
        let objects = Arc::new(Objects::new(&options.dir));
        let (sender, head) = watch::channel(opened.head);
        let reader = Reader::new(store.source(), Arc::clone(&objects), head.clone());
        let queue = Arc::new(Queue::new(options, opened.head.seq.next()));
        let writer = Writer { queue: Arc::clone(&queue), store, mark, head: sender };
        let thread = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run_until_closed())
            .map_err(StoreError::file("starting the writer of", &options.dir))?;
        let inside = Inside {
            queue,
            head,
            reader,
            objects,
            dir: options.dir.clone(),
            writer: Mutex::new(Some((thread, lock))),
        };
        let ledger = Self { inside: Arc::new(inside) };
        ledger.announce(&opened)?;
        if let Some(consent) = consent {
            // After the commit: the file goes when what it allowed is on record.
            let used = ledger.inside.queue.submit(Job(Box::new(move |_| open::use_up(&consent))));
            if let Err(error) = used {
                tracing::error!(%error, "the consent to a loss is still there");
            }
        }
        Ok((ledger, opened))
    }

    /// Appends a buffered event without waiting and without a task switch: for the hot path.
    ///
    /// # Errors
    /// [`AppendError::Full`] and [`AppendError::Large`] mean: use [`Ledger::append`]. [`AppendError::Failing`] when the
    /// queue is full and the storage fails.
    pub fn try_append(&self, draft: &Draft, payloads: &[Payload<'_>]) -> Result<Appended, AppendError> {
        if let Some(large) = payloads.iter().find(|p| p.bytes.len() >= OBJECT_BYTES_MIN) {
            return Err(AppendError::Large { got: large.bytes.len() });
        }
        let encoded = draft.encode(payloads.iter().map(Payload::reference))?;
        let place = self.inside.queue.push(&encoded, payloads, &mut Vec::new(), false)?;
        Ok(Appended { seq: place.seq, time: place.time })
    }

    /// Appends an event. `payloads` stand in the order of their names. Waits for room when the queue is full, and with
    /// [`Durability::Flushed`] for the commit. Events of one caller that awaits each append stand in the order of its
    /// appends.
    ///
    /// # Errors
    /// After [`AppendError::Unconfirmed`] the event keeps its place but must not be acted upon; after any other error it
    /// is not in the ledger.
    ///
    /// # Cancel safety
    /// Dropped before it completes, the event may be in the ledger or not.
    pub async fn append(
        &self,
        draft: &Draft,
        payloads: &[Payload<'_>],
        durability: Durability,
    ) -> Result<Appended, AppendError> {
        let encoded = draft.encode(payloads.iter().map(Payload::reference))?;
        let mut staged = self.stage(payloads).await?;
        let flush = durability == Durability::Flushed;
        let place = loop {
            let space = self.inside.queue.space();
            tokio::pin!(space);
            space.as_mut().enable();
            match self.inside.queue.push(&encoded, payloads, &mut staged, flush) {
                Err(AppendError::Full) => space.await,
                pushed => break pushed?,
            }
        };
        if let Some(durable) = place.durable {
            durable.await.map_err(|_| self.inside.queue.silence())??;
        }
        Ok(Appended { seq: place.seq, time: place.time })
    }

    /// Waits until every event appended so far is durable, and returns the head.
    ///
    /// # Errors
    /// As [`Ledger::append`] with [`Durability::Flushed`].
    pub async fn flush(&self) -> Result<Head, AppendError> {
        if let Some(receiver) = self.inside.queue.flush()? {
            receiver.await.map_err(|_| self.inside.queue.silence())??;
        }
        Ok(self.head())
    }

    /// The last durable event.
    #[must_use]
    pub fn head(&self) -> Head {
        *self.inside.head.borrow()
    }

    /// Whether the ledger can record. Cheap enough to ask before each effect.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inside.queue.health()
    }

    /// Completes when the writer has ended by a fault of its own: nothing will be recorded any more, and only opening
    /// the ledger again helps. Never completes otherwise.
    ///
    /// # Cancel safety
    /// Safe; asking again later gives the same answer.
    pub async fn ended(&self) -> StoreError {
        self.inside.queue.ended().await
    }

    /// Events that are not durable yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inside.queue.waiting()
    }

    /// The reading side. Sees durable events only.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.inside.reader.clone()
    }

    /// Follows the ledger from an event on: every durable event once, in order, without end. Starting after the head is
    /// `ledger.head().seq.next()`.
    #[must_use]
    pub fn tail(&self, from: Seq) -> Tail {
        Tail::new(self.reader(), self.inside.head.clone(), from)
    }

    /// Has the writer do something with its store between two commits, and waits for what came of it.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, AppendError> {
        let (sender, receiver) = oneshot::channel();
        let job = move |store: &mut dyn Store| {
            let _gone = sender.send(work(store)).is_err();
        };
        self.inside.queue.submit(Job(Box::new(job)))?;
        receiver.await.map_err(|_| self.inside.queue.silence())
    }

    pub(crate) fn objects(&self) -> Arc<Objects> {
        Arc::clone(&self.inside.objects)
    }

    /// The directory it was opened with.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inside.dir
    }

    /// Writes what waits, ends the writer and lets the next one in; later appends are refused. Blocking, and safe to
    /// call more than once.
    ///
    /// # Errors
    /// [`CloseError`] when the storage fails and events are left out.
    pub fn close(&self) -> Result<(), CloseError> {
        self.inside.close()
    }

    async fn stage(&self, payloads: &[Payload<'_>]) -> Result<Vec<Option<Staged>>, AppendError> {
        if payloads.iter().all(|p| p.bytes.len() < OBJECT_BYTES_MIN) {
            return Ok(Vec::new());
        }
        let mut staged = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let got = payload.bytes.len();
            if got > PAYLOAD_BYTES_MAX {
                return Err(AppendError::PayloadTooLarge { max: PAYLOAD_BYTES_MAX, got });
            }
            if got < OBJECT_BYTES_MIN {
                staged.push(None);
                continue;
            }
            let (objects, digest) = (Arc::clone(&self.inside.objects), *payload.digest());
            let bytes = payload.bytes.to_vec();
            let written = tokio::task::spawn_blocking(move || objects.stage(&digest, bytes)).await;
            let object = written.map_err(|_| AppendError::Closed)?;
            staged.push(Some(object.map_err(|reason| AppendError::Failing { reason })?));
        }
        Ok(staged)
    }

    /// The first event names the ledger, so that two ledgers never share a hash; a repaired one says what it lost.
    fn announce(&self, opened: &Opened) -> Result<(), OpenError> {
        let mut drafts = Vec::new();
        if opened.head == Head::GENESIS {
            let mut id = [0; 32];
            getrandom::fill(&mut id).map_err(OpenError::NoRandomness)?;
            let id = Hash::from_bytes(id).to_string();
            drafts.push(Draft::new(Kind::LedgerCreated).body(Map::new().with("ledger", id)));
        }
        if opened.cut.is_some() || opened.lost.is_some() {
            drafts.push(Draft::new(Kind::LedgerRecovered).body(recovery(opened)));
        }
        for draft in drafts {
            // Neither an encoding error nor a full queue can happen here; a failing disk shows in `health`.
            if let Err(error) = self.try_append(&draft, &[]) {
                tracing::error!(%error, "the opening of the ledger is not on record");
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("dir", &self.inside.dir).field("head", &self.head()).finish()
    }
}

// === impl Inside ===

impl Inside {
    fn close(&self) -> Result<(), CloseError> {
        self.queue.close();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who close at the same time wait for the first; then the next writer may have the ledger.
        let Some((thread, _lock)) = writer.take() else { return Ok(()) };
        match thread.join() {
            Ok(result) => result,
            // Every fault of the writer was caught in its thread, but for one in telling of it.
            Err(_) => Err(CloseError {
                events: self.queue.waiting() as u64,
                reason: StoreError::Ended { why: "no reason given".into() },
            }),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing the ledger");
        }
    }
}

fn recovery(opened: &Opened) -> Map {
    let mut body = Map::new();
    if let Some(cut) = &opened.cut {
        let cut = Map::new()
            .with("fault", cut.fault.to_string())
            .with("first", Int::saturating(cut.first.0))
            .with("last", Int::saturating(cut.last.0));
        body = body.with("cut", Value::Map(cut));
    }
    if opened.loss_accepted {
        body = body.with("accepted", true);
    }
    if let Some(lost) = opened.lost {
        let lost = Map::new().with("hash", lost.hash.to_string()).with("last", Int::saturating(lost.seq.0));
        body = body.with("lost", Value::Map(lost));
    }
    body
}
