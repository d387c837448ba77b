//! The way to a server of 2024-11-05: every message is a POST, every answer comes on the one event stream.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{HeaderMap, Uri};
use tokio::{task::AbortHandle, time::timeout};

use super::{SendError, connection::Connection, pool::Pool, post, refusal::Refusal};
use crate::{LinkOptions, error, limits::ERROR_BODY_BYTES_MAX};
use cella_transport::{Failure, Fault};

/// Where the server takes messages.
#[derive(Debug)]
pub(crate) struct PostBox {
    pool: Arc<Pool>,
    path: Uri,
    headers: HeaderMap,
    options: Arc<LinkOptions>,
    closed: AtomicBool,
    /// The reader of the event stream, which keeps the session alive.
    reader: std::sync::OnceLock<AbortHandle>,
}

impl PostBox {
    pub(crate) fn new(
        pool: Arc<Pool>,
        path: Uri,
        headers: HeaderMap,
        options: Arc<LinkOptions>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool,
            path,
            headers,
            options,
            closed: AtomicBool::new(false),
            reader: std::sync::OnceLock::new(),
        })
    }

    /// Sets the reader that is to end when the box is closed.
    pub(crate) fn read_by(&self, reader: AbortHandle) {
        let _first = self.reader.set(reader).is_ok();
    }

    /// Sends one message and waits until it is taken.
    pub(crate) async fn post(&self, line: &[u8]) -> Result<(), Fault> {
        if self.closed.load(Ordering::Acquire) {
            return Err(error::link_closed(false));
        }
        let within = self.options.deadlines.idle;
        timeout(within, self.send(line))
            .await
            .unwrap_or_else(|_| Err(error::timed_out("the server did not take the request", within)))
    }

    /// Sends one message in the background.
    pub(crate) fn post_later(self: &Arc<Self>, line: Vec<u8>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let posts = Arc::clone(self);
        runtime.spawn(async move {
            if let Err(fault) = posts.post(&line).await {
                tracing::debug!(%fault, "the server did not take a message");
            }
        });
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(reader) = self.reader.get() {
            reader.abort();
        }
        self.pool.clear();
    }

    async fn send(&self, line: &[u8]) -> Result<(), Fault> {
        let request = post(&self.path, &self.headers, line.trim_ascii_end().to_vec());
        let sent = self.pool.send(request, false).await;
        let (mut connection, mut response) = sent.map_err(|e| match e {
            SendError::Connect(_) | SendError::Unsent(_) => super::Lost::Send(e).to_fault(false),
            SendError::InDoubt(_) => super::Lost::Send(e).to_fault(true),
        })?;
        let (head, mut body) = {
            let body = read_some(&mut connection, response.body_mut()).await;
            (response.into_parts().0, body)
        };
        let whole = body.take();
        if whole.is_some() {
            self.pool.put(connection);
        }
        if head.status.is_success() {
            return Ok(());
        }
        let body = whole.unwrap_or_default();
        match Refusal::read(head.status, &head.headers, &body, &self.options).to_failure() {
            Failure::Fault(fault) => Err(fault),
            Failure::Peer(error) => {
                Err(error::status(head.status.as_u16(), &format!(": {}", error::quote(&error.message))))
            }
        }
    }
}

/// A short body; `None` when it is not.
async fn read_some(connection: &mut Connection, body: &mut hyper::body::Incoming) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = connection.frame(body).await {
        bytes.extend_from_slice(&frame.ok()?.into_data().unwrap_or_default());
        if bytes.len() > ERROR_BODY_BYTES_MAX {
            return None;
        }
    }
    Some(bytes)
}
