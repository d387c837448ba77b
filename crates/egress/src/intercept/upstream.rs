//! The server's side: TLS with a server that proves to be the host, and HTTP over it.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use cella_contract::DomainName;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::{Mutex, Notify},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{HTTP1, HTTP2, Spoken, tasks::Tasks};
use crate::{
    denial::Denial,
    limits::{HEAD_BYTES_MAX, HEADERS_MAX, WINDOW_BYTES},
    trust::Trust,
};

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(super) String);
/// A body on its way to either side.
pub(super) type Body = UnsyncBoxBody<Bytes, Broken>;

/// Who gets the requests.
pub(super) enum Upstream {
    /// One request after the other.
    Http1(Mutex<http1::SendRequest<Body>>),
    /// Many at once.
    Http2(http2::SendRequest<Body>),
    /// Nobody.
    Refused(Denial),
}

// === impl Upstream ===

impl Upstream {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::Http1(sender) => {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                let mut sender = sender.clone();
                sender.ready().await?;
                sender.send_request(request).await
            }
            // Nothing comes here: exchanges ask first.
            Self::Refused(_) => std::future::pending().await,
        }
    }
}

/// What a connection to a server is made with.
pub(super) struct With<'a> {
    pub(super) trust: &'a Trust,
    pub(super) tasks: &'a Tasks,
    /// Told when the server takes no more.
    pub(super) stop: &'a Arc<Notify>,
    pub(super) patience: Duration,
}

/// Speaks TLS and then HTTP with a server.
pub(super) async fn connect(
    server: TcpStream,
    name: &DomainName,
    protocols: Vec<Vec<u8>>,
    with: With<'_>,
) -> Result<(Spoken, Upstream), Denial> {
    let refused = |cause: String| Denial::ServerTls { name: name.clone(), cause };
    let host = ServerName::try_from(name.to_string()).map_err(|e| refused(e.to_string()))?;
    let offered = if protocols.is_empty() { vec![HTTP1.to_vec()] } else { protocols };
    let offers_http1 = offered.iter().any(|protocol| protocol == HTTP1);
    let connecting = TlsConnector::from(with.trust.client(offered)).connect(host, server);
    let stream = match timeout(with.patience, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(refused(cause(&error))),
        Err(_) => return Err(refused("no answer in time".to_owned())),
    };
    let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let spoken = match chosen.as_deref() {
        Some(HTTP2) => Spoken::Http2,
        // who names nothing speaks the older one
        None if !offers_http1 => return Err(refused("it does not speak HTTP/2".to_owned())),
        _ => Spoken::Http1,
    };
    let upstream = match spoken {
        Spoken::Http1 => http1(stream, &with).await,
        Spoken::Http2 => http2(stream, &with).await,
    };
    Ok((spoken, upstream.map_err(|e| refused(e.to_string()))?))
}

async fn http1(stream: TlsStream<TcpStream>, with: &With<'_>) -> hyper::Result<Upstream> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let stop = with.stop.clone();
    with.tasks.spawn(async move { ended(connection.await, &stop) });
    Ok(Upstream::Http1(Mutex::new(sender)))
}

async fn http2(stream: TlsStream<TcpStream>, with: &With<'_>) -> hyper::Result<Upstream> {
    let (sender, connection) = http2::Builder::new(with.tasks.clone())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1)
        .handshake(TokioIo::new(stream))
        .await?;
    let stop = with.stop.clone();
    with.tasks.spawn(async move { ended(connection.await, &stop) });
    Ok(Upstream::Http2(sender))
}

fn ended(result: hyper::Result<()>, stop: &Notify) {
    stop.notify_one();
    if let Err(error) = result {
        tracing::debug!(%error, "a server's side of a connection ended in the middle");
    }
}

fn cause(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => format!("its certificate is not valid: {why}"),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}
