//! Putting facts on record.

use cella_event::{Draft, Key, Label, Map, RunId};
use cella_kernel::{What, encode};
use cella_ledger::{AppendError, Appended, Durability, Ledger, Payload};

use crate::crash_point;

/// What stands in an event beside the fact itself.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Fields of the body.
    pub(crate) body: Map,
    /// Payloads.
    pub(crate) payloads: Vec<(&'static str, Vec<u8>)>,
    /// Who acted.
    pub(crate) principal: Option<Label>,
}

/// Writes a fact of a run. Payloads of runs are always kept: without them a run cannot be taken up again.
pub(crate) async fn record(
    ledger: &Ledger,
    run: &RunId,
    what: &What,
    beside: Beside,
    durability: Durability,
) -> Result<Option<Appended>, AppendError> {
    let Some(recorded) = encode(run, what) else { return Ok(None) };
    let mut draft: Draft = recorded.draft;
    for (key, value) in beside.body.iter() {
        draft.body.insert(key.clone(), value.clone());
    }
    if beside.principal.is_some() {
        draft.principal = beside.principal;
    }
    let mut named: Vec<(&'static str, Vec<u8>)> = beside.payloads;
    named.extend(recorded.payloads.into_iter().map(|(name, text)| (name, text.into_bytes())));
    named.sort_by_key(|(name, _)| *name);
    let mut payloads = Vec::with_capacity(named.len());
    for (name, bytes) in named {
        payloads.push(Payload::full(Key::literal(name), bytes)?);
    }
    crash_point();
    let appended = ledger.append(&draft, &payloads, durability).await?;
    crash_point();
    Ok(Some(appended))
}
