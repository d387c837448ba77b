//! The reading side: single events, ranges, payloads. Blocking calls on own connections; async callers use
//! `spawn_blocking`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use cella_event::{Event, Hash, Head, PayloadRef, Refusal, Seq, event_hash};
use tokio::sync::watch;

use crate::{
    Block, Direction, Filter, Found, OpenError, Payloads, ReadError, Source, Span, StoredPayload,
    block::{Record, State, frames, records},
    mark::Mark,
    objects::Objects,
    query,
    sqlite::SqliteSource,
};

/// Reads a ledger, also one that another process writes. Cheap to clone. Every method blocks on the disk.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) objects: Arc<Objects>,
    pub(crate) acknowledged: Acknowledged,
}

/// Who knows which event was acknowledged last. The database cannot be asked: a cut one does not know that it is.
#[derive(Clone, Debug)]
pub(crate) enum Acknowledged {
    /// The mark beside the database.
    Mark(PathBuf),
    /// The writer itself, in this process.
    Writer(watch::Receiver<Head>),
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// Its hash.
    pub hash: Hash,
    /// The bytes that were hashed; JSON, fit for printing.
    pub canonical: Box<[u8]>,
}

/// Events of a range, in order, read block by block. Ends after an error.
#[derive(Debug)]
pub struct Events {
    reader: Reader,
    next: Seq,
    last: Seq,
    block: Option<(Block, usize)>,
}

// === impl Reader ===

impl Reader {
    pub(crate) fn new(source: Arc<dyn Source>, objects: Arc<Objects>, head: watch::Receiver<Head>) -> Self {
        Self { source, objects, acknowledged: Acknowledged::Writer(head) }
    }

    /// Opens the ledger of a directory for reading only. Needs no lock: the writer may be at work, or gone.
    ///
    /// # Errors
    /// [`OpenError`] when there is no ledger that this program can read.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let source = Arc::new(SqliteSource::open(dir)?);
        Ok(Self {
            source,
            objects: Arc::new(Objects::new(dir)),
            acknowledged: Acknowledged::Mark(dir.to_owned()),
        })
    }

    /// The last durable event.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn head(&self) -> Result<Head, ReadError> {
        Ok(self.source.head()?)
    }

    /// One event; `None` when it is not there (yet).
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails or the bytes are no event.
    pub fn get(&self, seq: Seq) -> Result<Option<Entry>, ReadError> {
        self.range(seq, seq).next().transpose()
    }

    /// The events from one to another, both included.
    #[must_use]
    pub fn range(&self, first: Seq, last: Seq) -> Events {
        Events { reader: self.clone(), next: first.max(Seq(1)), last, block: None }
    }

    /// The events that a filter lets through.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn query(&self, filter: &Filter) -> Result<Found, ReadError> {
        query::run(self, filter)
    }

    /// The events that a filter lets through, one by one, with their payloads at hand; for those who want many of both. Ends
    /// when the visitor says `false`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn visit(
        &self,
        filter: &Filter,
        visitor: &mut dyn FnMut(&Entry, Payloads<'_>) -> bool,
    ) -> Result<(), ReadError> {
        query::visit(self, filter, visitor)
    }

    /// A payload of an event, checked against the event's digest.
    ///
    /// # Errors
    /// [`ReadError::NoSuchPayload`] when the event names none like it, [`ReadError::PayloadMissing`] when what was kept
    /// is gone without a record, [`ReadError::Refused`] when its bytes are not those of the event.
    pub fn payload(&self, seq: Seq, name: &str) -> Result<StoredPayload, ReadError> {
        let no_such = || ReadError::NoSuchPayload { seq, name: name.to_owned() };
        let block = self.block_of(seq)?.ok_or_else(no_such)?;
        let index = seq.0 - block.first.0;
        let canonical = block.iter().nth(usize::try_from(index).unwrap_or(usize::MAX)).ok_or_else(no_such)?;
        let entry = Entry::decode(seq, canonical)
            .map_err(|fault| ReadError::Block { first: block.first, fault: fault.into() })?;
        let reference = entry.event.payload(name).ok_or_else(no_such)?;
        let all = self.source.payloads(block.first)?;
        for record in records(&all) {
            let record = record.map_err(|fault| ReadError::Block { first: block.first, fault })?;
            if u64::from(record.index) == index && record.name == name {
                return self.load(seq, reference, &record);
            }
        }
        Err(ReadError::PayloadMissing { seq, name: name.to_owned() })
    }

    /// What a record stands for, checked.
    pub(crate) fn load(
        &self,
        seq: Seq,
        reference: &PayloadRef,
        record: &Record<'_>,
    ) -> Result<StoredPayload, ReadError> {
        let bytes = match record.state {
            State::NeverKept => return Ok(StoredPayload::DigestOnly { salt: record.salt }),
            State::Deleted => return Ok(StoredPayload::Deleted),
            State::Inline => record.bytes.to_vec(),
            State::Object => self
                .objects
                .read(&reference.digest)?
                .ok_or_else(|| ReadError::PayloadMissing { seq, name: record.name.to_owned() })?,
        };
        reference.check(seq, &record.salt, &bytes)?;
        Ok(StoredPayload::Kept { salt: record.salt, bytes })
    }

    /// The block that holds an event.
    pub(crate) fn block_of(&self, seq: Seq) -> Result<Option<Block>, ReadError> {
        let block = self.source.block(seq, Direction::Backward, Span::ALL)?;
        Ok(block.filter(|block| block.last() >= seq))
    }
}

// === impl Acknowledged ===

impl Acknowledged {
    /// The last acknowledged event; `None` when nothing ever was, or nobody knows.
    pub(crate) fn head(&self) -> Option<Head> {
        match self {
            Self::Mark(dir) => Mark::read_in(dir),
            Self::Writer(head) => Some(*head.borrow()).filter(|head| *head != Head::GENESIS),
        }
    }
}

// === impl Events ===

impl Events {
    fn read(&mut self) -> Result<Option<Entry>, ReadError> {
        if self.next > self.last {
            return Ok(None);
        }
        let Some((block, at)) = self.open_block()? else { return Ok(None) };
        let first = block.first;
        let Some(canonical) = frames(&block.events[at..]).next() else {
            block.check_framing().map_err(|fault| ReadError::Block { first, fault })?;
            return Ok(None);
        };
        let entry = Entry::decode(self.next, canonical)
            .map_err(|fault| ReadError::Block { first, fault: fault.into() })?;
        let end = at + 4 + canonical.len();
        self.next = self.next.next();
        if end < block.events.len() {
            self.block = Some((block, end));
        }
        Ok(Some(entry))
    }

    /// The block that holds the next event, and where in its bytes that event stands.
    fn open_block(&mut self) -> Result<Option<(Block, usize)>, ReadError> {
        if let Some(open) = self.block.take() {
            return Ok(Some(open));
        }
        let Some(block) = self.reader.block_of(self.next)? else { return self.nothing_there() };
        let before = usize::try_from(self.next.0 - block.first.0).unwrap_or(usize::MAX);
        let at = block.iter().take(before).map(|canonical| 4 + canonical.len()).sum();
        Ok(Some((block, at)))
    }

    /// Past the head there is nothing to read; before it, a hole is never passed over in silence.
    fn nothing_there(&self) -> Result<Option<(Block, usize)>, ReadError> {
        match self.reader.source.block(self.next, Direction::Forward, Span::ALL)? {
            Some(block) => Err(Refusal::Gap { expected: self.next, got: block.first }.into()),
            None => Ok(None),
        }
    }
}

impl Iterator for Events {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.read();
        if !matches!(result, Ok(Some(_))) {
            self.last = Seq(0);
        }
        result.transpose()
    }
}

// === impl Entry ===

impl Entry {
    pub(crate) fn decode(seq: Seq, canonical: &[u8]) -> Result<Self, Refusal> {
        let event = Event::decode(canonical).map_err(|fault| Refusal::NotAnEvent { seq, fault })?;
        Ok(Self { event, hash: event_hash(canonical), canonical: canonical.into() })
    }
}
