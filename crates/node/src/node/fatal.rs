//! What ends a node that was not told to end: told once, by whoever notices first.

use std::sync::Arc;

use tokio::sync::watch;

/// The first thing after which the node cannot go on. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fatal {
    door: Arc<watch::Sender<Option<String>>>,
}

/// Held by the task of a door: when it goes, however it goes, the door is closed.
#[derive(Debug)]
pub(crate) struct OpenDoor {
    fatal: Fatal,
    door: String,
}

// === impl Fatal ===

impl Fatal {
    /// A door that is open as long as the answer is held.
    pub(crate) fn door(&self, door: impl Into<String>) -> OpenDoor {
        OpenDoor { fatal: self.clone(), door: door.into() }
    }

    /// Completes when a door has closed, with its address.
    pub(crate) async fn door_closed(&self) -> String {
        let mut closed = self.door.subscribe();
        let door = match closed.wait_for(Option::is_some).await {
            Ok(door) => door.clone(),
            Err(_) => None,
        };
        match door {
            Some(door) => door,
            // The sender lives as long as this value.
            None => std::future::pending().await,
        }
    }
}

// === impl OpenDoor ===

impl Drop for OpenDoor {
    fn drop(&mut self) {
        self.fatal.door.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(std::mem::take(&mut self.door));
            }
            first
        });
    }
}
