//! Background tasks, counted, so that a shutdown can wait for the last of them and nothing is left behind.

use std::future::Future;

use tokio::sync::watch;

/// The running tasks of a pool.
pub(super) struct Tasks {
    running: watch::Sender<usize>,
    closed: watch::Sender<bool>,
}

/// Counts one task until it is dropped, also when the task panics.
struct Running(watch::Sender<usize>);

impl Default for Tasks {
    fn default() -> Self {
        Self { running: watch::Sender::new(0), closed: watch::Sender::new(false) }
    }
}

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.send_modify(|n| *n += 1);
        let running = Running(self.running.clone());
        tokio::spawn(async move {
            task.await;
            drop(running);
        });
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Completes when the pool is being shut down.
    pub(super) async fn closing(&self) {
        let mut closed = self.closed.subscribe();
        let _sender_is_ours = closed.wait_for(|closed| *closed).await;
    }

    /// Completes when no task runs.
    pub(super) async fn idle(&self) {
        let mut running = self.running.subscribe();
        let _sender_is_ours = running.wait_for(|n| *n == 0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}
