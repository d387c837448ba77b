//! One HTTP request, from its head to the era that answers it.
//!
//! In this order: foreign names are refused, the service admits, the body is read, the message is decoded, the era is
//! decided. Nothing that came with a request is acted on before the steps above it.

use std::sync::Arc;

use bytes::Bytes;
use cella_mcp::{Flaw, Message, codes};
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;

use super::{
    Shared,
    accept::Connection,
    body::{self, Body, Unread},
    codes as ce, legacy, modern,
    origin::Foreign,
    reply::{self, Refused},
    route::{Route, route},
};
use cella_transport::{Peer, Scope, Service, Transport};

/// An admitted request to an MCP endpoint.
pub(super) struct Asked {
    pub(super) head: Parts,
    pub(super) principal: Arc<str>,
    pub(super) scope: Scope,
    pub(super) accept: Accept,
    pub(super) transport: Transport,
}

/// Which of the two kinds of body the client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accept {
    pub(super) json: bool,
    pub(super) stream: bool,
}

/// Answers one request. The connection counts as busy until the answer has left.
pub(super) async fn handle<S: Service>(
    connection: &Connection<S>,
    request: Request<Incoming>,
) -> Response<Body> {
    let busy = connection.vital.begin();
    let mut response = respond(connection, request).await;
    response.body_mut().hold(busy);
    response
}

async fn respond<S: Service>(connection: &Connection<S>, request: Request<Incoming>) -> Response<Body> {
    let Connection { shared, peer, .. } = connection;
    let (head, body) = request.into_parts();
    // a browser cannot reach a unix socket, so there is no name to check
    if matches!(peer, Peer::Tcp(_))
        && let Err(foreign) = shared.names.check(&head.uri, &head.headers)
    {
        return refuse_foreign(foreign);
    }
    // one place for every path, so that no path can forget it
    let principal = match shared.service.admit(&head, peer) {
        Ok(principal) => principal,
        Err(refusal) => return reply::refusal(&refusal),
    };
    let route = route(head.uri.path());
    if route == Route::Other {
        return Box::pin(other(shared, peer, principal, head, body)).await;
    }
    let accept = Accept::of(&head.headers);
    let method = head.method.clone();
    let transport = peer.transport();
    let asked = |scope| Asked { head, principal, scope, accept, transport };
    match (route, method) {
        (Route::Mcp(scope), Method::POST) => post(shared, asked(scope), body).await,
        (Route::Mcp(scope), Method::GET) => legacy::get(shared, &asked(scope)),
        (Route::Mcp(scope), Method::DELETE) => legacy::delete(shared, &asked(scope)),
        (Route::Mcp(_), _) => reply::not_allowed("GET, POST, DELETE"),
        (Route::OldStream(scope), Method::GET) => legacy::old_stream(shared, &asked(scope)),
        (Route::OldStream(_), _) => reply::not_allowed("GET"),
        (Route::OldPost, Method::POST) => Box::pin(legacy::old_post(shared, asked(Scope::All), body)).await,
        (Route::OldPost, _) => reply::not_allowed("POST"),
        (Route::Other, _) => reply::empty(StatusCode::NOT_FOUND),
    }
}

/// A message for the MCP endpoint, of either era.
async fn post<S: Service>(shared: &Arc<Shared<S>>, asked: Asked, body: Incoming) -> Response<Body> {
    if !asked.accept.json && !asked.accept.stream {
        let text = "Accept must allow application/json or text/event-stream";
        return Refused::new(StatusCode::NOT_ACCEPTABLE, codes::INVALID_REQUEST, ce::NOT_ACCEPTABLE, text)
            .response(None);
    }
    let bytes = match read_json(shared, &asked.head.headers, body).await {
        Ok(bytes) => bytes,
        Err(refused) => return refused.response(None),
    };
    let message = match Message::parse(&bytes, &cella_mcp::Limits::CLIENT) {
        Ok(message) => message,
        Err(error) if error.flaw == Flaw::Batch => {
            return Box::pin(legacy::post_batch(shared, &asked, &bytes)).await;
        }
        Err(error) => return reply::failure(StatusCode::BAD_REQUEST, error.id.clone(), error.to_rpc_error()),
    };
    if modern::claims(&asked.head.headers, &message) {
        modern::post(shared, asked, message, bytes).await
    } else {
        legacy::post(shared, asked, message, bytes).await
    }
}

/// Reads a body that must be JSON.
pub(super) async fn read_json<S: Service>(
    shared: &Shared<S>,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Bytes, Refused> {
    if !is_json(headers) {
        // A page of another origin can send any body without asking first, but not with this type.
        let text = "Content-Type must be application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refused::new(status, codes::INVALID_REQUEST, ce::NOT_JSON, text));
    }
    body::read(body, shared.limits.body, shared.limits.body_read)
        .await
        .map_err(|unread| refuse_unread(unread, shared))
}

/// The service's own paths. Which of them anybody may use is told by whom the service admits.
async fn other<S: Service>(
    shared: &Shared<S>,
    peer: &Peer,
    principal: Arc<str>,
    head: Parts,
    body: Incoming,
) -> Response<Body> {
    let bytes = match body::read(body, shared.limits.body, shared.limits.body_read).await {
        Ok(bytes) => bytes,
        Err(unread) => return refuse_unread(unread, shared).response(None),
    };
    let request = Request::from_parts(head, bytes);
    shared.service.other(request, principal, peer).await.map(Body::other)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let media = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    media.eq_ignore_ascii_case(b"application/json")
}

fn refuse_foreign(foreign: Foreign) -> Response<Body> {
    let (code, text) = match foreign {
        Foreign::Host => {
            (ce::HOST, "this Host name is not one of this node's; add it to the configuration if it is")
        }
        Foreign::Origin => {
            (ce::ORIGIN, "this Origin may not use this node; add it to the configuration if it may")
        }
    };
    Refused::new(StatusCode::FORBIDDEN, codes::INVALID_REQUEST, code, text).response(None)
}

fn refuse_unread<S>(unread: Unread, shared: &Shared<S>) -> Refused {
    match unread {
        Unread::TooLarge => {
            let text = format!("the body is larger than {} bytes", shared.limits.body);
            Refused::new(StatusCode::PAYLOAD_TOO_LARGE, codes::INVALID_REQUEST, ce::BODY_TOO_LARGE, text)
        }
        Unread::TooSlow => {
            let text = "the body did not arrive in time";
            Refused::new(StatusCode::REQUEST_TIMEOUT, codes::INVALID_REQUEST, ce::BODY_UNREAD, text)
        }
        Unread::Broken => Refused::new(
            StatusCode::BAD_REQUEST,
            codes::INVALID_REQUEST,
            ce::BODY_UNREAD,
            "the body ended early",
        ),
    }
}

// === impl Accept ===

impl Accept {
    /// Clients should list both kinds; those that list none, or anything, are taken to accept both.
    fn of(headers: &HeaderMap) -> Self {
        let mut accept = Self { json: false, stream: false };
        let mut listed = false;
        for value in headers.get_all(header::ACCEPT) {
            for range in value.as_bytes().split(|b| *b == b',') {
                listed = true;
                match range.split(|b| *b == b';').next().unwrap_or_default().trim_ascii() {
                    b"*/*" => accept = Self { json: true, stream: true },
                    b"application/json" | b"application/*" => accept.json = true,
                    b"text/event-stream" | b"text/*" => accept.stream = true,
                    _ => {}
                }
            }
        }
        if listed { accept } else { Self { json: true, stream: true } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: Option<&str>) -> (bool, bool) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(header::ACCEPT, value.parse().unwrap());
        }
        let Accept { json, stream } = Accept::of(&headers);
        (json, stream)
    }

    #[test]
    fn accept_tells_which_bodies_a_client_takes() {
        assert_eq!(accept(None), (true, true));
        assert_eq!(accept(Some("application/json, text/event-stream")), (true, true));
        assert_eq!(accept(Some("text/event-stream;q=0.9")), (false, true));
        assert_eq!(accept(Some("application/json")), (true, false));
        assert_eq!(accept(Some("text/html, */*;q=0.1")), (true, true));
        assert_eq!(accept(Some("text/html")), (false, false));
    }

    #[test]
    fn only_json_is_json() {
        let is = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(is("application/json") && is("Application/JSON; charset=utf-8"));
        assert!(!is("text/plain") && !is("") && !is("application/jsonp"));
        assert!(is_json(&HeaderMap::new()));
    }
}
