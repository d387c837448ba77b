//! An answer that goes out as it comes in: server-sent events to one client.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;

use crate::door::Body;

/// Silence after which a comment goes out, so that nobody between takes the connection for dead.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment: clients skip it (HTML living standard, 9.2.6).
pub(crate) const COMMENT: &str = ": still here\n\n";

/// Pieces that wait for a slow client on its connection. Past them they wait with the run, which holds at most one answer.
const PIECES: usize = 64;

/// The end at which pieces are put in.
#[derive(Clone)]
pub(crate) struct Speech(mpsc::Sender<Bytes>);

/// The client went away.
#[derive(Debug)]
pub(crate) struct Gone;

// === impl Speech ===

impl Speech {
    /// A stream, and the answer that it is the body of.
    pub(crate) fn open() -> (Self, Response<Body>) {
        let (sender, receiver) = mpsc::channel(PIECES);
        let pieces = stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((Ok::<_, io::Error>(Frame::data(piece)), receiver))
        });
        let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        (Self(sender), response)
    }

    pub(crate) async fn say(&self, text: String) -> Result<(), Gone> {
        if text.is_empty() {
            return Ok(());
        }
        self.0.send(Bytes::from(text)).await.map_err(|_| Gone)
    }

    /// Completes when the client went away.
    pub(crate) async fn gone(&self) {
        self.0.closed().await;
    }
}

/// One event.
pub(crate) fn event(name: &str, data: &str) -> String {
    let mut text = String::with_capacity(name.len() + data.len() + 24);
    if !name.is_empty() {
        text.push_str("event: ");
        text.push_str(name);
        text.push('\n');
    }
    for line in data.split('\n') {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}
