//! The admin door: health, figures, status and the ledger, for operators and for `cella` itself.

mod cells;
mod log;
mod runs;
mod workspaces;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use cella_agency::NOT_ALLOWED;
use cella_catalog::Catalog;
use cella_cell::Class;
use cella_doorman::PUBLIC;
use cella_history::History;
use cella_ledger::{Health, Ledger};
use cella_workspace::Workspaces;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{announce::Announcement, launcher::Shells, living::Living, load::Loaded, metrics::Metrics};

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What the admin door needs.
pub(crate) struct Admin {
    pub(crate) catalog: Catalog,
    pub(crate) ledger: Ledger,
    pub(crate) history: History,
    pub(crate) metrics: Metrics,
    pub(crate) about: Arc<Announcement>,
    /// True from the beginning of a drain.
    pub(crate) draining: watch::Receiver<bool>,
    /// Why the configuration as it is now is not the one in use; nothing when it is.
    pub(crate) refused: ArcSwapOption<Value>,
    /// The configuration in use.
    pub(crate) loaded: Arc<ArcSwap<Loaded>>,
    /// The connections of the cells that run.
    pub(crate) living: Living,
    /// Cells that wait for a program.
    pub(crate) shells: Shells,
    /// What cells changed in their copies.
    pub(crate) workspaces: Workspaces,
    /// The runs of this node.
    pub(crate) runs: cella_agency::Api,
    /// Where clients of models ask.
    pub(crate) models: cella_openai::Door,
}

impl Admin {
    /// Answers a request for any path that is no MCP endpoint.
    pub(crate) async fn answer(&self, request: Request<Bytes>, principal: &str) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let read = method == Method::GET || method == Method::HEAD;
        let confined = self.runs.crew().rights().of(principal).is_some_and(|rights| !rights.admin);
        let open = path.starts_with("/api/v1/runs") || PUBLIC.contains(&path.as_str());
        if confined && !open && !cella_openai::Door::is_here(&path) {
            let fix = "ask whoever owns the node: admin = true in [principals] of its configuration";
            let message = format!("{principal} may not use the admin door");
            return error(StatusCode::FORBIDDEN, NOT_ALLOWED, &message, fix);
        }
        if cella_openai::Door::is_here(&path) {
            return self.models.answer(&request, principal).await;
        }
        if let Some(run) = path.strip_prefix("/api/v1/runs") {
            return self.run(&request, run, principal).await;
        }
        match path.as_str() {
            "/livez" if read => text(StatusCode::OK, "ok\n"),
            "/readyz" | "/healthz" if read => self.ready(),
            "/version" if read => json_body(StatusCode::OK, &json!({ "version": env!("CARGO_PKG_VERSION") })),
            "/metrics" if read => self.figures(),
            "/api/v1/status" if read => json_body(StatusCode::OK, &self.status()),
            "/api/v1/cells" if read => self.cells().await,
            "/api/v1/node" if read => json_body(StatusCode::OK, &self.about.to_json()),
            _ => self.below(&method, &path, request.uri().query()).await,
        }
    }

    /// Paths with something behind them.
    async fn below(&self, method: &Method, path: &str, query: Option<&str>) -> Response<Body> {
        if let Some(question) = path.strip_prefix("/api/v1/log/") {
            return self.log(method, question, query).await;
        }
        if let (&Method::POST, Some(order)) = (method, path.strip_prefix("/api/v1/workspaces/")) {
            return self.workspace(order, query).await;
        }
        nothing_here()
    }

    fn ready(&self) -> Response<Body> {
        let well = self.ledger.health().is_well();
        match (*self.draining.borrow(), well) {
            (true, _) => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            (false, false) => text(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be written\n"),
            (false, true) => text(StatusCode::OK, "ok\n"),
        }
    }

    fn figures(&self) -> Response<Body> {
        for server in self.catalog.status() {
            self.metrics.server(&server.name, server.running, u64::from(server.restarts));
        }
        self.metrics.ledger(self.ledger.head().seq.0, self.ledger.health().is_well());
        let mut response = text(StatusCode::OK, self.metrics.text());
        let kind =
            http::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// The class of what holds a server.
    fn class(&self, server: &str) -> &'static str {
        let loaded = self.loaded.load();
        loaded.servers.get(server).map_or(Class::Process, |served| served.class()).as_str()
    }

    /// Everything `cella status` shows.
    fn status(&self) -> Value {
        let health = self.ledger.health();
        let servers = self.catalog.status();
        let servers = servers.iter().filter_map(|server| {
            let mut value = serde_json::to_value(server).ok()?;
            value["class"] = self.class(&server.name).into();
            Some(value)
        });
        let servers: Vec<Value> = servers.collect();
        json!({
            "schema": "cella/v1",
            "node": self.about.to_json(),
            "ledger": {
                "head": self.ledger.head().seq.0,
                "healthy": health.is_well(),
                "state": state(&health),
                "directory": self.ledger.dir(),
            },
            "configuration": { "file": self.about.config, "refused": self.refused.load_full().as_deref() },
            "servers": servers,
        })
    }
}

/// The ledger's health in words.
fn state(health: &Health) -> String {
    match health {
        Health::Well => "well".to_owned(),
        Health::Failing { reason, waiting } => {
            format!("cannot be written, {waiting} events wait in memory: {reason}")
        }
        _ => "closed".to_owned(),
    }
}

pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    whole(status, "text/plain; charset=utf-8", body.into())
}

pub(crate) fn json_body(status: StatusCode, value: &Value) -> Response<Body> {
    whole(status, "application/json", value.to_string().into())
}

/// The error format of the admin door: the same words as on the command line.
pub(crate) fn error(status: StatusCode, code: &str, message: &str, fix: &str) -> Response<Body> {
    let value = json!({ "error": { "code": code, "message": message, "fix": fix } });
    whole(status, "application/problem+json", value.to_string().into())
}

pub(crate) fn nothing_here() -> Response<Body> {
    let fix = "see /mcp, /readyz, /metrics, /api/v1/status";
    error(StatusCode::NOT_FOUND, "CE4130", "there is nothing here", fix)
}

fn whole(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
