//! Handing a ledger over: lines of JSON (`spec/event-v1.md`, section 6) that anybody can check without Cella.

mod line;

use std::io::{self, BufRead, Write};

use cella_event::{Event, Head, Micros, Refusal, Seq, Verifier};

use self::line::{Body, read_line, write_event, write_first, write_last};
use crate::{
    AppendError, Block, COMMIT_BYTES, CloseError, Deletion, Direction, Ledger, OpenError, Options, ReadError,
    Reader, Span, Store as _, StoreError,
    block::{Record, State, records},
    sqlite::SqliteStore,
    verify::Deletions,
};

/// Longest line that is read, in bytes. Stops a crafted file from filling memory; it holds the largest payload that is
/// kept, in base64.
pub const LINE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Events of one block of an imported ledger.
const IMPORT_BLOCK_EVENTS: u32 = 1_000;

/// What to hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// The first event.
    pub first: Seq,
    /// The last event; the head when it lies before.
    pub last: Seq,
    /// With payloads and salts, or the chain alone.
    pub payloads: bool,
}

/// What was handed over or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The head before the first event. A file that starts inside a chain proves only what follows it.
    pub after: Head,
    /// The last event.
    pub head: Head,
    /// Payloads with their bytes.
    pub payloads: u64,
}

/// Why an export was not written, read or taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The ledger could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file could not be written or read.
    #[error("CE5030: {0}")]
    Io(#[from] io::Error),
    /// A line is not what the format has there.
    #[error("CE5031: line {line}: expected {expected}")]
    Form {
        /// Its number, from 1.
        line: u64,
        /// What should stand there.
        expected: &'static str,
    },
    /// An event or payload does not verify.
    #[error("CE5032: line {line}: {refusal}")]
    Refused {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        refusal: Refusal,
    },
    /// The file ends before its last line.
    #[error("CE5033: the file was cut off after event {}", head.seq)]
    CutOff {
        /// The last event that was read.
        head: Head,
    },
    /// There is a ledger already, or the file starts inside a chain.
    #[error("CE5034: {0}")]
    NotFresh(&'static str),
    /// The new ledger could not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new ledger could not be written.
    #[error("CE5035: {0}")]
    Store(#[from] StoreError),
    /// What is missing from the file could not be put on record in the new ledger.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The new ledger could not be closed.
    #[error(transparent)]
    Close(#[from] CloseError),
}

// === impl ExportError ===

impl ExportError {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read(error) => error.code(),
            Self::Io(_) => "CE5030",
            Self::Form { .. } => "CE5031",
            Self::Refused { .. } => "CE5032",
            Self::CutOff { .. } => "CE5033",
            Self::NotFresh(_) => "CE5034",
            Self::Store(_) => "CE5035",
            Self::Open(error) => error.code(),
            Self::Append(error) => error.code(),
            Self::Close(_) => "CE5018",
        }
    }
}

// === impl Reader ===

impl Reader {
    /// Writes events as lines of JSON. Checks the chain on the way, so that no broken one is handed over unnoticed.
    ///
    /// # Errors
    /// [`ExportError`]; the file lacks its last line then, which a reader notices.
    pub fn export(&self, what: Export, to: &mut impl Write) -> Result<Exported, ExportError> {
        let first = what.first.max(Seq(1));
        let after = match first {
            Seq(1) => Head::GENESIS,
            Seq(n) => match self.get(Seq(n - 1))? {
                Some(entry) => Head { seq: entry.event.seq, hash: entry.hash },
                None => return Err(ExportError::NotFresh("there is no such event to start from")),
            },
        };
        write_first(to, after)?;
        let mut verifier = Verifier::after(after);
        let mut payloads = 0;
        while verifier.head().seq < what.last {
            let Some(block) = self.block_of(verifier.head().seq.next())? else { break };
            let records = if what.payloads { self.source.payloads(block.first)? } else { Vec::new() };
            payloads += self.export_block(&block, &records, what.last, &mut verifier, to)?;
        }
        write_last(to, verifier.head())?;
        to.flush()?;
        Ok(Exported { after, head: verifier.head(), payloads })
    }

    fn export_block(
        &self,
        block: &Block,
        all: &[u8],
        last: Seq,
        verifier: &mut Verifier,
        to: &mut impl Write,
    ) -> Result<u64, ExportError> {
        let fault = |fault| ReadError::Block { first: block.first, fault };
        block.check_framing().map_err(fault)?;
        let stored: Vec<_> = records(all).collect::<Result<_, _>>().map_err(fault)?;
        let mut payloads = 0;
        for (index, canonical) in (0u32..).zip(block.iter()) {
            let seq = Seq(block.first.0 + u64::from(index));
            if seq <= verifier.head().seq {
                continue;
            }
            if seq > last {
                break;
            }
            let link = verifier.check(canonical).map_err(ReadError::Refused)?;
            let mut bodies = Vec::new();
            for record in stored.iter().filter(|record| record.index == index) {
                let Some(reference) = link.event.payload(record.name) else { continue };
                let stored = self.load(seq, reference, record)?;
                payloads += u64::from(matches!(stored, crate::StoredPayload::Kept { .. }));
                bodies.push((record.name, Body::from(stored)));
            }
            write_event(to, canonical, &link.hash, &bodies)?;
        }
        Ok(payloads)
    }
}

/// Checks an exported file without a ledger: every event, the chain, every payload that is there, and the end.
///
/// # Errors
/// [`ExportError`] names the line.
pub fn verify_export(from: &mut impl BufRead) -> Result<Exported, ExportError> {
    read(from, |_| Ok(()), |_, _, _| Ok(()))
}

/// Makes a new ledger in a directory from an exported file that starts at the first event. Its chain is the same chain;
/// when the file lacks payloads and no event in it says why, one event after the chain does.
///
/// # Errors
/// [`ExportError`]; a ledger that was begun is left without its mark and can be deleted.
pub fn import(options: &Options, from: &mut impl BufRead) -> Result<Exported, ExportError> {
    let lock = crate::open::begin(options)?;
    let mut store = SqliteStore::open(options)?;
    if store.source().block(Seq(0), Direction::Forward, Span::ALL)?.is_some() {
        return Err(ExportError::NotFresh("there is a ledger already"));
    }
    let mut block = NewBlock::after(Head::GENESIS);
    let from_the_start = |after| match after {
        Head::GENESIS => Ok(()),
        _ => Err(ExportError::NotFresh("the file starts inside a chain")),
    };
    let mut deletions = Deletions::default();
    let exported = read(from, from_the_start, |event, canonical, bodies| {
        block.push(event, canonical, bodies);
        deletions.event(event);
        for name in event.payloads.iter().map(|reference| reference.name.as_str()) {
            let kept = bodies.iter().any(|(n, body)| n == name && *body != Body::Deleted);
            deletions.payload(event.seq, name, !kept);
        }
        if block.count == IMPORT_BLOCK_EVENTS || block.payloads.len() > COMMIT_BYTES {
            let full = std::mem::replace(&mut block, NewBlock::after(Head::GENESIS)).finish();
            store.append(&full)?;
            block = NewBlock::after(full.head());
        }
        Ok(())
    })?;
    if block.count > 0 {
        store.append(&block.finish())?;
    }
    crate::mark::Mark::open(&options.dir)?.write(exported.head)?;
    drop((store, lock));
    if let Some((first, last)) = left_out(&Reader::open(&options.dir)?, &deletions)? {
        let (ledger, _) = Ledger::open(options)?;
        let reason = "not in the file that this ledger was made from".to_owned();
        ledger.try_append(&Deletion { first, last, name: None, reason }.record(), &[])?;
        ledger.close()?;
    }
    Ok(exported)
}

/// From where to where payloads are missing although no event says that they were deleted.
fn left_out(reader: &Reader, deletions: &Deletions) -> Result<Option<(Seq, Seq)>, ExportError> {
    let mut found: Option<(Seq, Seq)> = None;
    deletions.unrecorded(reader, |seq, _| {
        let (first, last) = found.unwrap_or((seq, seq));
        found = Some((first.min(seq), last.max(seq)));
        true
    })?;
    Ok(found)
}

fn read(
    from: &mut impl BufRead,
    begin: impl FnOnce(Head) -> Result<(), ExportError>,
    mut each: impl FnMut(&Event, &[u8], &[(String, Body)]) -> Result<(), ExportError>,
) -> Result<Exported, ExportError> {
    let mut bytes = Vec::new();
    let mut line = 1;
    let after =
        line::read_first(read_line(from, &mut bytes)?).ok_or(form(1, "the first line of a ledger"))?;
    begin(after)?;
    let mut verifier = Verifier::after(after);
    let mut payloads = 0;
    loop {
        line += 1;
        let text = read_line(from, &mut bytes)?;
        if text.is_empty() {
            return Err(ExportError::CutOff { head: verifier.head() });
        }
        if let Some(head) = line::read_last(text) {
            if head != verifier.head() {
                return Err(form(line, "the head that the events give"));
            }
            return Ok(Exported { after, head, payloads });
        }
        let record = line::read_event(text).ok_or(form(line, "an event, or the head as the last line"))?;
        let refused = |refusal| ExportError::Refused { line, refusal };
        let link = verifier.check(record.canonical).map_err(refused)?;
        if record.hash != link.hash {
            return Err(form(line, "the hash of the event"));
        }
        for (name, body) in &record.payloads {
            let reference = link.event.payload(name).ok_or(form(line, "payloads that the event names"))?;
            if let Body::Kept { salt, bytes } = body {
                reference.check(link.event.seq, salt, bytes).map_err(refused)?;
                payloads += 1;
            }
        }
        each(&link.event, record.canonical, &record.payloads)?;
    }
}

const fn form(line: u64, expected: &'static str) -> ExportError {
    ExportError::Form { line, expected }
}

/// A block that is being filled.
struct NewBlock {
    before: Head,
    count: u32,
    since: Micros,
    until: Micros,
    events: Vec<u8>,
    payloads: Vec<u8>,
}

// === impl NewBlock ===

impl NewBlock {
    const fn after(before: Head) -> Self {
        let (since, until) = (Micros(i64::MAX), Micros(i64::MIN));
        Self { before, count: 0, since, until, events: Vec::new(), payloads: Vec::new() }
    }

    fn push(&mut self, event: &Event, canonical: &[u8], bodies: &[(String, Body)]) {
        self.events.extend_from_slice(&u32::try_from(canonical.len()).unwrap_or_default().to_le_bytes());
        self.events.extend_from_slice(canonical);
        for reference in &event.payloads {
            let name = reference.name.as_str();
            let body = bodies.iter().find(|(n, _)| n == name).map(|(_, body)| body);
            let (state, salt, bytes) = match body {
                Some(Body::Kept { salt, bytes }) => (State::Inline, *salt, &bytes[..]),
                Some(Body::DigestOnly { salt }) => (State::NeverKept, *salt, &[][..]),
                Some(Body::Deleted) | None => (State::Deleted, [0; 16], &[][..]),
            };
            Record { index: self.count, state, name, salt, bytes }.write(&mut self.payloads);
        }
        self.count += 1;
        self.since = self.since.min(event.time);
        self.until = self.until.max(event.time);
    }

    fn finish(self) -> Block {
        let mut block = Block {
            first: self.before.seq.next(),
            count: self.count,
            prev: self.before.hash,
            since: self.since,
            until: self.until,
            last_hash: self.before.hash,
            events: self.events,
            payloads: self.payloads,
        };
        if let Some(last) = block.iter().last() {
            block.last_hash = cella_event::event_hash(last);
        }
        block
    }
}
