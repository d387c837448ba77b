//! Reading a run from its ledger.

use cella_event::{Event, Kind, RunId, Seq};
use cella_kernel::{Decoder, Fact, State, What};
use cella_ledger::{Filter, Reader, StoredPayload};

use crate::LoadError;

/// Forks of forks. Stops a ledger with a run that is its own ancestor from being read for ever.
const FORKS_MAX: usize = 64;

/// The facts of a run, those before the event at which it was forked included, in order. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn load(reader: &Reader, run: &RunId) -> Result<Vec<Fact>, LoadError> {
    load_to(reader, run, None, FORKS_MAX)
}

/// The state of a run after its last fact, or after the one at `to`. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn state(reader: &Reader, run: &RunId, to: Option<Seq>) -> Result<State, LoadError> {
    let facts = load_to(reader, run, to, FORKS_MAX)?;
    fold(run, &facts)
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

fn load_to(reader: &Reader, run: &RunId, to: Option<Seq>, depth: usize) -> Result<Vec<Fact>, LoadError> {
    if depth == 0 {
        return Err(LoadError::TooDeep { run: run.clone(), max: FORKS_MAX });
    }
    let filter = Filter { run: Some(run.clone()), last: to, limit: Some(usize::MAX), ..Filter::default() };
    let entries = reader.query(&filter)?.entries;
    let mut decoder = Decoder::default();
    let mut facts = Vec::with_capacity(entries.len());
    for entry in &entries {
        let decoded = decode(reader, &mut decoder, &entry.event);
        let fact = decoded.map_err(|fault| LoadError::Unreadable { run: run.clone(), fault })?;
        let Some(fact) = fact else { continue };
        if let What::Forked(forked) = &fact.what {
            let before = load_to(reader, &forked.from, Some(forked.at), depth - 1)?;
            facts.splice(0..0, before);
        }
        facts.push(fact);
    }
    if facts.is_empty() {
        return Err(LoadError::NoSuchRun { run: run.as_str().to_owned() });
    }
    Ok(facts)
}

/// Reads one event. A payload that cannot be read is like one that is gone: the decoder says which.
pub(crate) fn decode(
    reader: &Reader,
    decoder: &mut Decoder,
    event: &Event,
) -> Result<Option<Fact>, cella_kernel::Unreadable> {
    let payload = |name: &str| {
        event.payload(name)?;
        match reader.payload(event.seq, name) {
            Ok(StoredPayload::Kept { bytes, .. }) => Some(bytes),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, seq = event.seq.0, name, "a payload of a run cannot be read");
                None
            }
        }
    };
    decoder.decode(event, payload)
}
