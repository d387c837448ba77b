//! One client on a pipe, both eras: each message says for itself which one it belongs to.
//!
//! What the node says of itself is answered at once, whether its servers are up or not: clients give up on a pipe that
//! is silent for a few seconds.

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use cella_mcp::{
    DecodeError, Flaw, Incoming, Message, Response as Rpc, Revision, RpcError, codes, parse_batch,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    Phase, Shared, codes as ce,
    feed::{Feed, Framing, Gone, Reader},
    legacy::{self, Session},
    modern,
    reply::code_data,
    ticket,
};
use cella_transport::{
    Scope, Service, Transport,
    stdio::{Frame, Lines},
};

/// Serves one client until it closes its end or the doors are closed.
pub(super) async fn serve<S, R, W>(
    shared: &Arc<Shared<S>>,
    reader: R,
    writer: W,
    principal: Arc<str>,
) -> io::Result<()>
where
    S: Service,
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let feed = Feed::new(Framing::Lines);
    let id: Arc<str> = format!("{:032x}", ticket::random()).into();
    let session = Arc::new(Session::new(id, principal, Scope::All, Transport::Pipe, Some(feed.clone())));
    let mut writing = tokio::spawn(write(feed.attach(None, None), writer, shared.limits.write_stall));
    let outcome = {
        let mut reading = pin!(read(shared, &session, &feed, reader));
        let mut over = pin!(over(shared, &session));
        tokio::select! {
            read = &mut reading => {
                // the client may still wait for answers
                let _cut = tokio::time::timeout(shared.limits.linger, session.quiet()).await.is_err();
                read
            }
            // the client does not read any more
            written = &mut writing => {
                session.end();
                return written.unwrap_or_else(|gone| Err(io::Error::other(gone)));
            }
            () = &mut over => Ok(()),
            // where no listener does it
            () = shared.sweep() => Ok(()),
        }
    };
    session.end();
    let written = writing.await.unwrap_or_else(|gone| Err(io::Error::other(gone)));
    outcome.and(written)
}

/// Completes when the doors drain and nothing is in progress here, or when they are closed.
pub(super) async fn over<S: Service>(shared: &Shared<S>, session: &Session) {
    shared.reached(Phase::Draining).await;
    tokio::select! {
        () = session.quiet() => {}
        () = shared.reached(Phase::Closed) => {}
    }
}

async fn read<S: Service, R: AsyncRead + Unpin>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
    reader: R,
) -> io::Result<()> {
    let mut lines = Lines::with_max(reader, shared.limits.body);
    while let Some(frame) = lines.next().await? {
        let taken = match frame {
            Frame::Line(line) => {
                let line = Bytes::copy_from_slice(line);
                match Message::parse(&line, &cella_mcp::Limits::CLIENT) {
                    Ok(message) => take(shared, session, feed, message, line).await,
                    Err(error) if error.flaw == Flaw::Batch => batch(shared, session, feed, &line).await,
                    Err(error) => complain(feed, &error).await,
                }
            }
            Frame::Overlong { .. } => {
                complain(feed, &Flaw::TooLarge { max: shared.limits.body }.into()).await
            }
        };
        if taken == Err(Gone) {
            break;
        }
    }
    Ok(())
}

async fn take<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
    message: Message,
    line: Bytes,
) -> Result<(), Gone> {
    if shared.is_draining()
        && let Message::Request(request) = message
    {
        let message = "this node is shutting down".into();
        let error = RpcError { code: codes::INTERNAL_ERROR, message, data: code_data(ce::DRAINING) };
        return feed.send(&Message::Response(Rpc { id: Some(request.id), outcome: Err(error) })).await;
    }
    if modern::speaks(&message) {
        modern::take(shared, session, feed, message, line).await
    } else {
        legacy::take(shared, session, feed, message, line).await
    }
}

/// Several messages in one line, which one revision knows.
async fn batch<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
    line: &Bytes,
) -> Result<(), Gone> {
    let revision = session.caller().map(|caller| caller.revision);
    if revision != Some(Revision::V2025_03_26) {
        return complain(feed, &Flaw::Batch.into()).await;
    }
    let messages = match parse_batch(line, &cella_mcp::Limits::CLIENT) {
        Ok(Incoming::Batch(messages)) => messages,
        Ok(Incoming::One(message)) => vec![Ok(message)],
        Err(error) => return complain(feed, &error).await,
    };
    for message in messages {
        match message {
            Ok(message) => {
                let mut line = Vec::new();
                message.write(&mut line);
                take(shared, session, feed, message, line.into()).await?;
            }
            Err(error) => complain(feed, &error).await?,
        }
    }
    Ok(())
}

async fn complain(feed: &Feed, error: &DecodeError) -> Result<(), Gone> {
    feed.send(&Message::Response(error.to_response())).await
}

/// Writes what the feed holds; what is ready together leaves together.
async fn write<W: AsyncWrite + Unpin>(mut out: Reader, mut writer: W, stall: Duration) -> io::Result<()> {
    while let Some(frame) = out.next().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            tokio::time::timeout(stall, writer.write_all(&frame)).await??;
            next = out.try_next();
        }
        tokio::time::timeout(stall, writer.flush()).await??;
    }
    Ok(())
}
