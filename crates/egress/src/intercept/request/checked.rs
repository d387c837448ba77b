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
        Self { inner, search: Some(search), rewriter, trailers: None, verdict, passage }
    }

    /// Breaks off.
    fn refuse(&mut self, violation: Violation) -> Broken {
        self.search = None;
        let denial = Denial::Secret(violation);
        self.passage.cell.recorder.denied(self.passage.subject.clone(), denial.clone());
        let text = denial.to_string();
        *self.verdict.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(denial);
        Broken(text)
    }

    /// What was held back, at the end.
    fn last(&mut self) -> Result<Option<Bytes>, Broken> {
        let Some(search) = self.search.take() else { return Ok(None) };
        let mut out = Vec::new();
        search.finish(&mut out).map_err(|violation| self.refuse(violation))?;
        Ok((!out.is_empty()).then(|| out.into()))
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
            let frame = match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    let mut out = Vec::with_capacity(data.len());
                    let pushed = self.search.as_mut().map_or(Ok(()), |search| search.push(&data, &mut out));
                    match pushed {
                        Err(violation) => return Poll::Ready(Some(Err(self.refuse(violation)))),
                        Ok(()) if out.is_empty() => continue,
                        Ok(()) => return Poll::Ready(Some(Ok(Frame::data(out.into())))),
                    }
                }
                Some(Err(frame)) => frame.into_trailers().ok(),
                None => None,
            };
            if let Some(trailers) = frame {
                if let Err(violation) = self.rewriter.trailers(&trailers) {
                    return Poll::Ready(Some(Err(self.refuse(violation))));
                }
                self.trailers = Some(trailers);
            }
            match self.last() {
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Ok(None) => {}
                Err(broken) => return Poll::Ready(Some(Err(broken))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.search.is_none() && self.trailers.is_none()
    }

    /// As it was: nothing is put in. Asked for before anything is read.
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
