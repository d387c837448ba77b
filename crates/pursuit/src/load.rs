//! Reading a run from its ledger.

use cella_event::{Event, Kind, Label, RunId, Seq};
use cella_kernel::{Decoder, Fact, State, What};
use cella_ledger::{Filter, ReadError, Reader, StoredPayload};

use crate::LoadError;

/// Forks of forks. Stops a ledger with a run that is its own ancestor from being read for ever.
const FORKS_MAX: usize = 64;

/// A run as it was read.
pub(crate) struct Read {
    pub(crate) facts: Vec<Fact>,
    pub(crate) decoder: Decoder,
    /// Who wanted it: the principal of its first event.
    pub(crate) principal: Option<Label>,
}

/// The facts of a run, those before the event at which it was forked included, in order. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn load(reader: &Reader, run: &RunId) -> Result<Vec<Fact>, LoadError> {
    load_to(reader, run, None, FORKS_MAX).map(|read| read.facts)
}

/// The same, with the decoder that has read it: for those who read on.
pub(crate) fn read(reader: &Reader, run: &RunId) -> Result<Read, LoadError> {
    load_to(reader, run, None, FORKS_MAX)
}

/// Facts of a run after an event, by the decoder that has read those before.
pub(crate) fn read_on(
    reader: &Reader,
    run: &RunId,
    after: Seq,
    decoder: &mut Decoder,
) -> Result<Vec<Fact>, LoadError> {
    let filter = Filter {
        run: Some(run.clone()),
        first: Some(after.next()),
        limit: Some(usize::MAX),
        ..Filter::default()
    };
    facts(reader, run, &filter, decoder, &mut None)
}

/// The state of a run after its last fact, or after the one at `to`. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn state(reader: &Reader, run: &RunId, to: Option<Seq>) -> Result<State, LoadError> {
    let read = load_to(reader, run, to, FORKS_MAX)?;
    fold(run, &read.facts)
}

/// Every run that the ledger knows, by its first event, the newest first. Blocking.
///
/// # Errors
/// [`LoadError::Read`].
pub fn known_runs(reader: &Reader, limit: usize) -> Result<Vec<(RunId, Event)>, LoadError> {
    let filter = Filter {
        kinds: vec![Kind::RunStarted, Kind::RunForked],
        newest_first: true,
        limit: Some(limit),
        ..Filter::default()
    };
    let found = reader.query(&filter)?;
    Ok(found.entries.into_iter().filter_map(|e| Some((e.event.run.clone()?, e.event))).collect())
}

pub(crate) fn fold(run: &RunId, facts: &[Fact]) -> Result<State, LoadError> {
    let impossible = |fault| LoadError::Impossible { run: run.clone(), fault };
    let (first, rest) =
        facts.split_first().ok_or_else(|| LoadError::NoSuchRun { run: run.as_str().to_owned() })?;
    let mut state = State::begin(first).map_err(impossible)?;
    for fact in rest {
        state.apply(fact).map_err(impossible)?;
    }
    Ok(state)
}

fn load_to(reader: &Reader, run: &RunId, to: Option<Seq>, depth: usize) -> Result<Read, LoadError> {
    if depth == 0 {
        return Err(LoadError::TooDeep { run: run.clone(), max: FORKS_MAX });
    }
    let filter = Filter { run: Some(run.clone()), last: to, limit: Some(usize::MAX), ..Filter::default() };
    let mut decoder = Decoder::default();
    let mut principal = None;
    let mut facts = facts(reader, run, &filter, &mut decoder, &mut principal)?;
    if let Some(What::Forked(forked)) = facts.first().map(|fact| &fact.what) {
        let mut all = load_to(reader, &forked.from, Some(forked.at), depth - 1)?.facts;
        all.append(&mut facts);
        return Ok(Read { facts: all, decoder, principal });
    }
    if facts.is_empty() {
        return Err(LoadError::NoSuchRun { run: run.as_str().to_owned() });
    }
    Ok(Read { facts, decoder, principal })
}

fn facts(
    reader: &Reader,
    run: &RunId,
    filter: &Filter,
    decoder: &mut Decoder,
    principal: &mut Option<Label>,
) -> Result<Vec<Fact>, LoadError> {
    let mut facts = Vec::new();
    let mut unreadable = None;
    reader.visit(filter, &mut |entry, payloads| {
        if matches!(entry.event.kind, Kind::RunStarted | Kind::RunForked) {
            principal.clone_from(&entry.event.principal);
        }
        match decoder.decode(&entry.event, |name| kept(entry.event.seq, name, payloads.get(name))) {
            Ok(fact) => facts.extend(fact),
            Err(fault) => unreadable = Some(fault),
        }
        unreadable.is_none()
    })?;
    match unreadable {
        Some(fault) => Err(LoadError::Unreadable { run: run.clone(), fault }),
        None => Ok(facts),
    }
}

/// Reads one event.
pub(crate) fn decode(
    reader: &Reader,
    decoder: &mut Decoder,
    event: &Event,
) -> Result<Option<Fact>, cella_kernel::Unreadable> {
    decoder.decode(event, |name| {
        event.payload(name)?;
        kept(event.seq, name, reader.payload(event.seq, name))
    })
}

/// The bytes, where they were kept and can be read. The decoder says which payload it lacks.
fn kept(seq: Seq, name: &str, read: Result<StoredPayload, ReadError>) -> Option<Vec<u8>> {
    match read {
        Ok(StoredPayload::Kept { bytes, .. }) => Some(bytes),
        Ok(_) | Err(ReadError::NoSuchPayload { .. }) => None,
        Err(error) => {
            tracing::warn!(%error, seq = seq.0, name, "a payload of a run cannot be read");
            None
        }
    }
}
