//! A body in which nothing may be put, searched as it passes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use cella_secret::{BodyRewriter, Rewriter, Violation};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{
    denial::Denial,
    intercept::{Passage, upstream::Broken},
    limits::DRAINED,
};

/// What was found after the request had begun.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateVerdict(Arc<Mutex<Option<Denial>>>);

/// The body. At the first placeholder it breaks off, and so does what is sent.
pub(crate) struct Checked {
    inner: Incoming,
    /// `None` at the end.
    search: Option<BodyRewriter>,
    rewriter: Rewriter,
    trailers: Option<HeaderMap>,
    verdict: LateVerdict,
    passage: Arc<Passage>,
    /// After a placeholder: why it breaks off, and how many bytes are thrown away before, so that the answer is read.
    broken: Option<(Broken, usize)>,
}

// === impl LateVerdict ===

impl LateVerdict {
    pub(crate) fn get(&self) -> Option<Denial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Checked ===

impl Checked {
    pub(crate) fn new(
        inner: Incoming,
        (search, rewriter): (BodyRewriter, Rewriter),
        verdict: LateVerdict,
        passage: Arc<Passage>,
    ) -> Self {
        Self { inner, search: Some(search), rewriter, trailers: None, verdict, passage, broken: None }
    }

    /// Breaks off, after what is on its way.
    fn refuse(&mut self, violation: Violation) {
        self.search = None;
        let denial = Denial::Secret(violation);
        self.passage.cell.recorder.denied(self.passage.subject.clone(), denial.clone());
        let text = denial.to_string();
        *self.verdict.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(denial);
        self.broken = Some((Broken(text), DRAINED.0));
    }

    /// What was held back, at the end.
    fn last(&mut self) -> Option<Bytes> {
        let search = self.search.take()?;
        let mut out = Vec::new();
        if let Err(violation) = search.finish(&mut out) {
            self.refuse(violation);
            return None;
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// Throws the rest away.
    fn drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some((_, left)) = &mut self.broken {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    if bytes > *left {
                        break;
                    }
                    *left -= bytes;
                }
                Some(Err(_)) | None => break,
            }
        }
        Poll::Ready(())
    }
}

impl Body for Checked {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if self.broken.is_some() {
                ready!(self.drained(cx));
                return Poll::Ready(self.broken.take().map(|(broken, _)| Err(broken)));
            }
            if self.search.is_none() {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)).transpose() {
                Ok(frame) => frame,
                Err(error) => {
                    self.search = None;
                    return Poll::Ready(Some(Err(Broken(error.to_string()))));
                }
            };
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    let mut out = Vec::with_capacity(data.len());
                    let pushed = self.search.as_mut().map_or(Ok(()), |search| search.push(&data, &mut out));
                    match pushed {
                        Err(violation) => self.refuse(violation),
                        Ok(()) if out.is_empty() => {}
                        Ok(()) => return Poll::Ready(Some(Ok(Frame::data(out.into())))),
                    }
                    continue;
                }
                Some(Err(frame)) => self.trailers = frame.into_trailers().ok(),
                None => {}
            }
            if let Some(Err(violation)) = self.trailers.as_ref().map(|t| self.rewriter.trailers(t)) {
                self.refuse(violation);
            } else if let Some(bytes) = self.last() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.search.is_none() && self.trailers.is_none() && self.broken.is_none()
    }

    /// As it was: nothing is put in. Asked for before anything is read.
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
