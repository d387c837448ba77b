//! The responses a door gives, as HTTP.

use cella_mcp::{Id, Message, Raw, Response as Rpc, RpcError, raw_json};
use http::{HeaderValue, Response, StatusCode, header};

use super::{body::Body, codes as ce, feed::Reader, frame};
use cella_transport::Refusal;

/// The session header of the legacy era. Modern responses never carry it.
pub(super) const SESSION_ID: &str = "mcp-session-id";

/// A refusal that needs no request id: the request was not read, or is no request.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// A JSON-RPC code.
    pub(super) rpc: i64,
    /// A stable code with a page in `docs/errors`.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, rpc: i64, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, rpc, code, message: message.into() }
    }

    pub(super) fn rpc_error(&self) -> RpcError {
        RpcError { code: self.rpc, message: self.message.clone(), data: code_data(self.code) }
    }

    /// As a response that names the request when its id is known.
    pub(super) fn response(&self, id: Option<Id>) -> Response<Body> {
        failure(self.status, id, self.rpc_error())
    }
}

/// The `data` of an error that only needs its code.
pub(super) fn code_data(code: &str) -> Option<Raw> {
    raw_json(format!("{{\"code\":\"{code}\"}}")).ok()
}

/// One JSON-RPC message as a JSON body.
pub(super) fn json(status: StatusCode, message: &Message) -> Response<Body> {
    let mut out = Vec::new();
    message.write(&mut out);
    let mut response = Response::new(Body::whole(out));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON-RPC error as a JSON body.
pub(super) fn failure(status: StatusCode, id: Option<Id>, error: RpcError) -> Response<Body> {
    json(status, &Message::Response(Rpc { id, outcome: Err(error) }))
}

/// An event stream that is already over: one message, for clients that take nothing but streams.
pub(super) fn one_event(message: &Message) -> Response<Body> {
    stream_of(Body::whole(frame::event(message)))
}

/// An event stream.
pub(super) fn stream(reader: Reader) -> Response<Body> {
    stream_of(Body::feed(reader))
}

fn stream_of(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A status without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 405, naming what would be allowed.
pub(super) fn not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// The service did not admit the request.
pub(super) fn refusal(refusal: &Refusal) -> Response<Body> {
    let error = RpcError {
        code: cella_mcp::codes::INVALID_REQUEST,
        message: refusal.message.clone(),
        data: code_data(ce::NOT_ADMITTED),
    };
    let mut response = failure(refusal.status, None, error);
    let challenge = refusal.challenge.as_ref().and_then(|c| HeaderValue::from_str(c).ok());
    if let Some(challenge) = challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Adds the session header.
pub(super) fn with_session(mut response: Response<Body>, id: &str) -> Response<Body> {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(SESSION_ID, id);
    }
    response
}
