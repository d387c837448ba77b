//! Searching. Blocks outside the time span are skipped by their columns; within a block, an event is decoded only when
//! its canonical bytes contain every wanted field as the encoder would have written it. That is a substring search at
//! memory speed, so that no index has to be kept on the writing path.

use cella_event::{CallId, Kind, Label, Micros, RunId, Seq};

use crate::{Entry, ReadError, Reader};

/// Events a query returns when no limit is given. Stops a careless question from filling memory.
const LIMIT_DEFAULT: usize = 1_000;

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
    /// With this text anywhere in the canonical bytes, case as given.
    pub text: Option<String>,
    /// The newest matches first, from the end.
    pub newest_first: bool,
    /// Most events to return; 1,000 when absent.
    pub limit: Option<usize>,
}

/// What a query found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The events, oldest or newest first as asked.
    pub entries: Vec<Entry>,
    /// True when the limit ended the search: there may be more.
    pub more: bool,
}

pub(crate) fn run(reader: &Reader, filter: &Filter) -> Result<Found, ReadError> {
    let head = reader.head()?.seq;
    let (first, last) = (filter.first.unwrap_or(Seq(1)), filter.last.unwrap_or(head).min(head));
    let limit = filter.limit.unwrap_or(LIMIT_DEFAULT);
    let mut found = Found::default();
    for entry in reader.range(first, last) {
        let entry = entry?;
        if filter.matches(&entry) {
            if found.entries.len() == limit {
                found.more = true;
                break;
            }
            found.entries.push(entry);
        }
    }
    Ok(found)
}

// === impl Filter ===

impl Filter {
    fn matches(&self, entry: &Entry) -> bool {
        let event = &entry.event;
        fn wants<T: PartialEq>(wanted: &Option<T>, got: &Option<T>) -> bool {
            wanted.is_none() || wanted == got
        }
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && wants(&self.server, &event.server)
            && wants(&self.tool, &event.tool)
            && wants(&self.principal, &event.principal)
            && wants(&self.run, &event.run)
            && wants(&self.call, &event.call)
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time <= until)
    }
}
