//! What becomes of an answer: the values of secrets in it become their placeholders again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use cella_secret::{BodyScrubber, ScrubError, Scrubber};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;

use super::{
    Passage,
    upstream::{Body, Broken},
};
use crate::{denial::Denial, record::Verdict, secrets::Material};

/// Headers that are about the connection outside, beside those that hyper writes itself.
const OF_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    // a way round this connection for the next request
    HeaderName::from_static("alt-svc"),
];

/// A body on its way to the cell.
struct Scrubbed {
    inner: Incoming,
    /// `None` at the end.
    search: Option<BodyScrubber>,
    scrubber: Scrubber,
    trailers: Option<HeaderMap>,
    passage: Arc<Passage>,
}

/// The answer as the cell gets it.
pub(super) fn scrubbed(
    response: Response<Incoming>,
    method: &Method,
    material: &Material,
    passage: &Arc<Passage>,
) -> Result<Response<Body>, Denial> {
    let (parts, inner) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Denial::Form { what: "another protocol" });
    }
    let mut headers = parts.headers;
    for name in OF_CONNECTION {
        headers.remove(name);
    }
    let length = headers.get(header::CONTENT_LENGTH).cloned().filter(|_| method == Method::HEAD);
    let search = material.scrubber.answer(&mut headers).map_err(|error| passage.unreadable(&error))?;
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    let body = if inner.is_end_stream() {
        let hits = search.finish(&mut Vec::new()).map_err(|error| passage.unreadable(&error))?;
        passage.reflected(hits);
        Empty::new().map_err(|never| match never {}).boxed_unsync()
    } else {
        let scrubber = material.scrubber.clone();
        let passage = passage.clone();
        Scrubbed { inner, search: Some(search), scrubber, trailers: None, passage }.boxed_unsync()
    };
    // Made anew: what hyper noted of the answer, such as its reason phrase, was not looked at.
    let mut answer = Response::new(body);
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

// === impl Passage ===

impl Passage {
    fn unreadable(&self, error: &ScrubError) -> Denial {
        Denial::Answer { name: self.name.clone(), code: error.code(), cause: error.to_string() }
    }

    fn reflected(&self, times: u64) {
        if times > 0 {
            let verdict = Verdict::Reflected { connection: self.connection, times };
            self.cell.recorder.note_now(&self.subject, verdict);
        }
    }
}

// === impl Scrubbed ===

impl Scrubbed {
    /// Breaks off.
    fn refuse(&mut self, error: &ScrubError) -> Broken {
        self.search = None;
        let denial = self.passage.unreadable(error);
        let text = denial.to_string();
        self.passage.cell.recorder.denied(self.passage.subject.clone(), denial);
        Broken(text)
    }

    /// What was held back, at the end.
    fn last(&mut self) -> Result<Option<Bytes>, Broken> {
        let Some(search) = self.search.take() else { return Ok(None) };
        let mut out = Vec::new();
        let hits = search.finish(&mut out).map_err(|error| self.refuse(&error))?;
        self.passage.reflected(hits);
        Ok((!out.is_empty()).then(|| out.into()))
    }
}

impl http_body::Body for Scrubbed {
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
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    let mut out = Vec::with_capacity(data.len());
                    let pushed = self.search.as_mut().map_or(Ok(()), |search| search.push(&data, &mut out));
                    match pushed {
                        Err(error) => return Poll::Ready(Some(Err(self.refuse(&error)))),
                        Ok(()) if out.is_empty() => continue,
                        Ok(()) => return Poll::Ready(Some(Ok(Frame::data(out.into())))),
                    }
                }
                Some(Err(frame)) => {
                    self.trailers = frame.into_trailers().ok();
                    if let Some(mut trailers) = self.trailers.take() {
                        self.passage.reflected(self.scrubber.headers(&mut trailers));
                        self.trailers = Some(trailers);
                    }
                }
                None => {}
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
}
