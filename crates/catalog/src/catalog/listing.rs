//! Answering `*/list`.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use cella_mcp::{ListKind, cursor};
use cella_transport::{Answer, Call, Caller, Exchange, Failure, Scope};

use super::{Catalog, Route, status};
use crate::{
    Missing, faults,
    merge::{Ingredients, Merged, Part},
    pool::{CurrentPlan, Server},
};

/// A merged list and the state of the catalogue that it shows.
pub(super) struct Cached {
    generation: u64,
    list: Arc<Merged>,
}

impl Catalog {
    /// Answers a list request: from memory, where the lists are known.
    ///
    /// Servers whose list is not known are started and waited for, within [`Options`](crate::Options); of those that do not
    /// come in time the result says in its `_meta` that they are missing.
    pub async fn list(&self, kind: ListKind, call: Call) -> Exchange {
        let plan = self.pool.plan();
        match call.scope.clone() {
            Scope::Server(name) => match plan.servers.get(&*name) {
                Some(server) => self.list_of_server(server, kind, call).await,
                None => Exchange::fault(self.no_server(&name)),
            },
            Scope::View(name) if !plan.views.contains_key(&name) => {
                Exchange::fault(faults::unknown_view(&name, plan.views.keys().map(|n| &**n)))
            }
            scope @ (Scope::All | Scope::View(_)) => {
                let servers: Vec<&Arc<Server>> = plan.concerned(&scope).collect();
                self.settle(&servers, kind, self.patience(&scope, &servers)).await;
                self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.clone());
                let list = self.merged(&scope, kind);
                // a client may keep it as long as the first of its parts is fresh, counted from when we got that
                let left = servers.iter().filter_map(|server| server.fresh_for(kind)).min();
                let page = list.page_aged(cursor(call.params.as_deref()).as_deref(), left);
                let outcome = page.map_err(|_| Failure::Fault(faults::stale_cursor()));
                Exchange::ready(Answer::own(outcome))
            }
        }
    }

    /// How long a list waits for servers that are starting. Long for a client that starts with nothing; short once a list
    /// was there, from this life of the node or an earlier one: then nobody waits for the one that is missing.
    fn patience(&self, scope: &Scope, servers: &[&Arc<Server>]) -> Duration {
        let options = &self.pool.options;
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(scope);
        let short = settled || servers.iter().any(|server| server.was_stored);
        if short { options.refresh_wait } else { options.first_list_wait }
    }

    /// Waits until the lists of all these servers are known, or are known not to come.
    pub(super) async fn settle(&self, servers: &[&Arc<Server>], kind: ListKind, patience: Duration) {
        // first all are started, then all are waited for: the slowest counts, not the sum
        let begun = servers.iter().filter(|server| self.pool.begin_known(server, kind, patience).is_some());
        for server in begun.collect::<Vec<_>>() {
            self.pool.make_known(server, kind, patience).await;
        }
    }

    /// The merged list of a scope as it is known now.
    pub(super) fn merged(&self, scope: &Scope, kind: ListKind) -> Arc<Merged> {
        let generation = self.pool.generation();
        let key = (scope.clone(), kind);
        {
            let cache = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(cached) = cache.get(&key).filter(|cached| cached.generation == generation) {
                return cached.list.clone();
            }
        }
        let plan = self.pool.plan();
        let list = Arc::new(merge(&plan, scope, kind));
        let mut cache = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        // views come and go with the configuration; what is left over from an old one goes too
        cache.retain(|(scope, _), _| match scope {
            Scope::View(name) => plan.views.contains_key(name),
            Scope::All | Scope::Server(_) => true,
        });
        cache.insert(key, Cached { generation, list: list.clone() });
        list
    }

    /// The server's own pages, byte for byte. What is not known the server is asked for by the client's own request.
    async fn list_of_server(&self, server: &Arc<Server>, kind: ListKind, call: Call) -> Exchange {
        self.settle(&[server], kind, self.pool.options.first_list_wait).await;
        let shown = server.show(kind);
        let at = cursor(call.params.as_deref());
        if let Some(page) = shown.list.as_ref().and_then(|list| list.page(at.as_deref())) {
            let result = page.aged(server.fresh_for(kind));
            return Exchange::ready(Answer { era: page.era, outcome: Ok(result) });
        }
        let route = Route::unchanged(server.plan.name.clone(), &call);
        self.call(route, call).await
    }
}

fn merge(plan: &CurrentPlan, scope: &Scope, kind: ListKind) -> Merged {
    let mut parts: Vec<Part> = Vec::new();
    let mut missing: Vec<Missing> = Vec::new();
    for server in plan.concerned(scope) {
        let shown = server.show(kind);
        parts.extend(shown.list.map(|list| Part { server: server.plan.name.clone(), list }));
        missing.extend(shown.missing);
    }
    let view = match scope {
        Scope::View(name) => plan.views.get(name).cloned(),
        Scope::All | Scope::Server(_) => None,
    };
    let own = if kind == ListKind::Resources { vec![status::resource()] } else { Vec::new() };
    let era = Caller::cella().era();
    Merged::new(&Ingredients {
        kind,
        era,
        parts: &parts,
        view: view.as_deref(),
        own: &own,
        missing: &missing,
    })
}
