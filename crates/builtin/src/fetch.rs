//! `fetch`: reading a web page.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::page;

/// Most bytes of a body that are read. Stops an endless answer from filling the cell's memory; past it the call fails.
const BODY_BYTES_MAX: usize = 8 << 20;

/// Redirects followed before giving up; stops redirect loops.
const REDIRECTS_MAX: usize = 5;

/// Time for one request, connection and body included; stops a silent server from holding the call.
const REQUEST_SECONDS_MAX: u64 = 30;

/// Characters returned when the caller does not say.
const LENGTH_DEFAULT: usize = 5_000;

/// The `fetch` server.
#[derive(Clone, Debug)]
pub struct Fetch {
    tool_router: ToolRouter<Self>,
}

/// Arguments of `fetch`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FetchUrl {
    /// An http or https address.
    pub url: String,
    /// Most characters to return; 5000 when absent.
    pub max_length: Option<usize>,
    /// First character to return, to go on where an earlier call stopped.
    pub start_index: Option<usize>,
    /// True for the page's own source instead of Markdown.
    #[serde(default)]
    pub raw: bool,
}

/// What was fetched.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Fetched {
    /// The address after redirects.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The content type the server named.
    pub content_type: String,
    /// The text asked for.
    pub text: String,
    /// Where the rest begins, when there is more.
    pub next_index: Option<usize>,
}

struct Got {
    url: Url,
    status: u16,
    content_type: String,
    body: Bytes,
}

type Web = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

#[tool_router(router = tool_router)]
impl Fetch {
    /// The server, with its one tool.
    #[must_use]
    pub fn new() -> Self {
        Self { tool_router: Self::tool_router() }
    }

    /// Fetches a web page and returns its content as Markdown.
    #[tool(name = "fetch", annotations(read_only_hint = true, open_world_hint = true))]
    async fn fetch(&self, Parameters(want): Parameters<FetchUrl>) -> Result<Json<Fetched>, String> {
        let url = Url::parse(&want.url).map_err(|e| format!("`{}` is not an address: {e}", want.url))?;
        let limit = std::time::Duration::from_secs(REQUEST_SECONDS_MAX);
        let got = tokio::time::timeout(limit, follow(url))
            .await
            .map_err(|_| format!("no answer within {REQUEST_SECONDS_MAX} s"))??;
        let text = page::readable(&got.content_type, &got.body, want.raw)
            .ok_or_else(|| format!("{} is {} and not text", got.url, got.content_type))?;
        let (text, next_index) =
            page::window(&text, want.start_index.unwrap_or(0), want.max_length.unwrap_or(LENGTH_DEFAULT));
        Ok(Json(Fetched {
            url: got.url.into(),
            status: got.status,
            content_type: got.content_type,
            text,
            next_index,
        }))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Fetch {}

impl Default for Fetch {
    fn default() -> Self {
        Self::new()
    }
}

fn web() -> Result<Web, String> {
    let tls = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|e| format!("no trusted certificates on this machine: {e}"))?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(tls))
}

async fn follow(mut url: Url) -> Result<Got, String> {
    let web = web()?;
    for _ in 0..=REDIRECTS_MAX {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("only http and https are fetched, not {}", url.scheme()));
        }
        let request = http::Request::get(url.as_str())
            .header(http::header::USER_AGENT, concat!("cella-fetch/", env!("CARGO_PKG_VERSION")))
            .header(http::header::ACCEPT, "text/html,text/plain,application/json;q=0.9,*/*;q=0.5")
            .body(Empty::new())
            .map_err(|e| e.to_string())?;
        let response = web.request(request).await.map_err(|e| unreachable_host(&url, &e))?;
        if response.status().is_redirection()
            && let Some(to) = response.headers().get(http::header::LOCATION)
        {
            let to = to.to_str().map_err(|_| "the redirect's address is not text".to_owned())?;
            url = url.join(to).map_err(|e| format!("the redirect to `{to}` is not an address: {e}"))?;
            continue;
        }
        return got(url, response).await;
    }
    Err(format!("more than {REDIRECTS_MAX} redirects"))
}

async fn got(url: Url, response: http::Response<hyper::body::Incoming>) -> Result<Got, String> {
    let status = response.status().as_u16();
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|v| v.to_str().ok()).unwrap_or("text/plain").to_owned();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|e| format!("the body could not be read (at most {BODY_BYTES_MAX} bytes): {e}"))?;
    Ok(Got { url, status, content_type, body: body.to_bytes() })
}

fn unreachable_host(url: &Url, error: &hyper_util::client::legacy::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let host = url.host_str().unwrap_or("?");
    format!(
        "{host} cannot be reached: {cause}. A cell reaches only the hosts its contract names under `egress`"
    )
}
