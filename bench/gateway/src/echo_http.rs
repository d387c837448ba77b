//! The echo server on Streamable HTTP.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::echo::{Answer, Echo};

/// Serves until it is killed.
pub fn serve(port: u16, tools: u16) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(listen(port, tools)).map_err(|e| e.to_string())
}

async fn listen(port: u16, tools: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let echo = Arc::new(Echo::new(tools));
    println!("listening on {}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        // without it every answer waits for an acknowledgement that is delayed by 40 ms
        stream.set_nodelay(true)?;
        let echo = Arc::clone(&echo);
        tokio::spawn(async move {
            let service = service_fn(|request| respond(request, &echo));
            let _client_left =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.is_err();
        });
    }
}

async fn respond(request: Request<Incoming>, echo: &Echo) -> Result<Response<Full<Bytes>>, Infallible> {
    let empty = |status| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    };
    match *request.method() {
        Method::POST => {}
        Method::DELETE => return Ok(empty(StatusCode::OK)),
        _ => return Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
    let Ok(body) = request.into_body().collect().await else { return Ok(empty(StatusCode::BAD_REQUEST)) };
    let (text, session) = match echo.answer(&body.to_bytes()) {
        Answer::Reply(text) => (text, false),
        Answer::Session(text) => (text, true),
        Answer::Nothing => return Ok(empty(StatusCode::ACCEPTED)),
    };
    let mut response = Response::builder().header(CONTENT_TYPE, "application/json");
    if session {
        response = response.header("mcp-session-id", "echo");
    }
    Ok(response.body(Full::from(text)).unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR)))
}
