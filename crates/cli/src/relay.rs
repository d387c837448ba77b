//! The node's MCP endpoint as something a door can serve: what stands behind `cella stdio`.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cella_link::{Link, LinkEvent};
use cella_mcp::{HeaderParams, Revision, ServerFacts};
use cella_transport::{Call, Caller, Change, Exchange, Interest, Peer, Refusal, Scope, Service, Watch};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::sync::{mpsc, oneshot};

/// Changes one watcher may be behind; one that is further behind is dropped and will watch anew.
const WATCH_WAITING_MAX: usize = 64;

/// Hands everything on to the node.
#[derive(Debug)]
pub(crate) struct Relay {
    link: Link,
    facts: Arc<ServerFacts>,
    watches: Mutex<Vec<(Interest, mpsc::Sender<Change>)>>,
}

// === impl Relay ===

impl Relay {
    /// A relay over a link to the node, and the task that carries its news.
    pub(crate) fn new(link: Link, events: mpsc::Receiver<LinkEvent>) -> Arc<Self> {
        let facts = ServerFacts { revisions: Revision::ALL.to_vec(), ..ServerFacts::clone(&link.facts()) };
        let relay = Arc::new(Self { link, facts: Arc::new(facts), watches: Mutex::default() });
        tokio::spawn(relay.clone().carry(events));
        relay
    }

    async fn carry(self: Arc<Self>, mut events: mpsc::Receiver<LinkEvent>) {
        while let Some(event) = events.recv().await {
            let change = match event {
                LinkEvent::ToolsChanged => Change::Tools,
                LinkEvent::PromptsChanged => Change::Prompts,
                LinkEvent::ResourcesChanged => Change::Resources,
                LinkEvent::ResourceUpdated { uri, params } => Change::Updated { uri, params },
                LinkEvent::Log(note) | LinkEvent::Other(note) => Change::Told(note),
                _ => continue,
            };
            let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
            watches.retain(|(interest, to)| !wants(interest, &change) || to.try_send(change.clone()).is_ok());
        }
    }
}

impl Service for Relay {
    fn admit(&self, _head: &http::request::Parts, _peer: &Peer) -> Result<Arc<str>, Refusal> {
        Ok("local".into())
    }

    fn facts(&self, _scope: &Scope) -> Option<Arc<ServerFacts>> {
        Some(self.facts.clone())
    }

    async fn call(&self, call: Call) -> Exchange {
        self.link.call(call).await
    }

    fn header_params(&self, _scope: &Scope, _tool: &str) -> Option<Arc<HeaderParams>> {
        // Headers are a matter of HTTP, and this door is a pipe; the link computes its own.
        None
    }

    fn watch(&self, _scope: &Scope, _caller: &Arc<Caller>, interest: Interest) -> Watch {
        let (to, changes) = mpsc::channel(WATCH_WAITING_MAX);
        let settled = (!interest.uris.is_empty()).then(|| {
            let (told, settled) = oneshot::channel();
            let (link, uris) = (self.link.clone(), interest.uris.clone());
            tokio::spawn(async move {
                for uri in uris {
                    let _server_says_no = link.watch_resource(&uri).await;
                }
                let _nobody_waits = told.send(());
            });
            settled
        });
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).push((interest.clone(), to));
        Watch { granted: interest, changes, settled }
    }

    async fn other(
        &self,
        _request: http::Request<Bytes>,
        _principal: Arc<str>,
        _peer: &Peer,
    ) -> http::Response<UnsyncBoxBody<Bytes, std::io::Error>> {
        let mut response =
            http::Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    }
}

fn wants(interest: &Interest, change: &Change) -> bool {
    match change {
        Change::Told(_) => true,
        Change::Tools => interest.tools,
        Change::Prompts => interest.prompts,
        Change::Resources => interest.resources,
        Change::Updated { uri, .. } => interest.uris.iter().any(|u| **u == **uri),
    }
}
