//! The life of one instance, from launch to the end of its process: one task each.

use std::{future::pending, sync::Arc, time::Duration};

use cella_link::LinkEvent;
use cella_transport::{Change, Fault};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Pool, Server,
    server::End,
    slot::{Phase, Slot},
};
use crate::{BoxFuture, Connected, InstanceKey, LaunchError, Upstream, faults, kind::changed_by};

/// An instance of one client that nobody used for so long is stopped: the stateless wire does not say that a client left.
const CLIENT_IDLE_STOP: Duration = Duration::from_secs(300);
/// Longest time for a connection to say goodbye before its process is stopped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the process of a connection that broke is given to end by itself, so that its exit status is known.
const EXIT_GRACE: Duration = Duration::from_millis(100);

impl Pool {
    /// Runs an instance whose place was taken by [`Server::decide`].
    pub(super) fn start(self: &Arc<Self>, server: &Arc<Server>, slot: &Arc<Slot>) {
        self.touch();
        let (pool, server, slot) = (self.clone(), server.clone(), slot.clone());
        self.spawn(async move {
            let ending = Ending { pool: pool.clone(), server: server.clone(), slot: slot.clone(), end: None };
            let end = pool.live(&server, &slot).await;
            ending.with(end);
        });
    }

    async fn live(self: &Arc<Self>, server: &Arc<Server>, slot: &Arc<Slot>) -> End {
        let connected = tokio::select! {
            connected = self.open(server, slot) => connected,
            () = slot.stop_asked() => Err(None),
        };
        let end = match connected {
            Ok(Connected { upstream, events }) => {
                if server.takes_turns() {
                    upstream.take_turns();
                }
                server.connected(slot, Phase::Ready(upstream.clone()), upstream.facts());
                self.touch();
                tracing::info!(server = server.name(), key = ?slot.key, "connected");
                let end = self.serve(server, slot, &upstream, events).await;
                let _bounded = timeout(CLOSE_TIMEOUT, upstream.close()).await;
                end
            }
            Err(None) => End::Stopped,
            Err(Some(fault)) => End::NotStarted(fault),
        };
        self.bury(server, slot, end).await
    }

    /// Launches and connects. On failure the process, if there is one, is still in the slot.
    async fn open(&self, server: &Server, slot: &Slot) -> Result<Connected, Option<Fault>> {
        let limit = server.plan.start_timeout;
        let opened = timeout(limit, async {
            let launched = self.launcher.launch(&server.plan, &slot.key).await?;
            slot.put_guard(launched.guard);
            launched.connect.await
        });
        match opened.await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(Some(error.into())),
            Err(_) => Err(Some(faults::start_timed_out(server.name(), limit))),
        }
    }

    /// Listens to the instance until it ends or must end.
    async fn serve(
        self: &Arc<Self>,
        server: &Arc<Server>,
        slot: &Arc<Slot>,
        upstream: &Arc<dyn Upstream>,
        mut events: mpsc::Receiver<LinkEvent>,
    ) -> End {
        slot.mark_used();
        self.learn(server, slot);
        self.tell_watched(server);
        upstream.watch_tasks(self.task_watches.listened_to(server.name(), &slot.key));
        let mut heard = Instant::now();
        let mut ping: Option<BoxFuture<'_, bool>> = None;
        loop {
            let next_look = self.next_look(server, slot, heard);
            tokio::select! {
                event = events.recv() => {
                    heard = Instant::now();
                    match self.heard(server, slot, event) {
                        Some(end) => return end,
                        None => continue,
                    }
                }
                () = slot.stop_asked() => return End::Stopped,
                alive = answer(&mut ping) => {
                    ping = None;
                    heard = Instant::now();
                    if !alive {
                        return End::Gone(faults::silent(server.name(), self.options.ping_timeout));
                    }
                }
                () = sleep_until(next_look), if ping.is_none() => {
                    if self.is_idle(server, slot) {
                        return End::Stopped;
                    }
                    if Instant::now() >= heard.max(slot.used_at()) + self.options.ping_after && slot.busy() == 0 {
                        let within = self.options.ping_timeout;
                        ping = Some(Box::pin(async move { timeout(within, upstream.alive()).await.unwrap_or(false) }));
                    }
                }
            }
        }
    }

    /// One event; `Some` when it was the last.
    fn heard(
        self: &Arc<Self>,
        server: &Arc<Server>,
        slot: &Arc<Slot>,
        event: Option<LinkEvent>,
    ) -> Option<End> {
        match event {
            Some(LinkEvent::ToolsChanged) => self.refetch(server, slot, &Change::Tools),
            Some(LinkEvent::PromptsChanged) => self.refetch(server, slot, &Change::Prompts),
            Some(LinkEvent::ResourcesChanged) => self.refetch(server, slot, &Change::Resources),
            Some(LinkEvent::ResourceUpdated { uri, params }) => {
                self.bus.updated(&self.plan(), server.name(), &slot.key, &uri, params.as_ref());
            }
            Some(LinkEvent::TakesTurns { method }) => {
                if server.set_takes_turns() {
                    tracing::info!(server = server.name(), %method, "asks within calls; clients take turns");
                    self.save(server);
                    self.touch();
                }
            }
            Some(LinkEvent::Ambiguous { method }) => {
                tracing::warn!(server = server.name(), %method, "asked without saying for which client");
                server.isolate();
                self.touch();
            }
            Some(LinkEvent::Log(note)) => {
                self.bus.logged(&self.plan(), server.name(), &slot.key, &note);
            }
            Some(LinkEvent::Other(note)) => {
                self.task_watches.told(&server.plan.name, &slot.key, &note);
                if let Some(client) = self.followups.client(server.name(), note.params.as_ref()) {
                    self.bus.told(&self.plan(), server.name(), &client, &note);
                }
            }
            Some(LinkEvent::AuthRequired(challenge)) => {
                server.wants_credentials(&faults::wants_credentials(server.name(), challenge.status));
                self.touch();
            }
            Some(LinkEvent::Renegotiated) => {
                if let Some(upstream) = slot.upstream() {
                    server.renegotiated(upstream.facts());
                    self.learn(server, slot);
                    self.touch();
                }
            }
            Some(LinkEvent::Closed(error)) => {
                let mut fault = Fault::from(error);
                fault.message = format!("{}: {}", server.name(), fault.message);
                return Some(End::Gone(fault));
            }
            None => return Some(End::Gone(faults::crashed(server.name(), "the connection was lost"))),
            Some(other) => tracing::debug!(server = server.name(), ?other, "not for anybody"),
        }
        None
    }

    /// The server says that a list changed. Clients are told once the new one is here, so that they do not read the old one
    /// again.
    fn refetch(self: &Arc<Self>, server: &Arc<Server>, slot: &Slot, change: &Change) {
        if server.keeps_clients_apart() && slot.key != InstanceKey::Shared {
            // the lists that clients see are those of the shared instance
            return;
        }
        for kind in changed_by(change) {
            server.lock().lists.of_mut(*kind).announced = true;
            self.fetch(server, *kind);
        }
    }

    /// Stops the process, if any, and says how it ended.
    async fn bury(&self, server: &Server, slot: &Slot, mut end: End) -> End {
        let Some(mut guard) = slot.take_guard() else { return end };
        if matches!(end, End::Gone(_)) && guard.pid().is_some() && guard.exit().is_none() {
            tokio::time::sleep(EXIT_GRACE).await;
        }
        let by_itself = guard.exit();
        guard.stop().await;
        slot.keep_last_words(guard.stderr_tail());
        if let (End::Gone(fault) | End::NotStarted(fault), Some(exit)) = (&mut end, by_itself) {
            fault.message = format!("{} ({exit})", fault.message);
        }
        tracing::info!(server = server.name(), key = ?slot.key, ?end, "ended");
        end
    }

    fn idle_limit(&self, server: &Server, slot: &Slot) -> Option<Duration> {
        match (server.plan.idle_stop, &slot.key) {
            (limit, InstanceKey::Shared) => limit,
            (limit, InstanceKey::Client { .. } | InstanceKey::Run { .. }) => {
                Some(limit.map_or(CLIENT_IDLE_STOP, |l| l.min(CLIENT_IDLE_STOP)))
            }
        }
    }

    fn is_idle(&self, server: &Server, slot: &Slot) -> bool {
        let Some(limit) = self.idle_limit(server, slot) else { return false };
        Instant::now().checked_sub(limit).is_some_and(|since| server.stop_if_idle(slot, since))
    }

    /// When to look again whether the instance is idle or silent.
    fn next_look(&self, server: &Server, slot: &Slot, heard: Instant) -> Instant {
        let now = Instant::now();
        let ping_at = heard.max(slot.used_at()) + self.options.ping_after;
        let idle_at = self.idle_limit(server, slot).map(|limit| slot.used_at() + limit);
        let at = idle_at.map_or(ping_at, |idle| idle.min(ping_at));
        // in use, or watched: due already, but not to be stopped; look again in a while
        if at <= now { now + LOOK_AGAIN } else { at }
    }
}

/// How soon an instance that could not be stopped although it was due is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Frees the place of an instance, also when its task panics.
struct Ending {
    pool: Arc<Pool>,
    server: Arc<Server>,
    slot: Arc<Slot>,
    end: Option<End>,
}

impl Ending {
    fn with(mut self, end: End) {
        self.end = Some(end);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let lost = || End::Gone(faults::crashed(self.server.name(), "the task that ran it failed"));
        let end = self.end.take().unwrap_or_else(lost);
        let by_itself = !matches!(end, End::Stopped);
        self.server.ended(&self.slot, &end, self.slot.last_words(), &self.pool.options);
        self.pool.touch();
        self.slot.set_phase(Phase::Over(match end {
            End::Stopped => None,
            End::NotStarted(fault) | End::Gone(fault) => Some(fault),
        }));
        if by_itself || self.slot.key == InstanceKey::Shared {
            // who watches its resources expects it to come back without being called; one that had to make room does not
            // come back to take the room of another
            self.pool.tell_watched(&self.server);
        }
    }
}

impl From<LaunchError> for Fault {
    fn from(error: LaunchError) -> Self {
        Self { kind: error.kind, code: error.code, message: error.message, fix: error.fix, in_doubt: false }
    }
}

async fn answer(ping: &mut Option<BoxFuture<'_, bool>>) -> bool {
    match ping {
        Some(ping) => ping.await,
        None => pending().await,
    }
}
