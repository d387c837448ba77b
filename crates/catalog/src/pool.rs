//! Which process answers for a server? One entry per configured server, instances under it, started when needed, stopped
//! when idle, restarted after a failure; nothing that one server does can hold up another.
//!
//! Locks here are held for a few assignments, never across an await.

mod call;
mod fetch;
mod instance;
mod lists;
mod server;
mod slot;
mod subscribe;
mod tasks;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

pub(crate) use lists::Known;
pub(crate) use server::Server;

use crate::{
    BoxFuture, CatalogPlan, InstanceKey, Launch, LaunchError, Launched, ListKey, Options, ServerPlan, View,
    bus::Bus, followups::Followups, store::Stored, task_watch::TaskWatches,
};

/// How often a retired server is looked at until its last call is over.
const DRAIN_CHECK: Duration = Duration::from_millis(50);

/// The servers of a catalogue.
pub(crate) struct Pool {
    pub(crate) options: Options,
    pub(crate) bus: Bus,
    pub(crate) followups: Followups,
    pub(crate) task_watches: TaskWatches,
    launcher: Box<dyn AnyLaunch>,
    plan: RwLock<Arc<CurrentPlan>>,
    generation: AtomicU64,
    tasks: tasks::Tasks,
}

/// What is offered at present.
#[derive(Default)]
pub(crate) struct CurrentPlan {
    pub(crate) servers: BTreeMap<Arc<str>, Arc<Server>>,
    pub(crate) views: BTreeMap<Box<str>, Arc<View>>,
}

/// [`Launch`] behind a pointer, so that the pool is compiled once.
trait AnyLaunch: Send + Sync {
    fn launch<'a>(
        &'a self,
        server: &'a ServerPlan,
        key: &'a InstanceKey,
    ) -> BoxFuture<'a, Result<Launched, LaunchError>>;
}

impl<L: Launch> AnyLaunch for L {
    fn launch<'a>(
        &'a self,
        server: &'a ServerPlan,
        key: &'a InstanceKey,
    ) -> BoxFuture<'a, Result<Launched, LaunchError>> {
        Box::pin(Launch::launch(self, server, key))
    }
}

// === impl Pool ===

impl Pool {
    pub(crate) fn new(launcher: impl Launch, options: Options) -> Self {
        Self {
            options,
            bus: Bus::default(),
            followups: Followups::default(),
            task_watches: TaskWatches::default(),
            launcher: Box::new(launcher),
            plan: RwLock::default(),
            generation: AtomicU64::new(0),
            tasks: tasks::Tasks::default(),
        }
    }

    /// What is offered right now; a snapshot that later changes do not touch.
    pub(crate) fn plan(&self) -> Arc<CurrentPlan> {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn server(&self, name: &str) -> Option<Arc<Server>> {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).servers.get(name).cloned()
    }

    /// Grows whenever a list, or what must be said beside it, may have become another.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn touch(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Replaces the plan. Servers whose digest and limits did not change keep their state and their processes.
    pub(crate) fn apply(self: &Arc<Self>, plan: CatalogPlan) {
        let old = self.plan();
        let mut next = CurrentPlan { servers: BTreeMap::new(), views: plan.views };
        for (name, wanted) in plan.servers {
            let server = match old.servers.get(&name) {
                Some(server) if *server.plan == *wanted => server.clone(),
                _ => Arc::new(Server::new(wanted.clone(), self.stored(&wanted))),
            };
            next.servers.insert(name, server);
        }
        let gone: Vec<Arc<Server>> = old
            .servers
            .values()
            .filter(|s| !next.servers.get(&s.plan.name).is_some_and(|n| Arc::ptr_eq(n, s)))
            .cloned()
            .collect();
        let same_views = old.views == next.views;
        let same_servers = gone.is_empty() && old.servers.len() == next.servers.len();
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        let fresh = self
            .plan()
            .servers
            .values()
            .filter(|s| s.plan.eager && !s.was_started())
            .cloned()
            .collect::<Vec<_>>();
        for server in fresh {
            self.start_for_lists(&server, self.options.first_list_wait);
        }
        for server in gone {
            self.retire(server);
        }
        // who watched a server watches the one that takes its place
        for server in
            self.plan().servers.values().filter(|s| !old.servers.values().any(|o| Arc::ptr_eq(o, s)))
        {
            self.inherit_watched(server);
        }
        self.touch();
        if !(same_servers && same_views) {
            self.bus.everything_changed();
        }
    }

    /// Stops everything and waits for it; false when something was still running at the end of `within`.
    pub(crate) async fn shutdown(&self, within: Duration) -> bool {
        self.tasks.close();
        for server in self.plan().servers.values() {
            server.retire();
            server.stop_all();
        }
        tokio::time::timeout(within, self.tasks.idle()).await.is_ok()
    }

    /// Runs a task that [`Pool::shutdown`] waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn is_closing(&self) -> bool {
        self.tasks.is_closed()
    }

    /// Lets calls in progress finish for a while, then stops the instances.
    fn retire(self: &Arc<Self>, server: Arc<Server>) {
        server.retire();
        let pool = self.clone();
        self.spawn(async move {
            let until = Instant::now() + pool.options.drain;
            while server.in_flight() > 0 && Instant::now() < until && !pool.is_closing() {
                pool.pause(DRAIN_CHECK).await;
            }
            server.stop_all();
        });
    }

    /// Runs something until it is done or the pool is being shut down.
    pub(crate) async fn until_closing(&self, something: impl Future<Output = ()>) {
        tokio::select! {
            () = something => {}
            () = self.tasks.closing() => {}
        }
    }

    /// Sleeps, but not into a shutdown.
    async fn pause(&self, time: Duration) {
        self.until_closing(sleep(time)).await;
    }

    fn stored(&self, plan: &ServerPlan) -> Stored {
        let key = ListKey { server: plan.name.clone(), digest: plan.digest };
        let bytes = self.options.store.as_ref().and_then(|store| store.load(&key));
        bytes.and_then(|bytes| Stored::from_bytes(&bytes)).unwrap_or_default()
    }

    /// Writes down what is known of a server, in the background.
    fn save(&self, server: &Arc<Server>) {
        let (Some(store), Some(bytes)) = (self.options.store.clone(), server.stored().to_bytes()) else {
            return;
        };
        let key = ListKey { server: server.plan.name.clone(), digest: server.plan.digest };
        self.spawn(async move {
            let saved = tokio::task::spawn_blocking(move || store.save(&key, &bytes)).await;
            if let Err(error) = saved {
                tracing::warn!(%error, "a list could not be stored");
            }
        });
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
