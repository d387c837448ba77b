//! Talking to a running node: its admin API, and its MCP endpoint as an ordinary client.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use crate::{
    codes,
    exit::{Code, Stop},
    target::Reach,
};

/// An answer of the admin API.
pub type Response = http::Response<hyper::body::Incoming>;

// === impl Reach ===

impl Reach {
    /// GETs a path of the admin API and reads the JSON.
    pub async fn get(&self, path: &str) -> Result<Value, Stop> {
        read(self.request("GET", path, Bytes::new()).await?).await
    }

    /// POSTs to a path of the admin API and reads the JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Stop> {
        read(self.request("POST", path, Bytes::from(body.to_string())).await?).await
    }

    /// Sends one request; the body of the answer is still to come.
    pub async fn request(&self, method: &str, path: &str, body: Bytes) -> Result<Response, Stop> {
        let (authority, token) = match self {
            Self::Socket(_) => ("localhost".to_owned(), None),
            Self::Http { base, token } => (authority(base)?, Some(token)),
        };
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, &authority)
            .header(http::header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|e| {
            Stop::new(Code::Usage, codes::USAGE, format!("`{path}` cannot be asked for: {e}"))
                .fix("write names and URLs without spaces and control characters")
        })?;
        let answer = match self {
            Self::Socket(path) => send(UnixStream::connect(path).await.map_err(|e| gone(&e))?, request).await,
            Self::Http { .. } => {
                send(TcpStream::connect(&authority).await.map_err(|e| gone(&e))?, request).await
            }
        }?;
        match answer.status().as_u16() {
            200..300 => Ok(answer),
            401 => Err(Stop::new(Code::Auth, codes::NO_TOKEN, "the node does not accept this token")
                .fix("use the file that `cella up --token-file` was started with")),
            _ => Err(refused(answer).await),
        }
    }
}

async fn send<I>(io: I, request: http::Request<Full<Bytes>>) -> Result<Response, Stop>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(|e| gone(&e))?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|e| gone(&e))
}

async fn read(answer: Response) -> Result<Value, Stop> {
    let bytes = answer.into_body().collect().await.map_err(|e| gone(&e))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|e| not_a_node(&format!("the answer is not a Cella node's: {e}")))
}

async fn refused(answer: Response) -> Stop {
    let status = answer.status();
    let body = read(answer).await.unwrap_or_default();
    let error = &body["error"];
    let message =
        error["message"].as_str().map_or_else(|| format!("the node answered {status}"), str::to_owned);
    let exit = if status.as_u16() == 403 { Code::Auth } else { Code::Failed };
    let mut stop = Stop::new(exit, error["code"].as_str().unwrap_or(codes::NOT_A_NODE), message);
    stop.fix = error["fix"].as_str().map(str::to_owned);
    stop
}

fn authority(base: &str) -> Result<String, Stop> {
    let rest = base.strip_prefix("http://").ok_or_else(|| {
        Stop::new(Code::Usage, codes::USAGE, format!("`{base}` is not an http:// URL"))
            .fix("a node's own door speaks plain HTTP on loopback: --url http://127.0.0.1:7878")
    })?;
    let authority = rest.split('/').next().unwrap_or(rest);
    Ok(if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") })
}

fn gone(e: &dyn std::fmt::Display) -> Stop {
    Stop::new(Code::Unavailable, codes::NOT_RUNNING, format!("the node cannot be reached: {e}"))
        .fix("start it: cella up")
}

fn not_a_node(message: &str) -> Stop {
    Stop::new(Code::Failed, codes::NOT_A_NODE, message)
        .fix("check the address given with --url, and that node and `cella` are of one version")
}
