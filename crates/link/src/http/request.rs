//! HTTP requests towards one endpoint.

use bytes::Bytes;
use cella_mcp::{HeaderParams, Request as RpcRequest, modern};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::Full;

/// Header of legacy sessions.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Header of the resumption of a stream.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What every POST accepts.
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A POST of one message.
pub(crate) fn post(path: &Uri, headers: &HeaderMap, body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = bare(Method::POST, path, headers, Bytes::from(body));
    request.headers_mut().insert(ACCEPT, BOTH);
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    request
}

/// A GET that opens a stream, or goes on with one.
pub(crate) fn get(path: &Uri, headers: &HeaderMap, last_event_id: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = bare(Method::GET, path, headers, Bytes::new());
    request.headers_mut().insert(ACCEPT, STREAM);
    if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        request.headers_mut().insert(LAST_EVENT_ID, id);
    }
    request
}

/// The DELETE that ends a session.
pub(crate) fn delete(path: &Uri, headers: &HeaderMap) -> Request<Full<Bytes>> {
    bare(Method::DELETE, path, headers, Bytes::new())
}

fn bare(method: Method, path: &Uri, headers: &HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.clone();
    *request.headers_mut() = headers.clone();
    request
}

/// Adds the headers that mirror a modern request. `forwarded` are `Mcp-Param-*` headers of the caller: those that this
/// tool's schema does not name pass (2026-07-28, Server Behavior for Custom Headers).
pub(super) fn mirror(
    headers: &mut HeaderMap,
    request: &RpcRequest,
    params: Option<&HeaderParams>,
    forwarded: &[(Box<str>, Box<str>)],
) {
    for (name, value) in modern::request_headers(request, params) {
        let name = match name {
            std::borrow::Cow::Borrowed(name) => Some(HeaderName::from_static(name)),
            std::borrow::Cow::Owned(name) => HeaderName::try_from(name).ok(),
        };
        if let (Some(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    for (name, value) in forwarded {
        let known = params.is_some_and(|p| p.params.iter().any(|p| is_param(name, &p.header)));
        if known || !name.starts_with("mcp-param-") {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&**name), HeaderValue::try_from(&**value)) {
            headers.insert(name, value);
        }
    }
}

/// Adds headers of the node's own.
pub(super) fn add(headers: &mut HeaderMap, own: &[(Box<str>, Box<str>)]) {
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&**name), HeaderValue::try_from(&**value)) {
            headers.insert(name, value);
        }
    }
}

fn is_param(name: &str, header: &str) -> bool {
    name.strip_prefix("mcp-param-").is_some_and(|rest| rest.eq_ignore_ascii_case(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_headers_are_added_and_broken_ones_left_out() {
        let mut headers = HeaderMap::new();
        let own = [("Idempotency-Key", "k-1"), ("bad name", "v"), ("x-broken", "a\nb")];
        add(&mut headers, &own.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(headers.get("idempotency-key").expect("it").as_bytes(), b"k-1");
        assert_eq!(headers.len(), 1);
    }
}
