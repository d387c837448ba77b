//! Bodies: reading a bounded request, writing a response that needs no box and no task.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use super::{calling::poll_once, feed::Reader, socket::Busy};

/// What a door sends back.
#[derive(Debug)]
pub(super) struct Body {
    kind: Kind,
    /// Until the body is handed over, its connection is busy.
    busy: Option<Busy>,
}

#[derive(Debug)]
enum Kind {
    Whole(Bytes),
    Feed(Reader),
    Other(UnsyncBoxBody<Bytes, io::Error>),
}

/// Why a request body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

// === impl Body ===

impl Body {
    pub(super) fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Whole(bytes.into()), busy: None }
    }

    pub(super) fn feed(reader: Reader) -> Self {
        Self { kind: Kind::Feed(reader), busy: None }
    }

    pub(super) fn other(body: UnsyncBoxBody<Bytes, io::Error>) -> Self {
        Self { kind: Kind::Other(body), busy: None }
    }

    pub(super) fn hold(&mut self, busy: Busy) {
        self.busy = Some(busy);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.kind {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Feed(reader) => reader.poll_next(cx).map(|frame| frame.map(|f| Ok(Frame::data(f)))),
            Kind::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Feed(_) => false,
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Feed(_) => SizeHint::default(),
            Kind::Other(body) => body.size_hint(),
        }
    }
}

/// Reads a whole request body of at most `max` bytes within `time`.
///
/// Small bodies mostly come with their head, in one piece, and are then neither copied nor timed.
pub(super) async fn read(body: Incoming, max: usize, time: Duration) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > max as u64 {
        return Err(Unread::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut all = pin!(collect(body, max));
    let first = poll_once(all.as_mut()).await;
    match first {
        Poll::Ready(bytes) => bytes,
        Poll::Pending => tokio::time::timeout(time, all).await.unwrap_or(Err(Unread::TooSlow)),
    }
}

async fn collect(mut body: Incoming, max: usize) -> Result<Bytes, Unread> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > max {
            return Err(Unread::TooLarge);
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut all = BytesMut::with_capacity(first.len() + rest.len());
    all.extend_from_slice(&first);
    all.extend_from_slice(&rest);
    Ok(all.freeze())
}
