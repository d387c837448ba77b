//! Watching a run.

use cella_event::{RunId, Seq};
use cella_kernel::{Decoder, Fact, State};
use cella_ledger::{Ledger, ReadError, Reader, StoredPayload, Tail};
use cella_pursuit::{LoadError, load};
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use crate::{told::Teller, view::whole};

/// A run that is being watched.
struct Watched {
    reader: Reader,
    tail: Tail,
    run: RunId,
    decoder: Decoder,
    teller: Teller,
    state: Option<State>,
    /// What was read at once and is still to be told.
    first: std::vec::IntoIter<Fact>,
    told: Option<Value>,
    /// Everything that was read at once is told, and where the run stands with it.
    caught_up: bool,
    over: bool,
}

/// The facts of a run from its first one on, each as JSON (`{"fact": ...}`), and after each change of where it stands a line that says so
/// (`{"state": ...}`). Ends when the run is over, or the ledger is closed.
///
/// # Errors
/// [`LoadError`]: there is no such run, or it cannot be read.
pub async fn follow(
    ledger: &Ledger,
    run: RunId,
) -> Result<impl Stream<Item = Value> + Send + 'static, LoadError> {
    // What was appended a moment ago is to be seen.
    let _durable_or_failing = ledger.flush().await;
    let (reader, of) = (ledger.reader(), run.clone());
    let facts = tokio::task::spawn_blocking(move || load(&reader, &of)).await;
    let facts = facts.unwrap_or_else(|_| Err(ReadError::Closed.into()))?;
    let first = facts.first().map_or(Seq(1), |fact| fact.seq);
    let watched = Watched {
        reader: ledger.reader(),
        // From the start: the decoder has to see the intents whose ends are still to come.
        tail: ledger.tail(first),
        run,
        decoder: Decoder::default(),
        teller: Teller::default(),
        state: None,
        first: facts.into_iter(),
        told: None,
        caught_up: false,
        over: false,
    };
    Ok(stream::unfold(watched, |mut watched| async move { Some((watched.next().await?, watched)) }))
}

impl Watched {
    async fn next(&mut self) -> Option<Value> {
        if let Some(state) = self.told.take() {
            return Some(state);
        }
        if self.over {
            return None;
        }
        let fact = match self.first.next() {
            Some(fact) => fact,
            None => self.later().await?,
        };
        let before = self.state.as_ref().map(|state| (state.status(), state.waiting().count()));
        match &mut self.state {
            Some(state) => {
                if state.apply(&fact).is_err() {
                    return None;
                }
            }
            none => *none = State::begin(&fact).ok(),
        }
        let state = self.state.as_ref()?;
        let changed = before != Some((state.status(), state.waiting().count()));
        if self.first.len() == 0 && (changed || !self.caught_up) {
            self.caught_up = true;
            self.told = Some(json!({ "state": whole(state, true) }));
        }
        self.over = state.ending().is_some() && self.first.len() == 0;
        Some(json!({ "fact": self.teller.tell(&fact) }))
    }

    /// The next fact that comes in.
    async fn later(&mut self) -> Option<Fact> {
        loop {
            let entry = self.tail.next().await.ok()?;
            if entry.event.run.as_ref() != Some(&self.run) {
                continue;
            }
            let (reader, mut decoder) = (self.reader.clone(), std::mem::take(&mut self.decoder));
            let read = tokio::task::spawn_blocking(move || {
                let payload = |name: &str| match reader.payload(entry.event.seq, name) {
                    Ok(StoredPayload::Kept { bytes, .. }) => Some(bytes),
                    _ => None,
                };
                let fact = decoder.decode(&entry.event, payload);
                (fact, decoder)
            });
            let (fact, decoder) = read.await.ok()?;
            self.decoder = decoder;
            let Some(fact) = fact.ok()? else { continue };
            if self.state.as_ref().is_none_or(|state| fact.seq > state.last()) {
                return Some(fact);
            }
        }
    }
}
