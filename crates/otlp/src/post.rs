//! Posting a batch: one request on a connection of its own, over the sockets that the whole house uses.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use cella_transport::net::{Address, TlsSettings, connect};
use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

/// Bytes of a collector's answer that are read. Stops a wrong address from filling memory.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The client that the exporter's thread posts with. The thread has no runtime, so the work is done on the node's.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) runtime: Handle,
    pub(crate) within: Duration,
    /// So that a collector that is away is told of once, and not with every batch.
    pub(crate) failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let to = request.uri().to_string();
        let within = self.within;
        // The timer too must be made on the runtime.
        let sent =
            self.runtime.spawn(async move { tokio::time::timeout(within, send(request, within)).await });
        let answer = match sent.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(format!("no answer within {:?}", self.within).into()),
            Err(_) => Err("the node is ending".into()),
        };
        let wrong = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let was = self.failing.swap(wrong.is_some(), Ordering::Relaxed);
        match wrong {
            Some(error) if !was => tracing::warn!(%to, error, "traces are not exported"),
            None if was => tracing::info!(%to, "traces are exported again"),
            _ => {}
        }
        answer
    }
}

async fn send(mut request: Request<Bytes>, within: Duration) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri().clone();
    let host = uri.host().ok_or("the endpoint has no host")?;
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let address = Address::Tcp { host: host.trim_matches(['[', ']']).into(), port, tls };
    let socket = connect(&address, &TlsSettings::default(), within).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let authority = uri.authority().map_or(host, |a| a.as_str()).to_owned();
    request.headers_mut().insert(HOST, authority.parse()?);
    *request.uri_mut() = uri.path_and_query().map_or("/", |p| p.as_str()).parse()?;
    let answer = sender.send_request(request.map(Full::new)).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}
