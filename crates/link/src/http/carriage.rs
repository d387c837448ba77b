//! One request on its way and everything that comes back for it: a JSON body or an event stream, broken off and resumed
//! where the era allows it.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use cella_mcp::{DecodeError, Flaw, Incoming, Message, Revision, parse_batch, sse};
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming as Body;
use tokio::time::{Sleep, sleep, timeout};

use super::{
    HttpLink, HttpTerms,
    connection::Connection,
    pool::{Pool, SendError},
    refusal::Refusal,
    request,
};
use crate::limits::{ERROR_BODY_BYTES_MAX, EVENT_ID_BYTES_MAX, RESUMES_MAX, RETRY_MS_MAX};

/// How long is waited before a stream is resumed when the server does not say.
const RETRY_DEFAULT: Duration = Duration::from_millis(500);
/// How long the end of a stream may take after its last message for its connection to be kept.
const ENDING: Duration = Duration::from_millis(250);

/// What comes back for a request.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A message, complete.
    Message(Message),
    /// The server took the message and will not answer it here.
    Accepted,
    /// The response is no success.
    Refused(Box<Refusal>),
    /// The connection failed, or the stream ended too early.
    Broken {
        /// False when nothing was sent.
        in_doubt: bool,
        /// What happened.
        why: Lost,
    },
    /// The response cannot be understood.
    Garbage(String),
}

/// Why nothing more comes.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The request could not be sent, or its response not be read.
    Send(SendError),
    /// The stream ended.
    Ended(&'static str),
}

/// One request and its responses. [`Carriage::next`] is cancel safe.
pub(crate) struct Carriage {
    link: Arc<HttpLink>,
    terms: Arc<HttpTerms>,
    state: State,
    messages: VecDeque<Message>,
    /// Set once a stream can be resumed: the last event id.
    resume_after: Option<Box<str>>,
    retry: Duration,
    resumes: u32,
    resumable: bool,
}

type Sending = Pin<Box<dyn Future<Output = Result<(Connection, Response<Body>), SendError>> + Send>>;

enum State {
    Sending { response: Sending, resuming: bool },
    Whole { connection: Box<Connection>, response: Response<Body>, bytes: Vec<u8> },
    Stream { connection: Box<Connection>, body: Body, decoder: Box<sse::Decoder> },
    Pause(Pin<Box<Sleep>>),
    Over,
}

impl Carriage {
    /// Sends a request. `repeatable`: it may be sent twice. Streams of the legacy era are resumed.
    pub(super) fn send(
        link: &Arc<HttpLink>,
        terms: &Arc<HttpTerms>,
        request: Request<Full<Bytes>>,
        repeatable: bool,
    ) -> Self {
        let pool = Arc::clone(&link.pool);
        Self {
            link: Arc::clone(link),
            terms: Arc::clone(terms),
            state: State::Sending { response: sending(pool, request, repeatable), resuming: false },
            messages: VecDeque::new(),
            resume_after: None,
            retry: RETRY_DEFAULT,
            resumes: 0,
            resumable: terms.terms.era() == cella_mcp::Era::Legacy,
        }
    }

    /// Waits until the head of the response is there, and returns the session id it names.
    pub(crate) async fn head(&mut self) -> Result<Option<http::HeaderValue>, Box<Arrival>> {
        let State::Sending { response, .. } = &mut self.state else { return Ok(None) };
        let sent = response.as_mut().await;
        let session = sent.as_ref().ok().and_then(|(_, r)| r.headers().get(request::SESSION_ID).cloned());
        match self.take_head(sent, false) {
            Some(arrival) => Err(Box::new(arrival)),
            None => Ok(session),
        }
    }

    /// True while events come.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.state, State::Stream { .. })
    }

    /// The next thing that comes. After anything but a message there is no more.
    pub(crate) async fn next(&mut self) -> Arrival {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Arrival::Message(message);
            }
            let arrival = match &mut self.state {
                State::Sending { response, resuming } => {
                    let resuming = *resuming;
                    let sent = response.as_mut().await;
                    self.take_head(sent, resuming)
                }
                State::Whole { connection, response, bytes } => {
                    let frame = connection.frame(response.body_mut()).await;
                    let max = body_max(response.status(), self.link.options.limits.message.bytes);
                    match frame {
                        Some(Ok(frame)) => {
                            let data = frame.into_data().unwrap_or_default();
                            bytes.extend_from_slice(
                                &data[..data.len().min((max + 1).saturating_sub(bytes.len()))],
                            );
                            (bytes.len() > max).then(|| self.too_large(max)).flatten()
                        }
                        Some(Err(source)) => Some(self.lost(source)),
                        None => self.take_body(),
                    }
                }
                State::Stream { connection, body, decoder } => match connection.frame(body).await {
                    Some(Ok(frame)) => {
                        let events = decoder.push(&frame.into_data().unwrap_or_default());
                        self.take_events(events)
                    }
                    _ended => self.take_end(),
                },
                State::Pause(sleep) => {
                    sleep.as_mut().await;
                    self.resume();
                    None
                }
                State::Over => {
                    Some(Arrival::Broken { in_doubt: true, why: Lost::Ended("nothing more comes") })
                }
            };
            if let Some(arrival) = arrival {
                self.state = State::Over;
                return arrival;
            }
        }
    }

    /// Keeps the connection of a finished stream, if its end is there or comes soon.
    pub(super) fn finish(self) {
        if let State::Stream { mut connection, mut body, .. } = self.state {
            let pool = Arc::clone(&self.link.pool);
            tokio::spawn(async move {
                let ended = timeout(ENDING, connection.frame(&mut body)).await;
                if matches!(ended, Ok(None)) {
                    pool.put(*connection);
                }
            });
        }
    }

    fn take_head(
        &mut self,
        sent: Result<(Connection, Response<Body>), SendError>,
        resuming: bool,
    ) -> Option<Arrival> {
        let (connection, response) = match sent {
            Ok(sent) => sent,
            Err(_) if resuming => return self.pause(),
            Err(why @ (SendError::Connect(_) | SendError::Unsent(_))) => {
                return Some(Arrival::Broken { in_doubt: false, why: Lost::Send(why) });
            }
            Err(why) => return Some(Arrival::Broken { in_doubt: true, why: Lost::Send(why) }),
        };
        let kind = Kind::of(&response);
        match kind {
            Kind::Stream => {
                let decoder = Box::new(sse::Decoder::new(self.link.options.limits.message.bytes));
                let body = response.into_body();
                self.state = State::Stream { connection: Box::new(connection), body, decoder };
                None
            }
            _ if resuming => {
                Some(Arrival::Broken { in_doubt: true, why: Lost::Ended("its stream cannot be resumed") })
            }
            Kind::Accepted | Kind::Json | Kind::Refusal => {
                self.state = State::Whole { connection: Box::new(connection), response, bytes: Vec::new() };
                None
            }
            Kind::Other(kind) => Some(Arrival::Garbage(format!("content type {kind:?}"))),
        }
    }

    /// A body that was read to its end.
    fn take_body(&mut self) -> Option<Arrival> {
        let State::Whole { connection, response, bytes } = std::mem::replace(&mut self.state, State::Over)
        else {
            return None;
        };
        self.link.pool.put(*connection);
        match Kind::of(&response) {
            Kind::Accepted => Some(Arrival::Accepted),
            Kind::Refusal => {
                let refusal =
                    Refusal::read(response.status(), response.headers(), &bytes, &self.link.options);
                Some(Arrival::Refused(Box::new(refusal)))
            }
            _ => match self.parse(&bytes) {
                Ok(()) if self.messages.is_empty() => Some(Arrival::Garbage("an empty body".into())),
                Ok(()) => None,
                Err(flaw) => Some(Arrival::Garbage(flaw.to_string())),
            },
        }
    }

    fn take_events(&mut self, events: Result<Vec<sse::Event>, sse::SseError>) -> Option<Arrival> {
        let events = match events {
            Ok(events) => events,
            Err(error) => return Some(Arrival::Garbage(error.to_string())),
        };
        for event in events.iter().filter(|event| &*event.kind == "message") {
            if let Err(flaw) = self.parse(&event.data) {
                return Some(Arrival::Garbage(flaw.to_string()));
            }
            self.resumes = 0;
        }
        None
    }

    /// The end of a stream, or of the connection under it.
    fn take_end(&mut self) -> Option<Arrival> {
        let State::Stream { decoder, .. } = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        if let Some(id) = decoder.last_event_id().filter(|id| id.len() <= EVENT_ID_BYTES_MAX) {
            self.resume_after = Some(id.into());
        }
        if let Some(ms) = decoder.retry_ms() {
            self.retry = Duration::from_millis(ms.min(RETRY_MS_MAX));
        }
        self.pause()
    }

    /// Waits before the stream is resumed, if it can be.
    fn pause(&mut self) -> Option<Arrival> {
        self.resumes += 1;
        if !self.resumable || self.resume_after.is_none() || self.resumes > RESUMES_MAX {
            return Some(Arrival::Broken { in_doubt: true, why: Lost::Ended("it closed the stream") });
        }
        self.state = State::Pause(Box::pin(sleep(self.retry)));
        None
    }

    fn resume(&mut self) {
        let request = request::get(&self.link.target.path, &self.terms.headers, self.resume_after.as_deref());
        let response = sending(Arc::clone(&self.link.pool), request, true);
        self.state = State::Sending { response, resuming: true };
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        let limits = &self.link.options.limits.message;
        match Message::parse(bytes, limits) {
            Ok(message) => self.messages.push_back(message),
            Err(DecodeError { flaw: Flaw::Batch, .. })
                if self.terms.terms.revision == Revision::V2025_03_26 =>
            {
                match parse_batch(bytes, limits).map_err(|e| e.flaw)? {
                    Incoming::One(message) => self.messages.push_back(message),
                    Incoming::Batch(batch) => self.messages.extend(batch.into_iter().flatten()),
                }
            }
            Err(error) => return Err(error.flaw),
        }
        Ok(())
    }

    /// An oversized error page still says its status; an oversized answer is none.
    fn too_large(&mut self, max: usize) -> Option<Arrival> {
        let State::Whole { response, .. } = &self.state else { return None };
        Some(match Kind::of(response) {
            Kind::Refusal => {
                let refusal = Refusal::read(response.status(), response.headers(), b"", &self.link.options);
                Arrival::Refused(Box::new(refusal))
            }
            Kind::Accepted => Arrival::Accepted,
            _ => Arrival::Garbage(format!("a body larger than {max} bytes")),
        })
    }

    fn lost(&self, source: hyper::Error) -> Arrival {
        Arrival::Broken { in_doubt: true, why: Lost::Send(SendError::InDoubt(source)) }
    }
}

fn sending(pool: Arc<Pool>, request: Request<Full<Bytes>>, repeatable: bool) -> Sending {
    Box::pin(async move { pool.send(request, repeatable).await })
}

fn body_max(status: StatusCode, message_max: usize) -> usize {
    if status.is_success() { message_max } else { ERROR_BODY_BYTES_MAX }
}

/// What a response is, by its head.
enum Kind {
    Accepted,
    Json,
    Stream,
    Refusal,
    Other(String),
}

impl Kind {
    fn of(response: &Response<Body>) -> Self {
        let status = response.status();
        if !status.is_success() {
            return Self::Refusal;
        }
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Self::Accepted;
        }
        let value = response.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let kind = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        if kind.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if kind.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Stream
        } else {
            Self::Other(crate::error::quote(&String::from_utf8_lossy(kind)))
        }
    }
}
