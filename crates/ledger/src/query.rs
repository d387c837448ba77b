//! Searching. Blocks outside the time span are skipped by their columns; within a block, an event is decoded only when
//! its canonical bytes contain every wanted field as the encoder would have written it. That is a substring search at
//! memory speed, so that no index has to be kept on the writing path.

use memchr::memmem::Finder;

use cella_event::{CallId, Event, Kind, Label, Micros, RunId, Seq, canonical_text};

use crate::{Block, Direction, Entry, ReadError, Reader, Span};

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

pub(crate) fn run(reader: &Reader, filter: &Filter) -> Result<Found, ReadError> {
    let search = Search::new(filter, reader.head()?.seq);
    let mut found = Found::default();
    let direction = if filter.newest_first { Direction::Backward } else { Direction::Forward };
    let mut from = match direction {
        Direction::Forward => reader.block_of(search.first)?.map_or(search.first, |block| block.first),
        Direction::Backward => search.last,
    };
    while let Some(block) = reader.source.block(from, direction, search.span)? {
        if block.first > search.last || block.last() < search.first {
            break;
        }
        search.block(&block, &mut found)?;
        if found.more || block.first == Seq(0) {
            break;
        }
        from = match direction {
            Direction::Forward => block.first.next(),
            Direction::Backward => Seq(block.first.0 - 1),
        };
    }
    Ok(found)
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

    fn block(&self, block: &Block, found: &mut Found) -> Result<(), ReadError> {
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
            if found.entries.len() == self.limit {
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
