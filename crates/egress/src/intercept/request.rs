//! What becomes of a request: looked at, its placeholders replaced, and made anew for the server.

mod checked;

use std::sync::Arc;

use bytes::Bytes;
use cella_contract::DomainName;
use cella_secret::{BodyRewriter, Facts, Rewriter, Use, sigv4::Payload};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, request::Parts,
    uri::PathAndQuery,
};
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

pub(super) use self::checked::{Checked, LateVerdict};
use super::{Passage, exchange::Stop, upstream::Body};
use crate::{
    denial::Denial,
    hello::Opening,
    limits::{REWRITTEN_BODY_BYTES_MAX, SEARCHED_BODY_BYTES_MAX},
    secrets::Material,
};

/// Headers that are about one connection (RFC 9110, 7.6.1), beside those that `Connection` names.
const OF_CONNECTION: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, HeaderName::from_static("keep-alive")];
const PROXY_CONNECTION: &str = "proxy-connection";
const HTTP2_SETTINGS: &str = "http2-settings";

/// A request that may be sent.
pub(super) struct Prepared {
    pub(super) request: Request<Body>,
    /// What was put where.
    pub(super) uses: Vec<Use>,
    /// What is found in a body that is searched as it passes.
    pub(super) verdict: LateVerdict,
}

/// A body that was read whole.
struct Whole {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

/// The authority of a request that is for the host and of a form that is understood.
pub(super) fn screened(parts: &Parts, name: &DomainName, port: u16) -> Result<String, Denial> {
    let (uri, headers) = (&parts.uri, &parts.headers);
    let newer = parts.version == Version::HTTP_2;
    if parts.method == Method::CONNECT {
        return Err(Denial::Form { what: "CONNECT" });
    }
    if uri.authority().is_some() != newer {
        return Err(Denial::Form { what: "a target for a proxy" });
    }
    if wants_websocket(headers) {
        return Err(Denial::Form { what: "a WebSocket" });
    }
    let target = uri.authority().map(ToString::to_string);
    let hosts = headers.get_all(header::HOST).iter();
    let mut hosts: Vec<_> = hosts.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()).collect();
    if hosts.is_empty() {
        hosts.extend(target.clone());
    }
    let authority = target.clone().or_else(|| hosts.first().cloned()).unwrap_or_default();
    Opening::Http { target, hosts }.must_be_for(name, port)?;
    Ok(authority)
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let mut asked = headers.get_all(header::UPGRADE).iter();
    asked.any(|value| value.as_bytes().to_ascii_lowercase().windows(9).any(|word| word == b"websocket"))
}

/// Puts values in and makes the request that is sent.
pub(super) async fn prepared(
    (mut parts, incoming): (Parts, &mut Option<Incoming>),
    authority: String,
    material: &Material,
    passage: &Arc<Passage>,
) -> Result<Prepared, Stop> {
    let facts = Facts {
        sni: Some(passage.name.to_string()),
        // only vetted addresses are dialled, and without a valid certificate there is nobody to send this to
        address_vetted: true,
        certificate_valid: true,
        authority: authority.clone(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
    };
    let rewriter = passage.armed.rewriter(material.bindings.clone(), facts);
    strip(&mut parts.headers, parts.version);
    let needs_digest = rewriter.signs(&parts.headers)? == Some(Payload::Body);
    let search = rewriter.body(&parts.headers)?;
    let hint = incoming.as_ref().map(http_body::Body::size_hint).unwrap_or_default();
    let short = hint.exact().is_some_and(|bytes| bytes <= SEARCHED_BODY_BYTES_MAX);
    let empty = incoming.as_ref().is_none_or(http_body::Body::is_end_stream);
    let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
    if empty || !(needs_digest || search.changes_length() || short) {
        let digest = needs_digest.then(|| Sha256::digest([]).into());
        let head = rewriter.head(&target, &mut parts.headers, digest)?;
        let verdict = LateVerdict::default();
        let body = match incoming.take() {
            Some(body) if !empty => {
                Checked::new(body, (search, rewriter), verdict.clone(), passage.clone()).boxed_unsync()
            }
            _ => nothing(),
        };
        let request = made(parts, &head.target, &authority, body)?;
        return Ok(Prepared { request, uses: head.uses, verdict });
    }
    if !needs_digest {
        // What is wrong with the head is said before the body is waited for.
        rewriter.head(&target, &mut parts.headers.clone(), None)?;
    }
    let Some(body) = incoming.take() else { return Err(Denial::Opening.into()) };
    let whole = Whole::read(body).await?;
    let digest = needs_digest.then(|| Sha256::digest(&whole.bytes).into());
    let head = rewriter.head(&target, &mut parts.headers, digest)?;
    let (body, uses) = whole.rewritten(search, &rewriter, &mut parts.headers)?;
    let uses = head.uses.into_iter().chain(uses).collect();
    let request = made(parts, &head.target, &authority, body)?;
    Ok(Prepared { request, uses, verdict: LateVerdict::default() })
}

/// Takes off what is about the connection inside.
fn strip(headers: &mut HeaderMap, version: Version) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    // `Connection: close, authorization` must not take off what the request needs
    let odd = |name: &HeaderName| [header::TE, header::HOST, header::AUTHORIZATION].contains(name);
    for name in listed.iter().filter(|name| !odd(name)).chain(&OF_CONNECTION) {
        headers.remove(name);
    }
    headers.remove(PROXY_CONNECTION);
    headers.remove(HTTP2_SETTINGS);
    if version == Version::HTTP_2 {
        headers.remove(header::HOST);
    } else {
        headers.remove(header::TE);
    }
}

fn made(mut parts: Parts, target: &str, authority: &str, body: Body) -> Result<Request<Body>, Denial> {
    let uri = if parts.version == Version::HTTP_2 {
        Uri::try_from(format!("https://{authority}{target}"))
    } else {
        Uri::try_from(target)
    };
    // it was one before, and values in it are written as it demands
    parts.uri = uri.map_err(|_| Denial::Form { what: "a target that is none" })?;
    if parts.version != Version::HTTP_2 {
        parts.version = Version::HTTP_11;
    }
    // what hyper noted of the request inside is about that one
    parts.extensions.clear();
    Ok(Request::from_parts(parts, body))
}

fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

// === impl Whole ===

impl Whole {
    async fn read(body: Incoming) -> Result<Self, Stop> {
        let read = Limited::new(body, REWRITTEN_BODY_BYTES_MAX).collect().await;
        let read = read.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return Stop::Denied(Denial::Body { most: REWRITTEN_BODY_BYTES_MAX });
            }
            // The program is gone; nobody hears the answer.
            error
                .downcast::<hyper::Error>()
                .map_or(Stop::Denied(Denial::Opening), |error| Stop::Failed(*error))
        })?;
        let trailers = read.trailers().cloned();
        Ok(Self { bytes: read.to_bytes(), trailers })
    }

    fn rewritten(
        self,
        mut search: BodyRewriter,
        rewriter: &Rewriter,
        headers: &mut HeaderMap,
    ) -> Result<(Body, Vec<Use>), Stop> {
        let mut out = Vec::with_capacity(self.bytes.len());
        search.push(&self.bytes, &mut out)?;
        let uses = search.finish(&mut out)?;
        if headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(out.len()));
        }
        let body = Full::new(Bytes::from(out)).map_err(|never| match never {});
        let Some(trailers) = self.trailers else { return Ok((body.boxed_unsync(), uses)) };
        rewriter.trailers(&trailers)?;
        Ok((body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync(), uses))
    }
}
