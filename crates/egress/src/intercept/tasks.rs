//! The tasks of one connection, which end with it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;

/// Runs what HTTP wants to have run beside. Each clone dropped ends nothing; the one that was made first ends all.
#[derive(Debug)]
pub(super) struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
    first: bool,
}

// === impl Tasks ===

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(task);
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self { set: Arc::default(), first: true }
    }
}

impl Clone for Tasks {
    fn clone(&self) -> Self {
        Self { set: self.set.clone(), first: false }
    }
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.spawn(async move { drop(future.await) });
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        if self.first {
            self.set.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        }
    }
}
