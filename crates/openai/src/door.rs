//! Which request is which.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use cella_agency::{Api, Crew};
use cella_dialogue::Dialect;
use cella_event::RunId;
use cella_pursuit::Runs;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::Value;

use crate::{agent, fault::Fault, list::Lists, relay, request::Asked};

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Requests whose runs are remembered for clients that try again without a key. Stops the memory from growing; an older one is
/// begun once more.
const REMEMBERED: usize = 1_024;

/// The door for clients of models. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    pub(crate) api: Api,
    pub(crate) runs: Runs<Crew>,
    pub(crate) crew: Arc<Crew>,
    pub(crate) lists: Arc<Lists>,
    pub(crate) recent: Arc<Mutex<HashMap<[u8; 32], RunId>>>,
    /// One at a time, so that of two repetitions of one request only the first begins a run.
    pub(crate) beginning: Arc<tokio::sync::Mutex<()>>,
}

// === impl Door ===

impl Door {
    /// A door to the models and agents of a node.
    #[must_use]
    pub fn new(api: Api) -> Self {
        let (runs, crew) = (api.runs().clone(), Arc::clone(api.crew()));
        Self { api, runs, crew, lists: Arc::default(), recent: Arc::default(), beginning: Arc::default() }
    }

    /// True for paths that are this door's.
    #[must_use]
    pub fn is_here(path: &str) -> bool {
        path == "/v1" || path.starts_with("/v1/")
    }

    /// Answers a request of a principal.
    pub async fn answer(&self, request: &Request<Bytes>, principal: &str) -> Response<Body> {
        let (method, path) = (request.method(), request.uri().path().trim_end_matches('/'));
        let dialect = match path {
            "/v1/chat/completions" => Dialect::Chat,
            "/v1/responses" => Dialect::Responses,
            "/v1/messages" => Dialect::Messages,
            "/v1/embeddings" => Dialect::Embeddings,
            // An Anthropic client asks the same path for its own kind of list.
            "/v1/models" if method == Method::GET => return self.models(principal).await,
            _ => match path.strip_prefix("/v1/models/") {
                Some(name) if method == Method::GET => return self.model(name, principal).await,
                _ => return nothing(method, path, Dialect::Chat),
            },
        };
        if method != Method::POST {
            return nothing(method, path, dialect);
        }
        match self.ask(dialect, request, principal).await {
            Ok(response) => response,
            Err(fault) => fault.response(dialect),
        }
    }

    async fn ask(
        &self,
        dialect: Dialect,
        request: &Request<Bytes>,
        principal: &str,
    ) -> Result<Response<Body>, Fault> {
        let asked = Asked::read(dialect, request.headers(), request.body())?;
        let models = self.crew.models();
        let name = asked.wants.model.clone();
        let (agents, rights) = (self.crew.agents(), self.crew.rights());
        let agent = name.strip_prefix("agent/").unwrap_or(&name);
        if agents.iter().any(|known| known == agent) {
            rights.run(principal, agent)?;
            return agent::answer(self, asked, agent, principal).await;
        }
        let Some(target) = models.target(dialect, &name) else {
            let mut providers: Vec<String> = models.names().collect();
            providers.sort();
            return Err(Fault::NoSuchModel { name, providers: listed(&providers), agents: listed(&agents) });
        };
        rights.ask(principal, &format!("{}/{}", target.provider, target.model))?;
        models.carries(&target, dialect, &asked.body)?;
        relay::answer(self, asked, target, principal).await
    }

    pub(crate) fn remember(&self, digest: [u8; 32], run: &RunId) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= REMEMBERED {
            recent.clear();
        }
        recent.insert(digest, run.clone());
    }

    pub(crate) fn remembered(&self, digest: &[u8; 32]) -> Option<RunId> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

pub(crate) fn whole(status: StatusCode, value: &Value) -> Response<Body> {
    json(status, value.to_string().into())
}

pub(crate) fn json(status: StatusCode, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Says which run an answer is of.
pub(crate) fn of_run(mut response: Response<Body>, run: &RunId) -> Response<Body> {
    if let Ok(name) = HeaderValue::from_str(run.as_str()) {
        response.headers_mut().insert("x-cella-run", name.clone());
        response.headers_mut().insert("x-request-id", name);
    }
    response
}

fn nothing(method: &Method, path: &str, dialect: Dialect) -> Response<Body> {
    Fault::NoSuchPath { method: method.to_string(), path: path.to_owned() }.response(dialect)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}
