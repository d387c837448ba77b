//! One attempt: connect, send, read the answer as it comes in.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cella_dialogue::{Answer, Dialect, Failure, FailureClass, Relay, Wire};
use cella_transport::net;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    Provider, Reading,
    failure::{failure, of_response},
    wire::{self, malformed},
};

/// Longest answer, in bytes as received. Stops a provider that never ends from filling memory and ledger; past it the answer is
/// malformed, and what came before is kept.
pub const RAW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest body of an error that is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an answer to a token, where the provider has not counted yet: what English has. Less than any text has for longer, so that a
/// stream is not cut before its time.
const BYTES_PER_TOKEN: u64 = 4;

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the first byte of the answer.
    pub first_token: Duration,
    /// For the next byte of it.
    pub between_tokens: Duration,
    /// For all of it.
    pub total: Duration,
}

/// A piece of an answer that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// More text.
    Text(String),
    /// So many bytes of reasoning that are not for others.
    Reasoning(usize),
    /// More of a tool call.
    Call {
        /// Its place in the answer.
        at: usize,
        /// The provider's name for the call, as far as it is known.
        id: String,
        /// The tool, as far as it is known.
        name: String,
        /// More of the arguments.
        arguments: String,
    },
}

/// What is seen of an answer that comes in.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'s> {
    /// An event as the provider wrote it. The pieces that it holds come after it.
    Event {
        /// Its name; empty where it has none.
        name: &'s str,
        /// What it holds.
        data: &'s str,
    },
    /// A piece, in no wire's own words.
    Delta(&'s Delta),
}

/// When to break an answer off, and who sees it come in.
pub struct Stop<'s> {
    /// At so many tokens of output, by a low estimate.
    pub output_tokens_max: Option<u64>,
    /// When this completes, for this reason.
    pub when: BoxFuture<'s, FailureClass>,
    /// Sees each piece.
    pub sees: &'s mut (dyn FnMut(Seen<'_>) + Send),
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// The body as received.
    pub raw: Vec<u8>,
    /// Time to the first byte of the answer.
    pub first: Option<Duration>,
    /// Time of all of it.
    pub took: Duration,
    /// Tokens of output that came in before it was broken off, by a low estimate.
    pub seen_tokens: u64,
}

/// Sends a request that [`crate::encode`] wrote, or a client's own as it is where `relay` says in what it is written. Dropping the
/// future closes the connection.
pub async fn ask(
    provider: &Provider,
    body: Vec<u8>,
    relay: Option<&Relay>,
    deadlines: Deadlines,
    mut stop: Stop<'_>,
) -> Reply {
    let began = Instant::now();
    let mut reply = Reply {
        result: Err(malformed("nothing")),
        raw: Vec::new(),
        first: None,
        took: Duration::ZERO,
        seen_tokens: 0,
    };
    let sent = Sent { provider, body, relay };
    let attempt = attempt(sent, deadlines, &mut reply, stop.output_tokens_max, stop.sees);
    let result = tokio::select! {
        biased;
        class = &mut stop.when => Err(failure(class, broken_off(class))),
        result = attempt => result,
        () = tokio::time::sleep_until(began + deadlines.total) => {
            let seconds = deadlines.total.as_secs();
            Err(failure(FailureClass::Stalled, format!("the answer did not end within {seconds} s")))
        }
    };
    reply.result = result;
    reply.took = began.elapsed();
    reply
}

/// What is sent, and to whom.
struct Sent<'s> {
    provider: &'s Provider,
    body: Vec<u8>,
    relay: Option<&'s Relay>,
}

async fn attempt(
    sent: Sent<'_>,
    deadlines: Deadlines,
    reply: &mut Reply,
    output_tokens_max: Option<u64>,
    sees: &mut (dyn FnMut(Seen<'_>) + Send),
) -> Result<Answer, Failure> {
    let began = Instant::now();
    let (wire, relay) = (sent.provider.wire, sent.relay);
    let response = timeout_at(began + deadlines.first_token, send(sent)).await;
    let response = response.map_err(|_| no_first_token(deadlines))??;
    let (parts, mut incoming) = response.into_parts();
    if !parts.status.is_success() {
        let reading =
            timeout(deadlines.between_tokens, whole(&mut incoming, &mut reply.raw, ERROR_BYTES_MAX));
        // Half an error page says as much as none.
        let _as_far_as_it_came = reading.await;
        return Err(of_response(parts.status.as_u16(), &parts.headers, &reply.raw, SystemTime::now()));
    }
    let kind = content_type(&parts.headers);
    if kind == "application/json" {
        let reading = timeout(deadlines.total, whole(&mut incoming, &mut reply.raw, RAW_BYTES_MAX)).await;
        reading.map_err(|_| stalled(deadlines.total))??;
        reply.first = Some(began.elapsed());
        if relay.is_some_and(|relay| relay.dialect == Dialect::Embeddings) {
            return wire::embeddings(&reply.raw);
        }
        return Reading::whole(wire, &reply.raw);
    }
    if kind != "text/event-stream" {
        let reading =
            timeout(deadlines.between_tokens, whole(&mut incoming, &mut reply.raw, ERROR_BYTES_MAX));
        let _as_far_as_it_came = reading.await;
        return Err(malformed(&format!("the content type {kind:?} where a stream of events was expected")));
    }
    let mut reading = Reading::new(wire);
    let mut written = 0_u64;
    loop {
        let first = reply.first.is_none();
        let by =
            if first { began + deadlines.first_token } else { Instant::now() + deadlines.between_tokens };
        let frame = timeout_at(by, incoming.frame()).await;
        let frame = frame
            .map_err(|_| if first { no_first_token(deadlines) } else { stalled(deadlines.between_tokens) })?;
        let Some(frame) = frame else { break };
        let frame =
            frame.map_err(|fault| failure(FailureClass::Cut, format!("the answer broke off: {fault}")))?;
        let Ok(data) = frame.into_data() else { continue };
        reply.first.get_or_insert_with(|| began.elapsed());
        if reply.raw.len() + data.len() > RAW_BYTES_MAX {
            return Err(malformed("an answer without an end"));
        }
        reply.raw.extend_from_slice(&data);
        reading.follow(&data, &mut |seen| {
            if let Seen::Delta(delta) = seen {
                written += delta.bytes();
            }
            sees(seen);
        })?;
        reply.seen_tokens = written / BYTES_PER_TOKEN;
        if output_tokens_max.is_some_and(|max| reply.seen_tokens > max) {
            return Err(failure(FailureClass::OverBudget, broken_off(FailureClass::OverBudget)));
        }
    }
    reading.finish()
}

async fn send(sent: Sent<'_>) -> Result<Response<Incoming>, Failure> {
    let provider = sent.provider;
    exchange(provider, request(sent)?).await
}

/// One request on a connection of its own.
pub(crate) async fn exchange(
    provider: &Provider,
    request: http::Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    let unreachable = |fault: &dyn std::fmt::Display| {
        failure(FailureClass::Unreachable, format!("{} cannot be reached: {fault}", provider.name))
    };
    let socket = net::connect(&provider.address, &provider.tls, provider.connect).await;
    let socket = socket.map_err(|fault| unreachable(&fault))?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = shaken.map_err(|fault| unreachable(&fault))?;
    // It ends when the answer is read, or given up.
    tokio::spawn(connection);
    sender
        .send_request(request)
        .await
        .map_err(|fault| failure(FailureClass::Cut, format!("no answer: {fault}")))
}

fn request(sent: Sent<'_>) -> Result<http::Request<Full<Bytes>>, Failure> {
    let Sent { provider, body, relay } = sent;
    let path = relay.map_or(wire::path(provider.wire), |relay| relay.dialect.path());
    let own = relay.map_or(&[][..], |relay| &relay.headers);
    let request = headed(provider, http::Method::POST, path, own)?
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "text/event-stream, application/json");
    request.body(Full::new(Bytes::from(body))).map_err(|fault| unaskable(provider, &fault.to_string()))
}

/// The head of a request: where it goes, who asks, with which key.
pub(crate) fn headed(
    provider: &Provider,
    method: http::Method,
    path: &str,
    own: &[(String, String)],
) -> Result<http::request::Builder, Failure> {
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", provider.base_path))
        .header(header::HOST, &provider.authority)
        .header(header::USER_AGENT, concat!("cella/", env!("CARGO_PKG_VERSION")));
    if let Some(key) = &provider.key {
        let (name, text) = match provider.wire {
            Wire::AnthropicMessages => ("x-api-key", key.reveal().to_owned()),
            _ => ("authorization", format!("Bearer {}", key.reveal())),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| unaskable(provider, "its key has a character that no header can have"))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let says = |name: &str| own.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if provider.wire == Wire::AnthropicMessages && !says("anthropic-version") {
        request = request.header("anthropic-version", "2023-06-01");
    }
    for (name, value) in own.iter().chain(&provider.headers) {
        request = request.header(name, value);
    }
    Ok(request)
}

pub(crate) fn unaskable(provider: &Provider, what: &str) -> Failure {
    failure(FailureClass::Auth, format!("{} cannot be asked: {what}", provider.name))
}

pub(crate) async fn whole(incoming: &mut Incoming, into: &mut Vec<u8>, max: usize) -> Result<(), Failure> {
    while let Some(frame) = incoming.frame().await {
        let frame =
            frame.map_err(|fault| failure(FailureClass::Cut, format!("the answer broke off: {fault}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if into.len() + data.len() > max {
            return Err(malformed("an answer without an end"));
        }
        into.extend_from_slice(&data);
    }
    Ok(())
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn no_first_token(deadlines: Deadlines) -> Failure {
    let seconds = deadlines.first_token.as_secs();
    failure(FailureClass::FirstToken, format!("no answer began within {seconds} s"))
}

fn stalled(after: Duration) -> Failure {
    failure(FailureClass::Stalled, format!("nothing more came for {} s", after.as_secs()))
}

const fn broken_off(class: FailureClass) -> &'static str {
    match class {
        FailureClass::OverBudget => "the answer was broken off because its budget is used up",
        _ => "the answer was broken off because the run is to end",
    }
}

impl Delta {
    const fn bytes(&self) -> u64 {
        (match self {
            Self::Text(text) => text.len(),
            Self::Reasoning(bytes) => *bytes,
            Self::Call { arguments, .. } => arguments.len(),
        }) as u64
    }
}

impl std::fmt::Debug for Stop<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").field("output_tokens_max", &self.output_tokens_max).finish_non_exhaustive()
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(60),
            between_tokens: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}
