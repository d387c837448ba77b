//! The way to the server: a pipe, or a POST per message for the old HTTP+SSE.

use std::sync::Arc;

use crate::{error, http::PostBox};
use cella_transport::{
    Fault,
    stdio::{Outbox, OutboxClosed},
};

/// Where messages to the server go.
#[derive(Debug)]
pub(crate) enum Outbound {
    /// A byte stream.
    Pipe(Outbox),
    /// One POST per message, answered on the event stream.
    Posts(Arc<PostBox>),
}

/// A message that was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    Outbox(OutboxClosed),
    Post(Box<Fault>),
}

impl Outbound {
    /// Sends a request. `alone`: nothing else is in flight, so waiting for company would only cost time.
    ///
    /// Returns the position for [`Outbound::has_left`].
    pub(super) async fn request(&self, line: &[u8], alone: bool) -> Result<u64, Unsent> {
        match self {
            Self::Pipe(outbox) if alone => outbox.send_now(line).map_err(Unsent::Outbox),
            Self::Pipe(outbox) => outbox.send(line).map_err(Unsent::Outbox),
            Self::Posts(posts) => posts.post(line).await.map(|()| 0).map_err(|e| Unsent::Post(Box::new(e))),
        }
    }

    /// Sends an answer or a notification, without waiting and without knowing whether it arrives.
    pub(super) fn send(&self, line: Vec<u8>) {
        match self {
            Self::Pipe(outbox) => {
                if let Err(why) = outbox.send_now(&line) {
                    tracing::debug!(%why, "not sent");
                }
            }
            Self::Posts(posts) => posts.post_later(line),
        }
    }

    /// Whether at least a part of the request at this position is on its way. A POST that was accepted is.
    pub(super) fn has_left(&self, position: u64) -> bool {
        match self {
            Self::Pipe(outbox) => outbox.has_left(position),
            Self::Posts(_) => true,
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::Pipe(outbox) => outbox.close(),
            Self::Posts(posts) => posts.close(),
        }
    }
}

impl Unsent {
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Outbox(OutboxClosed::Full) => error::not_reading(),
            Self::Outbox(OutboxClosed::Closed) => error::crashed("it closed its input", false),
            Self::Post(fault) => *fault,
        }
    }
}
