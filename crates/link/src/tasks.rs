//! The tasks that work for one link and end with it.

use std::future::Future;

use tokio::task::AbortHandle;

/// Tasks that are aborted when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    listener: Option<AbortHandle>,
    others: Vec<AbortHandle>,
}

impl Tasks {
    /// Starts a task.
    pub(super) fn spawn<T: Send + 'static>(&mut self, task: impl Future<Output = T> + Send + 'static) {
        self.others.push(tokio::spawn(task).abort_handle());
    }

    /// Starts the task that listens for changes.
    pub(super) fn listen(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.listener = Some(tokio::spawn(task).abort_handle());
    }

    /// Ends the listening task alone.
    pub(super) fn stop_listening(&self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }

    /// Ends all.
    pub(super) fn stop(&self) {
        self.stop_listening();
        self.others.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop();
    }
}
