//! Listening for changes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cella_mcp::{ListKind, Object, Target, TargetKind, member, offers};
use cella_transport::{Caller, Interest, Scope, TaskWatch, Watch};

use tokio::{sync::oneshot, time::timeout};

use super::{Catalog, owners};
use crate::{
    InstanceKey,
    bus::{URIS_MAX, Watched},
    pool::{CurrentPlan, Server},
    task_watch::Listening,
};

/// How long a client that subscribes waits until its servers know of it. Past it the client is told that it is subscribed
/// all the same: the servers are told when they have started.
const SETTLE_MAX: Duration = Duration::from_secs(1);

impl Catalog {
    /// Delivers changes until the watch is dropped. What the endpoint cannot tell of is not granted.
    #[must_use]
    pub fn watch(&self, scope: &Scope, caller: &Arc<Caller>, interest: &Interest) -> Watch {
        let plan = self.pool.plan();
        let watched = self.watchable(&plan, scope, caller, interest);
        let granted = Interest {
            tools: interest.tools && self.tells_of(scope, ListKind::Tools),
            prompts: interest.prompts && self.tells_of(scope, ListKind::Prompts),
            resources: interest.resources && self.tells_of(scope, ListKind::Resources),
            uris: watched.iter().map(|w| w.uri.to_string()).collect(),
        };
        let watched: Arc<[Watched]> = watched.into();
        let concerned: BTreeSet<Arc<str>> = watched.iter().map(|w| w.server.clone()).collect();
        let (mut watch, id, deliver) = self.pool.bus.watch(scope, caller, granted, watched.clone());
        self.pool.watched_changed(&watched);
        let settled = (!concerned.is_empty()).then(oneshot::channel::<()>);
        let pool = self.pool.clone();
        let told = settled.map(|(told, settled)| {
            watch.settled = Some(settled);
            told
        });
        self.pool.spawn(async move {
            let telling = async {
                let servers = concerned.iter().filter_map(|name| pool.server(name));
                if let Some(told) = told {
                    let _bounded = timeout(SETTLE_MAX, pool.all_told(servers.collect())).await;
                    let _nobody_waits = told.send(()).is_err();
                }
            };
            pool.until_closing(async { tokio::join!(deliver, telling).0 }).await;
            pool.bus.forget(id);
            pool.watched_changed(&watched);
        });
        watch
    }

    /// Delivers the states of those of these tasks that were given to the caller's principal, until the watch is dropped;
    /// `None` when there is none.
    #[must_use]
    pub fn watch_tasks(&self, scope: &Scope, caller: &Caller, ids: &[String]) -> Option<TaskWatch> {
        let pool = self.pool.clone();
        let (listening, deliver) = pool.task_watches.listen(&pool.plan(), scope, &caller.principal, ids)?;
        let Listening { id, watch, concerned } = listening;
        pool.listened_changed(&concerned);
        self.pool.spawn(async move {
            pool.until_closing(deliver).await;
            pool.task_watches.forget(id);
            pool.listened_changed(&concerned);
        });
        Some(watch)
    }

    /// Makes known which server owns resources that somebody wants to watch: lists that may name them are fetched first.
    pub async fn make_watchable(&self, scope: &Scope, uris: &[String]) {
        if matches!(scope, Scope::Server(_)) {
            return;
        }
        let plan = self.pool.plan();
        let unknown = |uri: &&String| owners::of_uri(&plan, scope, &self.links, uri).is_err();
        if let Some(uri) = uris.iter().take(URIS_MAX).find(unknown) {
            let target = Target { kind: TargetKind::Resource, name: uri.as_str().into() };
            self.learn(&plan, scope, &target).await;
        }
    }

    fn watchable(
        &self,
        plan: &CurrentPlan,
        scope: &Scope,
        caller: &Caller,
        interest: &Interest,
    ) -> Vec<Watched> {
        let owned = interest.uris.iter().take(URIS_MAX).filter_map(|uri| {
            let (server, own) = match scope {
                // its own names unchanged, whatever it lists
                Scope::Server(name) => (Arc::from(&**name), uri.as_str().into()),
                Scope::All | Scope::View(_) => owners::of_uri(plan, scope, &self.links, uri).ok()?,
            };
            let found = plan.servers.get(&server).filter(|s| tells_of_updates(s))?;
            // updates of an instance per run have nobody to go to: a watch names no run
            let key = InstanceKey::of(found.isolation(), caller, None)?;
            Some(Watched { uri: uri.as_str().into(), server, own, key })
        });
        owned.collect()
    }

    /// Cella compares lists itself, so it can tell of any list that there is.
    fn tells_of(&self, scope: &Scope, kind: ListKind) -> bool {
        self.facts(scope).is_some_and(|facts| offers(&facts.capabilities, kind.capability()))
    }
}

/// False when the server is known not to tell of updates.
fn tells_of_updates(server: &Server) -> bool {
    server.facts().is_none_or(|facts| {
        let resources = member(&facts.capabilities, "resources").and_then(Object::parse);
        resources.and_then(|r| r.get_bool("subscribe")).unwrap_or(false)
    })
}
