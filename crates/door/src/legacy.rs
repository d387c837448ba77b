//! The legacy era at the door: sessions, requests in both directions, streams that can be resumed, and the older
//! HTTP+SSE transport.

mod ear;
mod old;
mod run;
mod session;
mod sessions;

use std::{sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use cella_mcp::{
    Era, Id, Incoming, Message, Notification, Raw, Request, Response as Rpc, Revision, RpcError, codes,
    legacy, modern::HEADER_VERSION, parse_batch,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{HeaderMap, Response, StatusCode};

pub(super) use self::{
    old::{old_post, old_stream},
    session::{CannotBegin, Session},
    sessions::Sessions,
};
use self::{
    run::{Run, Said},
    sessions::Introduction,
};
use super::{
    Shared,
    body::Body,
    calling::poll_once,
    codes as ce,
    feed::{Feed, Gone},
    frame,
    reply::{self, Refused, SESSION_ID},
    request::Asked,
};
use cella_transport::{Caller, Scope, Service};

/// From this revision on, clients understand an event without data; older ones fail on it.
const PRIMED_SINCE: Revision = Revision::V2025_11_25;
/// The only revision with batches.
const BATCHES_IN: Revision = Revision::V2025_03_26;
/// The header by which a client comes back to a stream.
const LAST_EVENT_ID: &str = "last-event-id";

/// Answers a POST.
pub(super) async fn post<S: Service>(
    shared: &Arc<Shared<S>>,
    asked: Asked,
    message: Message,
    body: Bytes,
) -> Response<Body> {
    if let Message::Request(request) = &message
        && &*request.method == "initialize"
    {
        return initialize(shared, &asked, request);
    }
    let (session, caller) = match session(shared, &asked) {
        Ok(found) => found,
        Err(refused) => {
            let id = if let Message::Request(request) = message { Some(request.id) } else { None };
            return refused.response(id);
        }
    };
    match message {
        Message::Response(response) => session.answered(response),
        Message::Notification(notification) => noted(shared, &session, &notification),
        Message::Request(request) => return answer(shared, &asked, &session, caller, request, body).await,
    }
    reply::empty(StatusCode::ACCEPTED)
}

/// Answers a POST of several messages (2025-03-26, basic/transports). Their answers come on one stream.
pub(super) async fn post_batch<S: Service>(
    shared: &Arc<Shared<S>>,
    asked: &Asked,
    body: &Bytes,
) -> Response<Body> {
    let (session, caller) = match session(shared, asked) {
        Ok(found) => found,
        Err(refused) => return refused.response(None),
    };
    let parsed = if caller.revision == BATCHES_IN {
        parse_batch(body, &cella_mcp::Limits::CLIENT)
    } else {
        Err(cella_mcp::Flaw::Batch.into())
    };
    let messages = match parsed {
        Ok(Incoming::Batch(messages)) => messages,
        Ok(Incoming::One(_)) => Vec::new(),
        Err(error) => return reply::failure(StatusCode::BAD_REQUEST, error.id.clone(), error.to_rpc_error()),
    };
    let quiet = |m: &_| matches!(m, Ok(Message::Notification(_) | Message::Response(_)));
    let counted = if messages.iter().all(quiet) {
        None
    } else if !asked.accept.stream {
        return unacceptable("the answers to a batch are text/event-stream, which Accept does not allow");
    } else {
        match shared.streams.enter(shared.limits.streams) {
            // before anything of it is done
            None => return CannotBegin::TooMany.refused().response(None),
            counted => counted,
        }
    };
    let mut requests = Vec::new();
    let mut answers = Vec::new();
    for message in messages {
        match message {
            Ok(Message::Request(request)) => requests.push(request),
            Ok(Message::Notification(notification)) => noted(shared, &session, &notification),
            Ok(Message::Response(response)) => session.answered(response),
            Err(error) => answers.push(Message::Response(error.to_response())),
        }
    }
    let Some(counted) = counted else { return reply::empty(StatusCode::ACCEPTED) };
    let stream = session.open_stream();
    let reader = stream.attach(None, Some(shared.limits.keep_alive));
    let shared_ = shared.clone();
    shared.spawn(counted, async move {
        for answer in answers {
            let _ended = stream.send(&answer).await.is_err();
        }
        let works: FuturesUnordered<_> = requests
            .into_iter()
            .map(|request| serve(&shared_, &session, &stream, &caller, request))
            .collect();
        tokio::select! {
            () = works.for_each(|()| std::future::ready(())) => {}
            () = stream.abandoned(shared_.limits.resume_within) => {}
        }
        session.finish_stream(&stream);
    });
    reply::stream(reader)
}

/// Opens, or resumes, a stream (2025-11-25, basic/transports, "Listening" and "Resumability").
pub(super) fn get<S: Service>(shared: &Arc<Shared<S>>, asked: &Asked) -> Response<Body> {
    let headers = &asked.head.headers;
    let revision = headers.get(HEADER_VERSION).and_then(|v| v.to_str().ok()).and_then(Revision::parse);
    if revision.is_some_and(|r| r.era() == Era::Modern) {
        return reply::not_allowed("POST");
    }
    if !asked.accept.stream {
        return unacceptable("this stream is text/event-stream, which Accept does not allow");
    }
    if !headers.contains_key(SESSION_ID) && revision.is_none() {
        // a client of the older transport that found our POST endpoint not to its liking
        return old_stream(shared, asked);
    }
    let (session, caller) = match session(shared, asked) {
        Ok(found) => found,
        Err(refused) => return refused.response(None),
    };
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).and_then(frame::parse_event_id);
    let resumed = last.and_then(|(name, sequence)| Some((session.stream(name)?, sequence.checked_add(1)?)));
    let (feed, from) = match resumed {
        Some((feed, from)) => (feed, Some(from)),
        None => {
            let (feed, new) = session.own_stream();
            if new && caller.revision >= PRIMED_SINCE {
                feed.prime();
            }
            (feed, None)
        }
    };
    // attached first: the ear stays only while somebody reads
    let reader = feed.attach(from, Some(shared.limits.keep_alive));
    if session.is_own_stream(&feed) && !ear::listen(shared, &session, &feed) {
        return CannotBegin::TooMany.refused().response(None);
    }
    reply::with_session(reply::stream(reader), &session.id)
}

/// Ends a session.
pub(super) fn delete<S: Service>(shared: &Arc<Shared<S>>, asked: &Asked) -> Response<Body> {
    if !asked.head.headers.contains_key(SESSION_ID) {
        return reply::not_allowed("POST");
    }
    match session(shared, asked) {
        // 200 rather than 202 or 204: every known client takes it for success
        Ok((session, _)) => {
            shared.sessions.end(&session);
            reply::empty(StatusCode::OK)
        }
        Err(refused) => refused.response(None),
    }
}

fn initialize<S: Service>(shared: &Arc<Shared<S>>, asked: &Asked, request: &Request) -> Response<Body> {
    let id = Some(request.id.clone());
    let Some(facts) = shared.service.facts(&asked.scope) else { return no_such(&asked.scope).response(id) };
    let said = match legacy::read_initialize(request.params.as_deref()) {
        Ok(said) => said,
        Err(error) => return reply::failure(StatusCode::BAD_REQUEST, id, error),
    };
    let result = legacy::initialize_result(&facts, said.revision);
    let introduction =
        Introduction { revision: said.revision, capabilities: said.capabilities, info: said.client_info };
    let Some(session) = shared.sessions.create(shared, asked, introduction) else {
        let text = "too many sessions are open; try again later";
        return Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            codes::INTERNAL_ERROR,
            ce::TOO_MANY_SESSIONS,
            text,
        )
        .response(id);
    };
    let message = Message::Response(Rpc { id, outcome: Ok(result) });
    reply::with_session(whole(asked, &message), &session.id)
}

/// One JSON body when the answer comes at once, else a stream.
async fn answer<S: Service>(
    shared: &Arc<Shared<S>>,
    asked: &Asked,
    session: &Arc<Session>,
    caller: Arc<Caller>,
    request: Request,
    body: Bytes,
) -> Response<Body> {
    if let Some(own) = own(session, &request) {
        let outcome = own.outcome(shared, session).await;
        return whole(asked, &Message::Response(Rpc { id: Some(request.id), outcome }));
    }
    let progress = match session.begin(&request.id) {
        Ok(progress) => progress,
        Err(cannot) => return cannot.refused().response(Some(request.id)),
    };
    let primed = caller.revision >= PRIMED_SINCE;
    let run = Run::start(shared, session, caller, request, body, progress);
    let mut attended = Attended { run: Some(run), within: shared.limits.resume_within };
    let first = attended.first_word(shared.limits.stream_after, asked.accept.stream).await;
    let first = match first {
        Some(last @ (Said::Final(_) | Said::Nothing)) => {
            attended.run = None;
            return whole_of(asked, &last);
        }
        more => more,
    };
    let Some(counted) = shared.streams.enter(shared.limits.streams) else {
        // rather slow than refused: the call has begun
        let last = attended.last_word(first).await;
        attended.run = None;
        return whole_of(asked, &last);
    };
    // from here on the call has a stream: nothing is left to go on unattended
    let Some(run) = attended.run.take() else { return reply::empty(StatusCode::ACCEPTED) };
    let feed = session.open_stream();
    if primed {
        feed.prime();
    }
    let reader = feed.attach(None, Some(shared.limits.keep_alive));
    let within = shared.limits.resume_within;
    let session = session.clone();
    shared.spawn(counted, async move {
        tokio::select! {
            () = run.into_feed(first, &feed) => {}
            // nobody came back for the answer, which ends the call
            () = feed.abandoned(within) => {}
        }
        session.finish_stream(&feed);
    });
    reply::stream(reader)
}

/// Answers a request of a batch.
async fn serve<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
    caller: &Arc<Caller>,
    request: Request,
) {
    let id = Some(request.id.clone());
    let outcome = match own(session, &request) {
        Some(own) => own.outcome(shared, session).await,
        None => match session.begin(&request.id) {
            Ok(progress) => {
                let mut body = Vec::new();
                request.write(&mut body);
                let run = Run::start(shared, session, caller.clone(), request, body.into(), progress);
                return run.into_feed(None, feed).await;
            }
            Err(cannot) => Err(cannot.refused().rpc_error()),
        },
    };
    let _ended = feed.send(&Message::Response(Rpc { id, outcome })).await.is_err();
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
        Message::Response(response) => {
            session.answered(response);
            return Ok(());
        }
        Message::Notification(notification) => {
            noted(shared, session, &notification);
            return Ok(());
        }
        Message::Request(request) => request,
    };
    let id = Some(request.id.clone());
    let refused = if &*request.method == "initialize" {
        introduce(shared, session, &request)
    } else if let Some(own) = own(session, &request) {
        if matches!(own, Own::Watching { .. }) {
            return aside(shared, session, feed, own, request.id).await;
        }
        own.outcome(shared, session).await
    } else if let Some(caller) = session.caller() {
        match (session.begin(&request.id), shared.streams.enter(shared.limits.streams)) {
            (Ok(progress), Some(counted)) => {
                let run = Run::start(shared, session, caller, request, body, progress);
                let feed = feed.clone();
                shared.spawn(counted, async move {
                    tokio::select! {
                        () = run.into_feed(None, &feed) => {}
                        () = feed.ended() => {}
                    }
                });
                return Ok(());
            }
            (Err(cannot), _) => Err(cannot.refused().rpc_error()),
            (Ok(_), None) => Err(CannotBegin::TooMany.refused().rpc_error()),
        }
    } else {
        let text = "initialize comes first, or a revision in params._meta";
        Err(Refused::new(StatusCode::BAD_REQUEST, codes::INVALID_REQUEST, ce::NO_SESSION, text).rpc_error())
    };
    feed.send(&Message::Response(Rpc { id, outcome: refused })).await
}

/// Does what takes its time without keeping the pipe's next message waiting.
async fn aside<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
    own: Own,
    id: Id,
) -> Result<(), Gone> {
    let refused = match (session.begin(&id), shared.streams.enter(shared.limits.streams)) {
        (Ok(mut progress), Some(counted)) => {
            let (shared_, session, feed) = (shared.clone(), session.clone(), feed.clone());
            shared.spawn(counted, async move {
                let outcome = tokio::select! {
                    biased;
                    _ = &mut progress.cancelled => return,
                    outcome = own.outcome(&shared_, &session) => outcome,
                };
                let _ended = feed.send(&Message::Response(Rpc { id: Some(id), outcome })).await.is_err();
            });
            return Ok(());
        }
        (Err(cannot), _) => cannot.refused(),
        (Ok(_), None) => CannotBegin::TooMany.refused(),
    };
    feed.send(&Message::Response(Rpc { id: Some(id), outcome: Err(refused.rpc_error()) })).await
}

fn introduce<S: Service>(shared: &Shared<S>, session: &Session, request: &Request) -> Result<Raw, RpcError> {
    let facts = shared.service.facts(&session.scope).ok_or_else(|| no_such(&session.scope).rpc_error())?;
    let said = legacy::read_initialize(request.params.as_deref())?;
    let result = legacy::initialize_result(&facts, said.revision);
    Introduction { revision: said.revision, capabilities: said.capabilities, info: said.client_info }
        .introduce(session);
    Ok(result)
}

/// What the door itself answers.
fn own(session: &Session, request: &Request) -> Option<Own> {
    let params = request.params.as_deref();
    Some(match &*request.method {
        "ping" => Own::Done(Ok(())),
        "logging/setLevel" => {
            Own::Done(legacy::read_level(params).map(|level| session.set_log_level(level.as_str())))
        }
        method @ ("resources/subscribe" | "resources/unsubscribe") => {
            let wanted = method == "resources/subscribe";
            let wished = legacy::read_uri(params)
                .and_then(|uri| ear::wish(session, &uri, wanted).map(|()| uri.into_owned()));
            match wished {
                Ok(uri) => Own::Watching { uri, wanted },
                Err(error) => Own::Done(Err(error)),
            }
        }
        _ => return None,
    })
}

/// An answer of the door's own.
enum Own {
    Done(Result<(), RpcError>),
    /// Servers have to be told first.
    Watching {
        uri: String,
        wanted: bool,
    },
}

impl Own {
    async fn outcome<S: Service>(self, shared: &Shared<S>, session: &Session) -> Result<Raw, RpcError> {
        let done = match self {
            Self::Done(done) => done,
            Self::Watching { uri, wanted } => ear::fulfil(shared, session, &uri, wanted).await,
        };
        done.map(|()| cella_mcp::Object::empty().to_raw())
    }
}

fn noted<S: Service>(shared: &Arc<Shared<S>>, session: &Arc<Session>, notification: &Notification) {
    match &*notification.method {
        "notifications/cancelled" => session.cancel(notification),
        "notifications/initialized" => match &session.pipe {
            Some(pipe) => {
                let _a_pipe_always_has_room = ear::listen(shared, session, pipe);
            }
            None => ear::watch_lists(shared, session),
        },
        _ => {}
    }
}

/// The session a request names, with its caller.
fn session<S: Service>(shared: &Shared<S>, asked: &Asked) -> Result<(Arc<Session>, Arc<Caller>), Refused> {
    let headers = &asked.head.headers;
    check_revision(headers)?;
    let Some(id) = headers.get(SESSION_ID) else {
        let text = "Mcp-Session-Id is missing: send initialize first, or name a revision in params._meta";
        return Err(Refused::new(StatusCode::BAD_REQUEST, codes::INVALID_REQUEST, ce::NO_SESSION, text));
    };
    let found = id.to_str().ok().and_then(|id| shared.sessions.find(shared, id, asked));
    found.and_then(|session| session.caller().map(|caller| (session, caller))).ok_or_else(|| {
        let text = "this session is unknown or has ended; send initialize again";
        // the code that clients of these revisions know
        Refused::new(StatusCode::NOT_FOUND, -32001, ce::SESSION_GONE, text)
    })
}

/// A revision that is named must be one of this era's (2025-11-25, "Protocol Version Header").
fn check_revision(headers: &HeaderMap) -> Result<(), Refused> {
    let Some(named) = headers.get(HEADER_VERSION) else { return Ok(()) };
    let known = named.to_str().ok().and_then(Revision::parse).is_some_and(|r| r.era() == Era::Legacy);
    if known {
        return Ok(());
    }
    let spoken: Vec<_> = Revision::ALL.iter().rev().map(|r| r.as_str()).collect();
    let text = format!("MCP-Protocol-Version is not spoken here; these are: {}", spoken.join(", "));
    Err(Refused::new(StatusCode::BAD_REQUEST, codes::INVALID_REQUEST, ce::REVISION, text))
}

fn whole(asked: &Asked, message: &Message) -> Response<Body> {
    if asked.accept.json { reply::json(StatusCode::OK, message) } else { reply::one_event(message) }
}

/// The last word on a request as one body. An answer to a request that was cancelled would be ignored.
fn whole_of(asked: &Asked, last: &Said) -> Response<Body> {
    match last {
        Said::Final(message) => whole(asked, message),
        Said::More(_) | Said::Nothing => reply::empty(StatusCode::ACCEPTED),
    }
}

fn unacceptable(text: &str) -> Response<Body> {
    Refused::new(StatusCode::NOT_ACCEPTABLE, codes::INVALID_REQUEST, ce::NOT_ACCEPTABLE, text).response(None)
}

fn no_such(scope: &Scope) -> Refused {
    let text = match scope {
        Scope::All => "this node serves nothing".to_owned(),
        Scope::Server(name) => format!("there is no server {name:?} here"),
        Scope::View(name) => format!("there is no view {name:?} here"),
    };
    Refused::new(StatusCode::NOT_FOUND, codes::INVALID_PARAMS, ce::NO_SUCH_ENDPOINT, text)
}

/// A request whose client waits for one JSON body. Losing that client does not cancel the call.
struct Attended<S: Service> {
    run: Option<Run<S>>,
    within: Duration,
}

impl<S: Service> Attended<S> {
    /// What is said first; `None` when that takes too long to wait for without a stream.
    async fn first_word(&mut self, stream_after: Duration, may_stream: bool) -> Option<Said> {
        if !may_stream {
            return Some(self.last_word(None).await);
        }
        let run = self.run.as_mut()?;
        let mut next = std::pin::pin!(run.next());
        // the timer is only made when there is something to wait for
        match poll_once(next.as_mut()).await {
            Poll::Ready(said) => Some(said),
            Poll::Pending => tokio::time::timeout(stream_after, next).await.ok(),
        }
    }

    async fn last_word(&mut self, first: Option<Said>) -> Said {
        match &mut self.run {
            Some(run) => run.last_word(first).await,
            None => Said::Nothing,
        }
    }
}

impl<S: Service> Drop for Attended<S> {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.detach(self.within);
        }
    }
}
