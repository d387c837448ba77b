//! Searching. Blocks outside the time span are skipped by their columns; within a block, an event is decoded only when
//! its canonical bytes contain every wanted field as the encoder would have written it. That is a substring search at
//! memory speed, so that no index has to be kept on the writing path.

use memchr::memmem::Finder;

use cella_event::{CallId, Event, Kind, Label, Micros, RunId, Seq, canonical_text};

use crate::{
    Block, Direction, Entry, ReadError, Reader, Span, StoredPayload,
    block::{Record, records},
};

/// Events a query returns when no limit is given. Stops a careless question from filling memory.
pub const QUERY_LIMIT: usize = 1_000;

/// Which events are wanted. Empty fields want all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these kinds.
    pub kinds: Vec<Kind>,
    /// Of this server.
    pub server: Option<Label>,
    /// Of this tool.
    pub tool: Option<Label>,
    /// By this principal.
    pub principal: Option<Label>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of this call.
    pub call: Option<CallId>,
    /// Not before this time.
    pub since: Option<Micros>,
    /// Not after this time.
    pub until: Option<Micros>,
    /// Not before this event.
    pub first: Option<Seq>,
    /// Not after this event.
    pub last: Option<Seq>,
    /// With this text in the canonical bytes (names, body; not payloads), case as given.
    pub text: Option<String>,
    /// The newest matches first, from the end.
    pub newest_first: bool,
    /// Most events to return; [`QUERY_LIMIT`] when absent.
    pub limit: Option<usize>,
}

/// What a query found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The events, oldest or newest first as asked.
    pub entries: Vec<Entry>,
    /// True when the limit ended the search: there are more.
    pub more: bool,
}

/// A filter made ready: what must stand in the bytes of an event that can match.
struct Search<'f> {
    filter: &'f Filter,
    needles: Vec<Finder<'static>>,
    span: Span,
    first: Seq,
    last: Seq,
    limit: usize,
}

/// The payloads of one found event, read with those of its whole block.
#[derive(Debug)]
pub struct Payloads<'r> {
    reader: &'r Reader,
    entry: &'r Entry,
    /// Of this event alone.
    records: &'r [Record<'r>],
}

pub(crate) fn run(reader: &Reader, filter: &Filter) -> Result<Found, ReadError> {
    let mut found = Found::default();
    found.more = blocks(reader, filter, &mut |_, entries| {
        found.entries.extend(entries);
        Ok(())
    })?;
    Ok(found)
}

/// As [`run`], with the payloads: each block's are read once, however many of its events are wanted.
pub(crate) fn visit(
    reader: &Reader,
    filter: &Filter,
    visitor: &mut dyn FnMut(&Entry, Payloads<'_>) -> bool,
) -> Result<(), ReadError> {
    let mut goes_on = true;
    blocks(reader, filter, &mut |block, entries| {
        let bears = |entry: &Entry| !entry.event.payloads.is_empty();
        let of_block =
            if entries.iter().any(bears) { reader.source.payloads(block.first)? } else { Vec::new() };
        let fault = |fault| ReadError::Block { first: block.first, fault };
        let all: Vec<Record<'_>> = records(&of_block).collect::<Result<_, _>>().map_err(fault)?;
        for entry in &entries {
            let index = entry.event.seq.0 - block.first.0;
            // They stand in the order of their events.
            let from = all.partition_point(|record| u64::from(record.index) < index);
            let to = all.partition_point(|record| u64::from(record.index) <= index);
            goes_on = goes_on && visitor(entry, Payloads { reader, entry, records: &all[from..to] });
        }
        Ok(())
    })?;
    Ok(())
}

/// What is done with the entries of one block.
type Each<'f> = dyn FnMut(&Block, Vec<Entry>) -> Result<(), ReadError> + 'f;

/// Gives on what each block has, in the order that was asked for. True when the limit ended the search.
fn blocks(reader: &Reader, filter: &Filter, each: &mut Each<'_>) -> Result<bool, ReadError> {
    let search = Search::new(filter, reader.head()?.seq);
    let mut left = search.limit;
    let direction = if filter.newest_first { Direction::Backward } else { Direction::Forward };
    let mut from = match direction {
        Direction::Forward => reader.block_of(search.first)?.map_or(search.first, |block| block.first),
        Direction::Backward => search.last,
    };
    while let Some(block) = reader.source.block(from, direction, search.span)? {
        if block.first > search.last || block.last() < search.first {
            break;
        }
        let mut found = Found::default();
        search.block(&block, &mut found, left)?;
        left -= found.entries.len();
        if !found.entries.is_empty() {
            each(&block, found.entries)?;
        }
        if found.more {
            return Ok(true);
        }
        if block.first == Seq(0) {
            break;
        }
        from = match direction {
            Direction::Forward => block.first.next(),
            Direction::Backward => Seq(block.first.0 - 1),
        };
    }
    Ok(false)
}

// === impl Payloads ===

impl Payloads<'_> {
    /// The payload of that name, checked against the event's digest.
    ///
    /// # Errors
    /// As [`Reader::payload`].
    pub fn get(&self, name: &str) -> Result<StoredPayload, ReadError> {
        let seq = self.entry.event.seq;
        let named = || name.to_owned();
        let reference = self.entry.event.payload(name);
        let reference = reference.ok_or_else(|| ReadError::NoSuchPayload { seq, name: named() })?;
        match self.records.iter().find(|record| record.name == name) {
            Some(record) => self.reader.load(seq, reference, record),
            None => Err(ReadError::PayloadMissing { seq, name: named() }),
        }
    }
}

// === impl Search ===

impl<'f> Search<'f> {
    fn new(filter: &'f Filter, head: Seq) -> Self {
        let mut needles = Vec::new();
        let mut field = |name: &str, value: Option<&str>| {
            let Some(value) = value else { return };
            let mut needle = format!("\"{name}\":").into_bytes();
            canonical_text(&mut needle, value);
            needles.push(Finder::new(&needle).into_owned());
        };
        // The rarest first: most events are ruled out by one search.
        field("call", filter.call.as_ref().map(CallId::as_str));
        field("run", filter.run.as_ref().map(RunId::as_str));
        field("tool", filter.tool.as_ref().map(Label::as_str));
        field("server", filter.server.as_ref().map(Label::as_str));
        field("principal", filter.principal.as_ref().map(Label::as_str));
        if let [kind] = &filter.kinds[..] {
            field("kind", Some(kind.as_str()));
        }
        if let Some(text) = &filter.text {
            let mut quoted = Vec::new();
            canonical_text(&mut quoted, text);
            needles.push(Finder::new(&quoted[1..quoted.len() - 1]).into_owned());
        }
        Self {
            filter,
            needles,
            span: Span {
                since: filter.since.unwrap_or(Span::ALL.since),
                until: filter.until.unwrap_or(Span::ALL.until),
            },
            first: filter.first.unwrap_or(Seq(1)).max(Seq(1)),
            last: filter.last.unwrap_or(head).min(head),
            limit: filter.limit.unwrap_or(QUERY_LIMIT),
        }
    }

    fn block(&self, block: &Block, found: &mut Found, limit: usize) -> Result<(), ReadError> {
        let mut events: Vec<(u64, &[u8])> = (block.first.0..).zip(block.iter()).collect();
        if self.filter.newest_first {
            events.reverse();
        }
        for (seq, canonical) in events {
            let seq = Seq(seq);
            if seq < self.first
                || seq > self.last
                || !self.needles.iter().all(|n| n.find(canonical).is_some())
            {
                continue;
            }
            let entry = Entry::decode(seq, canonical)
                .map_err(|fault| ReadError::Block { first: block.first, fault: fault.into() })?;
            if !self.matches(&entry.event) {
                continue;
            }
            if found.entries.len() == limit {
                found.more = true;
                return Ok(());
            }
            found.entries.push(entry);
        }
        Ok(())
    }

    /// The bytes may hold a wanted text in another place than the wanted field.
    fn matches(&self, event: &Event) -> bool {
        fn wants<T: PartialEq>(wanted: Option<&T>, got: Option<&T>) -> bool {
            wanted.is_none() || wanted == got
        }
        let filter = self.filter;
        (filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
            && wants(filter.server.as_ref(), event.server.as_ref())
            && wants(filter.tool.as_ref(), event.tool.as_ref())
            && wants(filter.principal.as_ref(), event.principal.as_ref())
            && wants(filter.run.as_ref(), event.run.as_ref())
            && wants(filter.call.as_ref(), event.call.as_ref())
            && event.time >= self.span.since
            && event.time <= self.span.until
    }
}
