//! The face of the crate: what is offered, under which names, and the way of a call to the process that answers it.

mod facts;
mod links;
mod listing;
mod owners;
mod resolve;
mod rewrite;
mod status;
mod watch;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use cella_mcp::{HeaderParams, ListKind, member};
use cella_transport::{Call, Exchange, Scope, Step};
use serde_json::value::RawValue;

pub use resolve::{Resolved, Route, RouteTarget};
pub use status::STATUS_URI;

use crate::{
    CatalogPlan, InstanceKey, Launch, Options, ServerStatus, faults,
    followups::Client,
    pool::{CurrentPlan, Known, Pool, Server},
};
use links::Links;
use listing::Cached;
use resolve::Trust;

/// The extension of servers that make tasks of calls (2026-07-28, SEP-2663).
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The catalogue of a node. Cheap to clone: all clones are the same catalogue.
#[derive(Clone)]
pub struct Catalog {
    pool: Arc<Pool>,
    merged: Arc<Mutex<HashMap<(Scope, ListKind), Cached>>>,
    links: Arc<Links>,
    /// Scopes of which a list was given out.
    settled: Arc<Mutex<HashSet<Scope>>>,
}

/// A tool as its server defines it.
#[derive(Clone, Debug)]
pub struct ToolDefinition {
    /// The whole definition as the server wrote it. Its annotations are a claim of the server, not a fact.
    pub raw: Arc<RawValue>,
    /// What is mirrored into headers, when there is something.
    pub header_params: Option<Arc<HeaderParams>>,
    /// True when it was fetched since the node started; false when it is from the store.
    pub live: bool,
}

impl Catalog {
    /// A catalogue that offers `plan` and starts servers by `launcher`. Nothing is started yet.
    #[must_use]
    pub fn new(plan: CatalogPlan, launcher: impl Launch, options: Options) -> Self {
        let pool = Arc::new(Pool::new(launcher, options));
        pool.apply(plan);
        Self { pool, merged: Arc::default(), links: Arc::default(), settled: Arc::default() }
    }

    /// Offers `plan` from now on. Servers that did not change keep their processes and their calls; those that did finish
    /// their calls in progress first. Clients that listen are told.
    pub fn apply(&self, plan: CatalogPlan) {
        self.pool.apply(plan);
    }

    /// Stops every server and waits for the last process; false when `within` was not enough.
    pub async fn shutdown(&self, within: Duration) -> bool {
        self.pool.shutdown(within).await
    }

    /// Performs a call where [`Catalog::resolve`] says; `call.scope` and `call.params` are replaced by the route's.
    pub async fn call(&self, route: Route, mut call: Call) -> Exchange {
        let Some(server) = self.pool.server(&route.server) else {
            return Exchange::fault(self.no_server(&route.server));
        };
        call.scope = Scope::Server((*route.server).into());
        call.params = route.params;
        let exchange = self.pool.call(&server, route.run.as_ref(), &call).await;
        let exchange = self.followed(exchange, &route.server, &call);
        let exchange = self.with_task(exchange, &server, route.run.as_ref(), &call);
        if !route.renamed {
            return exchange;
        }
        let links = self.links.clone();
        exchange.mapped(Box::new(move |step| rewrite::outgoing(&route.server, &links, step)))
    }

    /// Remembers what a client was given that its server may come back to when the call is over.
    fn followed(&self, exchange: Exchange, server: &Arc<str>, call: &Call) -> Exchange {
        let Some(client) = Client::of(&call.caller) else { return exchange };
        if let Some(answer) = exchange.peek_ready() {
            // a legacy server makes a task of a call only when it was asked for one
            let task = call.params.as_ref().is_some_and(|params| params.get().contains("\"task\""));
            if task || answer.outcome.is_err() {
                self.pool.followups.answered(server, &client, answer);
            }
            return exchange;
        }
        let (pool, server) = (self.pool.clone(), server.clone());
        exchange.mapped(Box::new(move |step| {
            pool.followups.saw(&server, &client, &step);
            step
        }))
    }

    /// Remembers whose a task is that a modern server made of a call.
    fn with_task(
        &self,
        exchange: Exchange,
        server: &Server,
        run: Option<&Arc<str>>,
        call: &Call,
    ) -> Exchange {
        let makes_tasks = server.facts().is_some_and(|facts| {
            member(&facts.capabilities, "extensions").is_some_and(|all| member(all, TASKS).is_some())
        });
        let key = InstanceKey::of(server.isolation(), &call.caller, run).filter(|_| makes_tasks);
        let Some(key) = key else { return exchange };
        let (pool, name) = (self.pool.clone(), server.plan.name.clone());
        let principal = call.caller.principal.clone();
        if let Some(answer) = exchange.peek_ready() {
            pool.task_watches.answered(&name, &principal, &key, answer);
            return exchange;
        }
        exchange.mapped(Box::new(move |step| {
            if let Step::Done(answer) = &step {
                pool.task_watches.answered(&name, &principal, &key, answer);
            }
            step
        }))
    }

    /// A tool of a server by its own name; `None` while unknown.
    #[must_use]
    pub fn tool(&self, server: &str, tool: &str) -> Option<ToolDefinition> {
        let (Known::Yes(list), live) = self.pool.server(server)?.list(ListKind::Tools) else { return None };
        let item = list.item(tool)?;
        Some(ToolDefinition { raw: item.raw.clone(), header_params: item.header_params.clone(), live })
    }

    /// What a modern client mirrors into headers when it calls the tool.
    #[must_use]
    pub fn header_params(&self, scope: &Scope, tool: &str) -> Option<Arc<HeaderParams>> {
        let (server, own) = match scope {
            Scope::Server(name) => (Arc::from(&**name), Box::from(tool)),
            Scope::All | Scope::View(_) => self.owner(scope, ListKind::Tools, tool, Trust::KnownOnly).ok()?,
        };
        let (Known::Yes(list), _) = self.pool.server(&server)?.list(ListKind::Tools) else { return None };
        list.item(&own)?.header_params.clone()
    }

    /// How every server is doing, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ServerStatus> {
        self.pool.plan().servers.values().map(|server| server.status()).collect()
    }

    /// Holds a server back: its items are not shown and it is not called, until it is let go with `None`. False when there
    /// is no such server.
    pub fn quarantine(&self, server: &str, why: Option<String>) -> bool {
        let Some(found) = self.pool.server(server) else { return false };
        found.set_quarantine(why);
        self.pool.touch();
        self.pool.bus.everything_changed();
        true
    }

    /// True when the scope exists.
    #[must_use]
    pub fn has(&self, scope: &Scope) -> bool {
        let plan = self.pool.plan();
        match scope {
            Scope::All => true,
            Scope::Server(name) => plan.servers.contains_key(&**name),
            Scope::View(name) => plan.views.contains_key(name),
        }
    }

    fn no_server(&self, name: &str) -> cella_transport::Fault {
        faults::unknown_server(name, self.pool.plan().servers.keys().map(|n| &**n))
    }
}

impl CurrentPlan {
    /// The servers of which a scope may show something, in the order of their names.
    pub(crate) fn concerned<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Arc<Server>> {
        let view = match scope {
            Scope::View(name) => self.views.get(name),
            Scope::All | Scope::Server(_) => None,
        };
        self.servers.values().filter(move |server| match scope {
            Scope::All => true,
            Scope::Server(name) => server.name() == &**name,
            Scope::View(_) => view.is_some_and(|view| view.concerns(server.name())),
        })
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("servers", &self.pool.plan().servers.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
