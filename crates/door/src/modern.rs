//! The modern era at the door: every request on its own, questions as results, changes on a listen stream.

mod listen;
mod parked;
mod run;

use std::{sync::Arc, task::Poll};

use bytes::Bytes;
use cella_mcp::{
    CacheHints, CacheScope, Era, Message, Request, Response as Rpc, Revision, RpcError, ServerFacts,
    call_target, codes,
    modern::{self, HEADER_VERSION, Rejection, RequestMeta, Standing},
};
use http::{HeaderMap, Response, StatusCode};

pub(super) use self::parked::Parked;
use self::run::{Origin, Run, Said};
use super::{
    Shared,
    body::Body,
    calling::poll_once,
    codes as ce,
    feed::{Feed, Framing, Gone},
    legacy::{CannotBegin, Session},
    reply::{self, SESSION_ID},
    request::{Accept, Asked},
};
use cella_transport::{Caller, Scope, Service, Transport};

/// How long clients may keep what `server/discover` said. Servers come and go under one endpoint, and a client that
/// listens is told of that; the others ask again after this time.
const DISCOVER_TTL_MS: u64 = 60_000;
/// Headers that mirror tool arguments begin so.
const PARAM_HEADER: &str = "mcp-param-";

/// The final word on a request, with the HTTP status that goes with it.
pub(super) struct Reply {
    status: StatusCode,
    message: Message,
}

/// True when a message belongs to this era: its header or its metadata says so, or only this era has the method
/// (2026-07-28, basic/versioning, "Backward Compatibility").
pub(super) fn claims(headers: &HeaderMap, message: &Message) -> bool {
    let named = headers.get(HEADER_VERSION).and_then(|v| v.to_str().ok()).and_then(Revision::parse);
    match named.map(Revision::era) {
        Some(Era::Modern) => true,
        // the session's own business, whatever its metadata says; also the way that need not look into the body
        Some(Era::Legacy) if headers.contains_key(SESSION_ID) => false,
        _ => speaks(message),
    }
}

/// The same where there are no headers.
pub(super) fn speaks(message: &Message) -> bool {
    let (method, params) = match message {
        Message::Request(request) => (&request.method, &request.params),
        Message::Notification(notification) => (&notification.method, &notification.params),
        Message::Response(_) => return false,
    };
    matches!(&**method, "server/discover" | "subscriptions/listen")
        || modern::is_modern_request(params.as_deref())
}

/// Answers a POST.
pub(super) async fn post<S: Service>(
    shared: &Arc<Shared<S>>,
    asked: Asked,
    message: Message,
    body: Bytes,
) -> Response<Body> {
    let request = match message {
        Message::Request(request) => request,
        Message::Notification(_) => return reply::empty(StatusCode::ACCEPTED),
        Message::Response(response) => {
            let text =
                "revision 2026-07-28 has no responses from clients; answer by sending the request again";
            return rejected(response.id, Rejection::new(400, codes::INVALID_REQUEST, text))
                .response(asked.accept);
        }
    };
    let Some(facts) = shared.service.facts(&asked.scope) else {
        return rejected(Some(request.id), unknown_scope(&asked.scope)).response(asked.accept);
    };
    let caller = match check(shared, &asked, &request, &facts) {
        Ok(caller) => Arc::new(caller),
        Err(rejection) => return rejected(Some(request.id), rejection).response(asked.accept),
    };
    let accept = asked.accept;
    if request.method.as_ref() == "subscriptions/listen" {
        return listen::over_http(shared, &asked.scope, &request, &caller, facts).await;
    }
    let origin =
        Origin { scope: asked.scope, body, caller, facts, param_headers: param_headers(&asked.head.headers) };
    let run = match begin(shared, request, origin) {
        Ok(run) => run,
        Err(reply) => return reply.response(accept),
    };
    answer(shared, run, accept).await
}

/// Takes a message from a pipe. Requests run on their own; everything they say goes to the pipe.
pub(super) async fn take<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
    message: Message,
    body: Bytes,
) -> Result<(), Gone> {
    let request = match message {
        Message::Request(request) => request,
        Message::Notification(notification) => {
            // the only one there is; and only on pipes, which have no other way to cancel
            if &*notification.method == "notifications/cancelled" {
                session.cancel(&notification);
            }
            return Ok(());
        }
        Message::Response(_) => return Ok(()),
    };
    let begun = match (session.begin(&request.id), shared.streams.enter(shared.limits.streams)) {
        (Ok(progress), Some(counted)) => Ok((progress, counted)),
        (Err(cannot), _) => Err(cannot),
        (Ok(_), None) => Err(CannotBegin::TooMany),
    };
    let (mut progress, counted) = match begun {
        Ok(begun) => begun,
        Err(cannot) => return feed.send(&done(request.id, Err(cannot.refused().rpc_error()))).await,
    };
    let (shared_, session, feed) = (shared.clone(), session.clone(), feed.clone());
    shared.spawn(counted, async move {
        tokio::select! {
            biased;
            _ = &mut progress.cancelled => {}
            () = feed.ended() => {}
            () = serve(&shared_, &session, &feed, request, body) => {}
        }
    });
    Ok(())
}

async fn serve<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
    request: Request,
    body: Bytes,
) {
    let scope = session.scope.clone();
    let read = match shared.service.facts(&scope) {
        Some(facts) => {
            RequestMeta::read(request.params.as_deref(), &facts.revisions).map(|meta| (meta, facts))
        }
        None => Err(unknown_scope(&scope)),
    };
    let (meta, facts) = match read {
        Ok(read) => read,
        Err(rejection) => {
            let _ended = feed.send(&rejected(Some(request.id), rejection).message).await.is_err();
            return;
        }
    };
    let caller =
        Arc::new(caller(session.principal.clone(), Some(session.id.clone()), session.transport, meta));
    if request.method.as_ref() == "subscriptions/listen" {
        return listen::over_pipe(shared, &scope, &request, &caller, facts, feed).await;
    }
    let origin = Origin { scope, body, caller, facts, param_headers: Vec::new() };
    match begin(shared, request, origin) {
        Ok(run) => run.into_feed(None, feed).await,
        Err(reply) => {
            let _ended = feed.send(&reply.message).await.is_err();
        }
    }
}

/// Starts a request, or continues the parked one that it retries. What needs no server is answered at once.
fn begin<S: Service>(shared: &Arc<Shared<S>>, request: Request, origin: Origin) -> Result<Run<S>, Reply> {
    match &*request.method {
        "server/discover" => {
            let hints = CacheHints { ttl_ms: DISCOVER_TTL_MS, scope: CacheScope::Private };
            let result = modern::discover_result(&origin.facts, hints);
            return Err(Reply { status: StatusCode::OK, message: done(request.id, Ok(result)) });
        }
        method if modern::standing(method) == Standing::Removed => {
            let rejection = modern::unknown_method(method);
            return Err(rejected(Some(request.id), rejection));
        }
        _ => {}
    }
    let retries = modern::may_require_input(&request.method)
        && modern::request_state(request.params.as_deref())
            .is_some_and(|state| parked::is_ours(&shared.seal, &state));
    if retries {
        return Run::resume(shared, request, origin);
    }
    Ok(Run::start(shared, request, origin))
}

/// One JSON body when the answer comes at once, else a stream.
async fn answer<S: Service>(shared: &Arc<Shared<S>>, mut run: Run<S>, accept: Accept) -> Response<Body> {
    let first = first_word(&mut run, shared, accept).await;
    if let Some(Said::Final(reply)) = first {
        return reply.response(accept);
    }
    let Some(counted) = shared.streams.enter(shared.limits.streams) else {
        // rather slow than refused: the call has begun
        return run.last_word().await.response(Accept { json: true, stream: false });
    };
    let feed = Feed::new(Framing::Events);
    let reader = feed.attach(None, Some(shared.limits.keep_alive));
    shared.spawn(counted, async move {
        tokio::select! {
            () = run.into_feed(first, &feed) => feed.end(),
            // the client closed the stream, which cancels the call
            () = feed.abandoned(std::time::Duration::ZERO) => {}
        }
    });
    reply::stream(reader)
}

/// What is said first; `None` when that takes too long to wait for without a stream.
async fn first_word<S: Service>(run: &mut Run<S>, shared: &Shared<S>, accept: Accept) -> Option<Said> {
    if !accept.stream {
        return Some(Said::Final(run.last_word().await));
    }
    let mut next = std::pin::pin!(run.next());
    // the timer is only made when there is something to wait for
    match poll_once(next.as_mut()).await {
        Poll::Ready(said) => Some(said),
        Poll::Pending => tokio::time::timeout(shared.limits.stream_after, next).await.ok(),
    }
}

/// Everything that is refused before anything is done. Headers come first: whoever routed by them must not be misled.
fn check<S: Service>(
    shared: &Shared<S>,
    asked: &Asked,
    request: &Request,
    facts: &ServerFacts,
) -> Result<Caller, Rejection> {
    let headers = &asked.head.headers;
    let tool =
        (*request.method == *"tools/call").then(|| call_target(&request.method, request.params.as_deref()));
    let mirrored = tool.flatten().and_then(|tool| shared.service.header_params(&asked.scope, &tool.name));
    let get = |name: &str| headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
    modern::check_headers(get, request, mirrored.as_deref())?;
    let meta = RequestMeta::read(request.params.as_deref(), &facts.revisions)?;
    Ok(caller(asked.principal.clone(), None, asked.transport, meta))
}

fn caller(principal: Arc<str>, session: Option<Arc<str>>, transport: Transport, meta: RequestMeta) -> Caller {
    Caller {
        principal,
        session,
        transport: Some(transport),
        revision: meta.revision,
        capabilities: meta.capabilities,
        info: meta.client_info,
        log_level: meta.log_level.map(|level| level.as_str().into()),
    }
}

fn param_headers(headers: &HeaderMap) -> Vec<(Box<str>, Box<str>)> {
    let params = headers.iter().filter(|(name, _)| name.as_str().starts_with(PARAM_HEADER));
    params.filter_map(|(name, value)| Some((name.as_str().into(), value.to_str().ok()?.into()))).collect()
}

fn unknown_scope(scope: &Scope) -> Rejection {
    let text = match scope {
        Scope::All => "this node serves nothing".to_owned(),
        Scope::Server(name) => format!("there is no server {name:?} here"),
        Scope::View(name) => format!("there is no view {name:?} here"),
    };
    let mut rejection = Rejection::new(404, codes::INVALID_PARAMS, text);
    rejection.error.data = reply::code_data(ce::NO_SUCH_ENDPOINT);
    rejection
}

fn rejected(id: Option<cella_mcp::Id>, rejection: Rejection) -> Reply {
    let status = StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::BAD_REQUEST);
    Reply { status, message: Message::Response(rejection.into_response(id)) }
}

fn done(id: cella_mcp::Id, outcome: Result<cella_mcp::Raw, RpcError>) -> Message {
    Message::Response(Rpc { id: Some(id), outcome })
}

// === impl Reply ===

impl Reply {
    /// The reply to a request that was answered, with the status its outcome demands (2026-07-28, streamable-http).
    fn to(id: cella_mcp::Id, outcome: Result<cella_mcp::Raw, RpcError>) -> Self {
        let status = match outcome.as_ref().err().map(|e| e.code) {
            Some(codes::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
            Some(code) if modern::is_modern_error(code) => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        };
        Self { status, message: done(id, outcome) }
    }

    fn response(self, accept: Accept) -> Response<Body> {
        // a refusal has its status, and a client that refuses JSON still understands that
        if accept.json || self.status != StatusCode::OK {
            reply::json(self.status, &self.message)
        } else {
            reply::one_event(&self.message)
        }
    }
}
