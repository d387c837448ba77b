//! A fault of the writer itself is an error for everybody who waits or will wait, never a wait without end.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cella_event::{Draft, Kind, Seq};
use cella_ledger::{
    AppendError, Block, Durability, Health, Ledger, Options, Source, Store, StoreError, sqlite_store,
};

/// Longer than any of this takes; only a test that hangs ever meets it.
const HANG: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Fragile {
    store: Box<dyn Store>,
    falls: Arc<AtomicBool>,
}

impl Store for Fragile {
    fn append(&mut self, block: &Block) -> Result<(), StoreError> {
        assert!(!self.falls.load(Ordering::SeqCst), "a fault in the store");
        self.store.append(block)
    }

    fn replace_payloads(&mut self, first: Seq, payloads: &[u8]) -> Result<(), StoreError> {
        self.store.replace_payloads(first, payloads)
    }

    fn scrub(&mut self) -> Result<(), StoreError> {
        self.store.scrub()
    }

    fn set_aside(&mut self, first: Seq, reason: &str) -> Result<(), StoreError> {
        self.store.set_aside(first, reason)
    }

    fn source(&self) -> Arc<dyn Source> {
        self.store.source()
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_falls_fails_its_callers_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path());
    let falls = Arc::new(AtomicBool::new(false));
    let store = Fragile { store: sqlite_store(&options).unwrap(), falls: Arc::clone(&falls) };
    let (ledger, _) = Ledger::over(&options, Box::new(store)).unwrap();
    let draft = Draft::new(Kind::CallIntended);
    ledger.append(&draft, &[], Durability::Flushed).await.unwrap();
    let (watched, head) = (ledger.clone(), ledger.head());
    let ended = tokio::spawn(async move { watched.ended().await });

    falls.store(true, Ordering::SeqCst);
    let during =
        soon("the append that meets the fault", ledger.append(&draft, &[], Durability::Flushed)).await;
    assert!(matches!(during, Err(AppendError::Ended { .. })), "{during:?}");
    let reason = soon("the one who watches", ended).await.unwrap();
    assert!(reason.to_string().contains("a fault in the store"), "{reason}");

    assert!(matches!(ledger.health(), Health::Ended { .. }));
    for durability in [Durability::Flushed, Durability::Buffered] {
        let after = soon("an append after it", ledger.append(&draft, &[], durability)).await;
        assert_eq!(after.unwrap_err().code(), "CE5019");
    }
    assert!(matches!(ledger.try_append(&draft, &[]), Err(AppendError::Ended { .. })));
    assert!(soon("a flush", ledger.flush()).await.is_err());
    assert!(ledger.reader().get(head.seq).unwrap().is_some(), "reading goes on");

    let closing = ledger.clone();
    let closed = tokio::task::spawn_blocking(move || closing.close()).await.unwrap();
    assert!(closed.unwrap_err().events >= 1, "what had not been written is counted");
    drop(ledger);
    let (_, opened) = Ledger::open(&options).unwrap();
    assert_eq!(opened.head, head);
}
