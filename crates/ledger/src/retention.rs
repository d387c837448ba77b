//! Forgetting payloads. What was forgotten, and why, is an event; the chain and every digest stay.

use cella_event::{Draft, Int, Key, Kind, Map, Seq};

use crate::{
    AppendError, Block, Durability, Ledger, ReadError, Reader, StoreError,
    block::{Record, State, records},
};

/// Which payloads to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Of this event and later ones.
    pub first: Seq,
    /// Of this event and earlier ones.
    pub last: Seq,
    /// Only those of this name.
    pub name: Option<Key>,
    /// Why; stands in the `payload.deleted` event.
    pub reason: String,
}

/// What a deletion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The `payload.deleted` event.
    pub event: Option<Seq>,
    /// Payloads deleted now; those deleted before are not counted.
    pub payloads: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a deletion did not complete. Doing it again goes on where it stopped.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// The deletion could not be put on record; nothing was deleted.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A block could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The storage failed.
    #[error("CE5026: {0}")]
    Store(#[from] StoreError),
}

// === impl Ledger ===

impl Ledger {
    /// Deletes payloads and their salts for good. The record of it comes first, so that no payload is ever missing
    /// without a reason on record.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete_payloads(&self, deletion: &Deletion) -> Result<Deleted, DeleteError> {
        let place = self.append(&deletion.record(), &[], Durability::Flushed).await?;
        let mut deleted = Deleted { event: Some(place.seq), ..Deleted::default() };
        let reader = self.reader();
        let mut from = deletion.first.max(Seq(1));
        let last = Seq(deletion.last.0.min(place.seq.0 - 1));
        while from <= last {
            let (reader, wanted) = (reader.clone(), Deletion { first: from, last, ..deletion.clone() });
            let objects = self.objects();
            let one = self.with_store(move |store| -> Result<Option<(Seq, Deleted)>, DeleteError> {
                let Some(block) = reader.block_of(wanted.first)? else { return Ok(None) };
                let mut one = Deleted::default();
                let rewritten = rewrite(&reader, &block, &wanted, &mut one, |digest| objects.remove(digest))?;
                if one.payloads > 0 {
                    store.replace_payloads(block.first, &rewritten)?;
                }
                Ok(Some((block.last().next(), one)))
            });
            let Some((next, one)) = one.await?? else { break };
            deleted.payloads += one.payloads;
            deleted.bytes += one.bytes;
            from = next;
        }
        self.with_store(|store| store.scrub()).await??;
        Ok(deleted)
    }
}

// === impl Deletion ===

impl Deletion {
    /// The event that says so.
    pub(crate) fn record(&self) -> Draft {
        let mut body = Map::new()
            .with("first", Int::saturating(self.first.0))
            .with("last", Int::saturating(self.last.0))
            .with("reason", self.reason.clone());
        if let Some(name) = &self.name {
            body = body.with("name", name.as_str().to_owned());
        }
        Draft::new(Kind::PayloadDeleted).body(body)
    }
}

/// The payload records of a block without the ones to delete.
fn rewrite(
    reader: &Reader,
    block: &Block,
    wanted: &Deletion,
    deleted: &mut Deleted,
    remove: impl Fn(&cella_event::Hash) -> Result<(), StoreError>,
) -> Result<Vec<u8>, DeleteError> {
    let all = reader.source.payloads(block.first)?;
    let mut rewritten = Vec::with_capacity(all.len());
    for record in records(&all) {
        let record = record.map_err(|fault| ReadError::Block { first: block.first, fault })?;
        let seq = Seq(block.first.0 + u64::from(record.index));
        let named = wanted.name.as_ref().is_none_or(|name| name.as_str() == record.name);
        if !named || seq < wanted.first || seq > wanted.last || record.state == State::Deleted {
            record.write(&mut rewritten);
            continue;
        }
        if record.state == State::Object
            && let Some(entry) = reader.get(seq)?
            && let Some(reference) = entry.event.payload(record.name)
        {
            remove(&reference.digest)?;
            deleted.bytes += reference.bytes;
        }
        deleted.payloads += 1;
        deleted.bytes += record.bytes.len() as u64;
        Record { state: State::Deleted, salt: [0; 16], bytes: &[], ..record }.write(&mut rewritten);
    }
    Ok(rewritten)
}
