//! One follower of the ledger for all runs: each event goes to the driver of its run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cella_event::{RunId, Seq};
use cella_ledger::{Entry, Ledger, ReadError};
use tokio::sync::{mpsc, watch};

/// Where drivers wait for events.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// The last event that was handed on.
    seen: Arc<watch::Sender<Seq>>,
    waiting: Arc<Mutex<HashMap<RunId, mpsc::UnboundedSender<Entry>>>>,
}

/// Events of one run. Bounded by what the run itself has on record and has not taken in yet.
#[derive(Debug)]
pub(crate) struct Events {
    feed: Feed,
    run: RunId,
    receiver: mpsc::UnboundedReceiver<Entry>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { seen: Arc::new(watch::Sender::new(Seq(0))), waiting: Arc::default() }
    }
}

impl Feed {
    /// Follows the ledger until it is closed.
    pub(crate) async fn follow(self, ledger: Ledger) {
        let head = ledger.head().seq;
        self.seen.send_replace(head);
        let mut tail = ledger.tail(head.next());
        loop {
            match tail.next().await {
                Ok(entry) => {
                    let seq = entry.event.seq;
                    self.hand_on(entry);
                    self.seen.send_replace(seq);
                }
                Err(ReadError::Closed) => {
                    // Nothing more comes, and nobody is to wait for it.
                    self.seen.send_replace(Seq(u64::MAX));
                    self.lock().clear();
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "runs hear nothing more: the ledger cannot be followed");
                    // In this order: whoever begins to listen now is told, or is among those that are told here.
                    self.seen.send_replace(Seq(u64::MAX));
                    self.lock().clear();
                    return;
                }
            }
        }
    }

    /// Completes when everything up to an event was handed on.
    pub(crate) async fn caught_up(&self, to: Seq) {
        let mut seen = self.seen.subscribe();
        // An error means that the sender is gone, which lives as long as this value.
        let _seen = seen.wait_for(|seen| *seen >= to).await;
    }

    /// Events of a run from now on. Whoever was listening hears no more.
    pub(crate) fn listen(&self, run: &RunId) -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut waiting = self.lock();
        // Nobody follows the ledger any more: a run that waited here would wait for ever.
        if *self.seen.borrow() != Seq(u64::MAX) {
            waiting.insert(run.clone(), sender);
        }
        drop(waiting);
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
    /// True when nothing waits here.
    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_run_that_begins_when_nobody_follows_the_ledger_hears_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let (ledger, _) = Ledger::open(&cella_ledger::Options::new(dir.path())).expect("a ledger");
        let feed = Feed::default();
        let following = tokio::spawn(feed.clone().follow(ledger.clone()));
        ledger.close().expect("closed");
        following.await.expect("no panic");
        let mut events = feed.listen(&RunId::new("r-1").expect("an id"));
        let heard = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
        assert!(heard.expect("it does not wait for ever").is_none());
    }
}
