//! The HTTP+SSE transport of 2024-11-05: one stream for everything, a second endpoint for what the client sends.

use std::{sync::Arc, time::Duration};

use cella_mcp::{Message, codes};
use http::{Response, StatusCode};
use hyper::body::Incoming;

use super::{
    super::{
        Shared,
        body::Body,
        codes as ce,
        feed::{Feed, Framing, Gone},
        reply::{self, Refused},
        request::{Asked, read_json},
        route::OLD_POST,
        stdio::over,
    },
    no_such,
    session::CannotBegin,
    take,
};
use cella_transport::Service;

/// Opens the stream. Its first event tells where to send.
pub(in super::super) fn old_stream<S: Service>(shared: &Arc<Shared<S>>, asked: &Asked) -> Response<Body> {
    if shared.service.facts(&asked.scope).is_none() {
        return no_such(&asked.scope).response(None);
    }
    // before there is a session, which only the end of its stream would end
    let Some(counted) = shared.streams.enter(shared.limits.streams) else {
        return CannotBegin::TooMany.refused().response(None);
    };
    let feed = Feed::new(Framing::Events);
    let session = shared.sessions.create_pipe(&shared.limits, asked, feed.clone());
    let Some(session) = session else { return CannotBegin::TooMany.refused().response(None) };
    feed.announce(&format!("{OLD_POST}?sessionId={}", session.id));
    let reader = feed.attach(None, Some(shared.limits.keep_alive));
    let shared_ = shared.clone();
    shared.spawn(counted, async move {
        tokio::select! {
            () = feed.abandoned(Duration::ZERO) => {}
            () = over(&shared_, &session) => {}
        }
        shared_.sessions.end(&session);
    });
    reply::stream(reader)
}

/// Takes a message of the client; what there is to say goes to the stream.
pub(in super::super) async fn old_post<S: Service>(
    shared: &Arc<Shared<S>>,
    asked: Asked,
    body: Incoming,
) -> Response<Body> {
    let query = asked.head.uri.query().unwrap_or_default();
    let id = query.split('&').find_map(|pair| pair.strip_prefix("sessionId="));
    let Some(session) = id.and_then(|id| shared.sessions.find_pipe(id, &asked.principal)) else {
        let text = "this session is unknown or has ended; open the stream again";
        return Refused::new(StatusCode::NOT_FOUND, -32001, ce::SESSION_GONE, text).response(None);
    };
    let bytes = match read_json(shared, &asked.head.headers, body).await {
        Ok(bytes) => bytes,
        Err(refused) => return refused.response(None),
    };
    let message = match Message::parse(&bytes, &cella_mcp::Limits::CLIENT) {
        Ok(message) => message,
        Err(error) => return reply::failure(StatusCode::BAD_REQUEST, error.id.clone(), error.to_rpc_error()),
    };
    let Some(pipe) = session.pipe.clone() else {
        return Refused::new(
            StatusCode::NOT_FOUND,
            codes::INVALID_REQUEST,
            ce::SESSION_GONE,
            "no such stream",
        )
        .response(None);
    };
    match take(shared, &session, &pipe, message, bytes).await {
        Ok(()) => reply::empty(StatusCode::ACCEPTED),
        Err(Gone) => reply::empty(StatusCode::NOT_FOUND),
    }
}
