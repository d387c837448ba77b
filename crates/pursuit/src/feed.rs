//! One follower of the ledger for all runs: each event goes to the driver of its run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cella_event::RunId;
use cella_ledger::{Entry, Ledger, ReadError};
use tokio::sync::mpsc;

/// Where drivers wait for events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feed {
    waiting: Arc<Mutex<HashMap<RunId, mpsc::UnboundedSender<Entry>>>>,
}

/// Events of one run. Bounded by what the run itself has on record and has not taken in yet.
#[derive(Debug)]
pub(crate) struct Events {
    feed: Feed,
    run: RunId,
    receiver: mpsc::UnboundedReceiver<Entry>,
}

impl Feed {
    /// Follows the ledger until it is closed.
    pub(crate) async fn follow(self, ledger: Ledger) {
        let mut tail = ledger.tail(ledger.head().seq.next());
        loop {
            match tail.next().await {
                Ok(entry) => self.hand_on(entry),
                Err(ReadError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "runs hear nothing more: the ledger cannot be followed");
                    self.lock().clear();
                    return;
                }
            }
        }
    }

    /// Events of a run from now on. Whoever was listening hears no more.
    pub(crate) fn listen(&self, run: &RunId) -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().insert(run.clone(), sender);
        Events { feed: self.clone(), run: run.clone(), receiver }
    }

    fn hand_on(&self, entry: Entry) {
        let Some(run) = &entry.event.run else { return };
        let waiting = self.lock();
        if let Some(sender) = waiting.get(run) {
            // A driver that is gone needs no events.
            let _gone = sender.send(entry).is_err();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, mpsc::UnboundedSender<Entry>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    /// The next event; `None` when the ledger is closed.
    pub(crate) async fn next(&mut self) -> Option<Entry> {
        self.receiver.recv().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiting = self.feed.lock();
        if waiting.get(&self.run).is_some_and(mpsc::UnboundedSender::is_closed) {
            waiting.remove(&self.run);
        }
    }
}
