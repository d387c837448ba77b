//! The node as the doors see it.

use std::sync::Arc;

use bytes::Bytes;
use cella_doorman::Doorkeeper;
use cella_mcp::{HeaderParams, ServerFacts};
use cella_tasking::{Agents, SERVER};
use cella_transport::{Call, Caller, Exchange, Interest, Peer, Refusal, Scope, Service, TaskWatch, Watch};
use http::request::Parts;

use crate::{
    admin::{self, Admin},
    dispatch::Dispatch,
    metrics::Metrics,
};

/// Everything behind the doors.
pub(crate) struct NodeService {
    pub(crate) dispatch: Dispatch,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) admin: Admin,
    pub(crate) metrics: Metrics,
    /// The agents as tools.
    pub(crate) agents: Agents,
}

impl NodeService {
    /// True for the endpoint of the agents. A server of that name comes first.
    fn is_agents(&self, scope: &Scope) -> bool {
        matches!(scope, Scope::Server(name) if &**name == SERVER)
            && self.dispatch.catalog.facts(scope).is_none()
    }
}

impl Service for NodeService {
    fn admit(&self, head: &Parts, peer: &Peer) -> Result<Arc<str>, Refusal> {
        self.doorkeeper.admit(head, peer).inspect_err(|_| self.metrics.not_admitted())
    }

    fn facts(&self, scope: &Scope) -> Option<Arc<ServerFacts>> {
        if self.is_agents(scope) {
            return Some(self.agents.facts());
        }
        self.dispatch.catalog.facts(scope)
    }

    async fn call(&self, call: Call) -> Exchange {
        if self.is_agents(&call.scope) {
            return self.agents.call(call).await;
        }
        self.dispatch.call(call).await
    }

    fn header_params(&self, scope: &Scope, tool: &str) -> Option<Arc<HeaderParams>> {
        self.dispatch.catalog.header_params(scope, tool)
    }

    async fn make_watchable(&self, scope: &Scope, uris: &[String]) {
        self.dispatch.catalog.make_watchable(scope, uris).await;
    }

    fn watch(&self, scope: &Scope, caller: &Arc<Caller>, interest: Interest) -> Watch {
        self.dispatch.catalog.watch(scope, caller, &interest)
    }

    fn watch_tasks(&self, scope: &Scope, caller: &Arc<Caller>, ids: &[String]) -> Option<TaskWatch> {
        self.dispatch.catalog.watch_tasks(scope, caller, ids)
    }

    async fn other(
        &self,
        request: http::Request<Bytes>,
        principal: Arc<str>,
        _peer: &Peer,
    ) -> http::Response<admin::Body> {
        self.admin.answer(request, &principal).await
    }
}
