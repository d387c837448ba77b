//! The reading side: single events, ranges, payloads. Blocking calls on own connections; async callers use
//! `spawn_blocking`.

use std::{path::Path, sync::Arc};

use cella_event::{Event, Hash, Head, Seq, event_hash};

use crate::{
    Block, BlockFault, Filter, Found, OpenError, ReadError, Source, StoredPayload,
    block::{Record, State, records},
    objects::Objects,
    query,
    sqlite::SqliteSource,
};

/// Reads a ledger, also one that another process writes. Cheap to clone. Every method blocks on the disk.
#[derive(Clone, Debug)]
pub struct Reader {
    source: Arc<dyn Source>,
    objects: Arc<Objects>,
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
    pub(crate) fn new(source: Arc<dyn Source>, objects: Arc<Objects>) -> Self {
        Self { source, objects }
    }

    /// Opens the ledger of a directory for reading only. Needs no lock: the writer may be at work, or gone.
    ///
    /// # Errors
    /// [`OpenError`] when there is no ledger that this program can read.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(Self::new(Arc::new(SqliteSource::open(dir)?), Arc::new(Objects::new(dir))))
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

    /// A payload of an event, checked against the event's digest.
    ///
    /// # Errors
    /// [`ReadError::NoSuchPayload`] when the event names none like it, [`ReadError::PayloadMissing`] when what was kept
    /// is gone without a record, [`ReadError::Refused`] when its bytes are not those of the event.
    pub fn payload(&self, seq: Seq, name: &str) -> Result<StoredPayload, ReadError> {
        let no_such = || ReadError::NoSuchPayload { seq, name: name.to_owned() };
        let entry = self.get(seq)?.ok_or_else(no_such)?;
        let reference = entry.event.payload(name).ok_or_else(no_such)?;
        let block = self.source.block(seq)?.ok_or_else(no_such)?;
        let all = self.source.payloads(block.first)?;
        let index = seq.0 - block.first.0;
        for record in records(&all) {
            let record = record.map_err(|fault| ReadError::Block { first: block.first, fault })?;
            if u64::from(record.index) == index && record.name == name {
                let stored = self.load(seq, &record)?;
                if let StoredPayload::Kept { salt, bytes } = &stored {
                    reference.check(seq, salt, bytes)?;
                }
                return Ok(stored);
            }
        }
        Err(ReadError::PayloadMissing { seq, name: name.to_owned() })
    }

    pub(crate) fn load(&self, seq: Seq, record: &Record<'_>) -> Result<StoredPayload, ReadError> {
        let missing = || ReadError::PayloadMissing { seq, name: record.name.to_owned() };
        Ok(match record.state {
            State::Inline => StoredPayload::Kept { salt: record.salt, bytes: record.bytes.to_vec() },
            State::Object => {
                let address = record.bytes.try_into().map_err(|_| missing())?;
                let bytes = self.objects.read(&Hash::from_bytes(address))?.ok_or_else(missing)?;
                StoredPayload::Kept { salt: record.salt, bytes }
            }
            State::NeverKept => StoredPayload::DigestOnly { salt: record.salt },
            State::Deleted => StoredPayload::Deleted,
        })
    }
}

// === impl Events ===

impl Events {
    fn read(&mut self) -> Result<Option<Entry>, ReadError> {
        if self.next > self.last {
            return Ok(None);
        }
        let (block, at) = match self.block.take() {
            Some(open) => open,
            None => match self.reader.source.block(self.next)? {
                Some(block) => {
                    let skipped = block.iter().take_while_index(self.next, block.first);
                    (block, skipped)
                }
                None => return Ok(None),
            },
        };
        let first = block.first;
        let rest = &block.events[at.min(block.events.len())..];
        let Some(canonical) = crate::block::frames(rest).next() else {
            block.check_framing().map_err(|fault| ReadError::Block { first, fault })?;
            return Ok(None);
        };
        let entry = Entry::decode(self.next, canonical).map_err(|fault| ReadError::Block { first, fault })?;
        let end = at + 4 + canonical.len();
        self.next = entry.event.seq.next();
        if end < block.events.len() {
            self.block = Some((block, end));
        }
        Ok(Some(entry))
    }
}

impl Iterator for Events {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.read();
        if !matches!(result, Ok(Some(_))) {
            self.next = self.last.next();
        }
        result.transpose()
    }
}

// === impl Entry ===

impl Entry {
    pub(crate) fn decode(seq: Seq, canonical: &[u8]) -> Result<Self, BlockFault> {
        let event = Event::decode(canonical)
            .map_err(|fault| BlockFault::Refused(cella_event::Refusal::NotAnEvent { seq, fault }))?;
        Ok(Self { event, hash: event_hash(canonical), canonical: canonical.into() })
    }
}

/// How many bytes of a block stand before an event.
trait Skip {
    fn take_while_index(self, wanted: Seq, first: Seq) -> usize;
}

impl<'a, I: Iterator<Item = &'a [u8]>> Skip for I {
    fn take_while_index(self, wanted: Seq, first: Seq) -> usize {
        let before = usize::try_from(wanted.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        self.take(before).map(|canonical| 4 + canonical.len()).sum()
    }
}
