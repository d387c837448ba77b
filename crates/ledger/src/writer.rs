//! The one thread that writes: takes what waits, closes the chain over it, commits, acknowledges.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use cella_event::{Encoded, Hash, Head, Seq, event_hash};
use tokio::sync::watch;

use crate::{
    AppendError, Block, CloseError, Store, StoreError,
    mark::Mark,
    queue::{Batch, Job, Queue},
};

/// First pause after a failed commit; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(50);

/// Longest pause after a failed commit: how late recovery from a full disk can be noticed.
const RETRY_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) store: Box<dyn Store>,
    pub(crate) mark: Mark,
    pub(crate) head: watch::Sender<Head>,
}

// === impl Writer ===

impl Writer {
    /// Runs until the ledger is closed. A fault of the writer itself is told to everybody who waits for it, or will:
    /// they would wait for ever.
    pub(crate) fn run_until_closed(self) -> Result<(), CloseError> {
        let queue = Arc::clone(&self.queue);
        match catch_unwind(AssertUnwindSafe(|| self.run())) {
            Ok(result) => result,
            Err(panic) => {
                let reason = StoreError::Ended { why: words(&*panic).into() };
                tracing::error!(%reason, "the ledger records nothing any more");
                queue.end(&reason);
                Err(CloseError { events: queue.waiting() as u64, reason })
            }
        }
    }

    fn run(mut self) -> Result<(), CloseError> {
        while let Some(batch) = self.queue.take() {
            self.write(batch)?;
            self.store.tidy();
        }
        Ok(())
    }

    /// Commits one batch, however long it takes.
    fn write(&mut self, mut batch: Batch) -> Result<(), CloseError> {
        let mut waiters = std::mem::take(&mut batch.waiters);
        if batch.count > 0 {
            let block = seal(&mut batch, self.head.borrow().hash);
            let mut pause = RETRY_MIN;
            while let Err(reason) = self.commit(&block, &mut batch) {
                if pause == RETRY_MIN {
                    let error = AppendError::Failing { reason: reason.clone() };
                    tracing::error!(first = block.first.0, %error);
                }
                if !self.queue.failed(&reason, std::mem::take(&mut waiters), pause) {
                    return Err(CloseError { events: self.queue.waiting() as u64, reason });
                }
                pause = (pause * 2).min(RETRY_MAX);
            }
            if pause > RETRY_MIN {
                tracing::info!(first = block.first.0, "the ledger writes again");
            }
            self.head.send_replace(block.head());
            (batch.events, batch.payloads) = (block.events, block.payloads);
        }
        for Job(job) in batch.jobs.drain(..) {
            job(&mut *self.store);
        }
        for (_, waiter) in waiters {
            let _gone = waiter.send(Ok(())).is_err();
        }
        self.queue.done(batch);
        Ok(())
    }

    fn commit(&mut self, block: &Block, batch: &mut Batch) -> Result<(), StoreError> {
        for object in &mut batch.objects {
            object.place()?;
        }
        self.store.append(block)?;
        self.mark.write(block.head())
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a fault without words").to_owned()
}

/// Fills in each predecessor, which only now is known.
fn seal(batch: &mut Batch, prev: Hash) -> Block {
    let mut events = std::mem::take(&mut batch.events);
    let mut last = prev;
    let mut rest = &mut events[..];
    for prev_at in &batch.prev_at {
        let Some((length, after)) = rest.split_first_chunk_mut::<4>() else { break };
        let Some((canonical, after)) = after.split_at_mut_checked(u32::from_le_bytes(*length) as usize)
        else {
            break;
        };
        Encoded::fill_prev(canonical, *prev_at as usize, &last);
        last = event_hash(canonical);
        rest = after;
    }
    let epoch = cella_event::Micros(0);
    Block {
        first: Seq(batch.first),
        count: batch.count,
        prev,
        since: batch.since.unwrap_or(epoch),
        until: batch.until.unwrap_or(epoch),
        last_hash: last,
        events,
        payloads: std::mem::take(&mut batch.payloads),
    }
}
