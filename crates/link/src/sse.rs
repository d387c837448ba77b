//! HTTP+SSE of 2024-11-05: one event stream for everything the server says, POSTs for everything it is told.

use std::sync::Arc;

use cella_mcp::sse::Decoder;
use http::StatusCode;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    Endpoint, LinkError, LinkOptions,
    channel::{Channel, Down, Outbound},
    events::Events,
    http::{Connection, Lost, Pool, PostBox, Refusal, get},
};

/// Opens the event stream and waits for the server to say where it takes messages.
pub(super) async fn connect(
    endpoint: &Endpoint,
    options: &Arc<LinkOptions>,
    events: &Events,
) -> Result<Arc<Channel>, LinkError> {
    let target = endpoint.check()?;
    let pool = Pool::new(target.address.clone(), endpoint.tls.clone(), options.deadlines.connect);
    let within = options.deadlines.handshake;
    let late = |_| LinkError::TimedOut { what: "the event stream", within };
    let opening = async {
        let request = get(&target.path, &target.headers, None);
        let (mut connection, response) = pool.send(request, true).await.map_err(lost)?;
        if response.status() != StatusCode::OK || !is_stream(&response) {
            let refusal = Refusal::read(response.status(), response.headers(), b"", options);
            return Err(refusal.to_error("the event stream"));
        }
        let mut body = response.into_body();
        let mut decoder = Decoder::new(options.limits.message.bytes);
        let (path, rest) = loop {
            let mut arrived =
                read(&mut connection, &mut body, &mut decoder).await.map_err(closed)?.into_iter();
            if let Some(event) = arrived.find(|event| &*event.kind == "endpoint") {
                let named = String::from_utf8_lossy(&event.data).into_owned();
                let path = target.same_origin(&named).ok_or_else(|| LinkError::Garbage {
                    what: format!("it wants messages elsewhere: {}", super::error::quote(&named)),
                })?;
                break (path, arrived.collect::<Vec<_>>());
            }
        };
        Ok((Stream { connection, body, decoder }, path, rest))
    };
    let (stream, path, rest) = timeout(within, opening).await.map_err(late)??;
    let posts = PostBox::new(pool, path, target.headers, Arc::clone(options));
    let channel = Channel::new(Outbound::Posts(Arc::clone(&posts)), Arc::clone(options), events.clone());
    let reader = tokio::spawn(follow(Arc::clone(&channel), stream, rest));
    posts.read_by(reader.abort_handle());
    Ok(channel)
}

struct Stream {
    connection: Connection,
    body: Incoming,
    decoder: Decoder,
}

/// Hands the stream's messages to the channel until it ends. It cannot be resumed in this revision.
async fn follow(channel: Arc<Channel>, mut stream: Stream, mut events: Vec<cella_mcp::sse::Event>) {
    let down = loop {
        for event in events.iter().filter(|event| &*event.kind == "message") {
            if let Err(down) = channel.take(&event.data) {
                return channel.reading_ended(&down);
            }
        }
        match read(&mut stream.connection, &mut stream.body, &mut stream.decoder).await {
            Ok(more) => events = more,
            Err(why) => break Down::crashed(why),
        }
    };
    channel.reading_ended(&down);
}

async fn read(
    connection: &mut Connection,
    body: &mut Incoming,
    decoder: &mut Decoder,
) -> Result<Vec<cella_mcp::sse::Event>, String> {
    match connection.frame(body).await {
        Some(Ok(frame)) => {
            decoder.push(&frame.into_data().unwrap_or_default()).map_err(|error| error.to_string())
        }
        Some(Err(error)) => Err(error.to_string()),
        None => Err("it closed its event stream".to_owned()),
    }
}

fn is_stream(response: &http::Response<Incoming>) -> bool {
    let kind = response.headers().get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    kind.is_some_and(|kind| {
        kind.split(|b| *b == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii()
            .eq_ignore_ascii_case(b"text/event-stream")
    })
}

fn lost(error: super::http::SendError) -> LinkError {
    match error {
        super::http::SendError::Connect(error) => LinkError::Connect(error),
        other => LinkError::Closed { why: Lost::Send(other).to_fault(false).message },
    }
}

fn closed(why: String) -> LinkError {
    LinkError::Closed { why }
}
