//! Following a ledger: each durable event once, in order.

use std::collections::VecDeque;

use cella_event::{Head, Seq};
use tokio::sync::watch;

use crate::{Entry, ReadError, Reader};

/// Events read ahead of the one who follows. Stops a slow follower from holding much memory; it falls behind on disk
/// instead, and misses nothing.
const READ_AHEAD: u64 = 256;

/// A running subscription. Dropping it ends it.
#[derive(Debug)]
pub struct Tail {
    reader: Reader,
    head: watch::Receiver<Head>,
    next: Seq,
    ready: VecDeque<Entry>,
}

// === impl Tail ===

impl Tail {
    pub(crate) fn new(reader: Reader, head: watch::Receiver<Head>, from: Seq) -> Self {
        Self { reader, head, next: from.max(Seq(1)), ready: VecDeque::new() }
    }

    /// The next event, once it is durable.
    ///
    /// # Errors
    /// [`ReadError::Closed`] when the ledger was closed and everything was delivered; else what reading said.
    ///
    /// # Cancel safety
    /// An event is either returned or still to come.
    pub async fn next(&mut self) -> Result<Entry, ReadError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.next = entry.event.seq.next();
                return Ok(entry);
            }
            let head = self.head.borrow_and_update().seq;
            if head < self.next {
                if self.head.changed().await.is_err() && self.head.borrow().seq < self.next {
                    return Err(ReadError::Closed);
                }
                continue;
            }
            let last = head.min(Seq(self.next.0 + READ_AHEAD - 1));
            let events = self.reader.range(self.next, last);
            let read = tokio::task::spawn_blocking(move || events.collect::<Result<VecDeque<_>, _>>());
            self.ready = read.await.map_err(|_| ReadError::Closed)??;
        }
    }
}
