//! Getting lists: one fetch per list at a time, whoever asks and however often.

use std::{collections::HashSet, sync::Arc, time::Duration};

use cella_mcp::{ListKind, ListPage, Object, RpcError, codes, member, own_client_capabilities, with_cursor};
use cella_transport::{Answer, Call, Caller, Failure, Fault, Scope, Step};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Pool, Server,
    lists::{FETCH_GAP, Known, News},
    server::{Decision, offers},
    slot::Slot,
};
use crate::{InstanceKey, Problem, ServerList, Upstream, faults, kind::change_of};

/// Most pages of one list that are fetched. Stops a server that always gives a next cursor; its list counts as not given.
pub(crate) const PAGES_MAX: usize = 500;
/// Most bytes of one list, after which no further page is fetched. Stops a server from filling memory; its list counts as
/// not given.
pub(crate) const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time for all pages of one list.
const LIST_TIME_MAX: Duration = Duration::from_secs(60);

/// What has to be done for a list.
enum Need {
    /// Nothing: it is there and fresh, or it will not come.
    Nothing,
    /// Wait for it, at most until then.
    Wait(Instant),
    /// Ask the server, and wait at most until then.
    Fetch(Instant),
    /// Start the server, and wait at most until then.
    Start(Instant),
}

impl Pool {
    /// Makes the list known, starting the server when it must be asked: returns when it is known, when the server is known
    /// to be bad, or when it has had its time.
    pub(crate) async fn make_known(
        self: &Arc<Self>,
        server: &Arc<Server>,
        kind: ListKind,
        patience: Duration,
    ) {
        let mut changes = server.changes();
        let mut deadline = self.begin_known(server, kind, patience);
        while let Some(at) = deadline {
            if timeout_at(at, changes.changed()).await.is_err() {
                return;
            }
            deadline = match self.need(server, kind, patience) {
                Need::Wait(at) => Some(at),
                Need::Fetch(at) => {
                    self.fetch(server, kind);
                    Some(at)
                }
                // what was started is not started again: a start that failed must not become a loop
                Need::Start(_) | Need::Nothing => None,
            };
        }
    }

    /// Begins what [`Pool::make_known`] waits for; until when to wait, if at all.
    pub(crate) fn begin_known(
        self: &Arc<Self>,
        server: &Arc<Server>,
        kind: ListKind,
        patience: Duration,
    ) -> Option<Instant> {
        let deadline = match self.need(server, kind, patience) {
            Need::Nothing => return None,
            Need::Wait(at) => at,
            Need::Fetch(at) => {
                self.fetch(server, kind);
                at
            }
            Need::Start(at) => {
                self.start_for_lists(server, patience);
                at
            }
        };
        (deadline > Instant::now()).then_some(deadline)
    }

    fn need(&self, server: &Server, kind: ListKind, patience: Duration) -> Need {
        let now = Instant::now();
        let refresh = self.options.refresh_wait;
        let state = server.lock();
        let list = state.lists.of(kind);
        let (ready, retry) = (state.any_lister(), list.may_retry(now));
        if !matches!(list.known, Known::No) {
            let announced = state.facts.as_ref().is_some_and(|f| announces(&f.capabilities, kind));
            return match list.fetching {
                _ if !ready || !list.is_stale(announced, now) => Need::Nothing,
                Some(since) => Need::Wait(since + refresh),
                None if retry => Need::Fetch(now + refresh),
                None => Need::Nothing,
            };
        }
        // who failed and has not worked since is tried again, but not waited for; patience counts from its start, so that
        // who is slow for good is waited for once
        let bad = state.is_known_bad();
        let bounded = |until: Instant| if bad { now } else { until };
        let coming = state.listers().filter(|slot| slot.is_starting() || slot.upstream().is_some());
        let promised = coming.map(|slot| slot.began + slot.patience.max(patience)).max();
        let starting = state.listers().any(|slot| slot.is_starting());
        match (list.fetching, promised) {
            (Some(since), Some(until)) => Need::Wait(bounded(until.max(since + refresh))),
            (None, Some(until)) if starting => Need::Wait(bounded(until)),
            (None, Some(until)) if ready && list.failed.is_none() => {
                Need::Fetch(bounded(until.max(now + refresh)))
            }
            (None, Some(_)) if ready && retry => Need::Fetch(now + refresh),
            (_, None) if !ready => Need::Start(bounded(now + patience)),
            _ => Need::Nothing,
        }
    }

    /// Starts the instance that answers lists, when it may be started.
    pub(super) fn start_for_lists(self: &Arc<Self>, server: &Arc<Server>, patience: Duration) {
        if self.is_closing() {
            return;
        }
        if let Decision::Start(slot) = server.decide(&InstanceKey::Shared, Instant::now(), patience) {
            self.start(server, &slot);
        }
    }

    /// An instance has just connected: asks for every list that it may have changed.
    pub(super) fn learn(self: &Arc<Self>, server: &Arc<Server>, slot: &Slot) {
        let Some(upstream) = slot.upstream() else { return };
        let (known, live) = server.list(ListKind::Tools);
        if let Known::Yes(tools) = &known {
            upstream.learn(tools);
        }
        if slot.key != InstanceKey::Shared && (live || server.keeps_clients_apart()) {
            // instances of one server list the same; what changes, the server tells. Of clients who are kept apart by
            // contract none may see what an instance of another one lists.
            return;
        }
        let facts = upstream.facts();
        for kind in ListKind::ALL {
            if offers(&facts, kind) {
                self.fetch(server, kind);
            } else {
                self.arrived(server, kind, Ok(Known::Absent));
            }
        }
    }

    /// Fetches a list in the background; when it is being fetched already, once more after that.
    pub(super) fn fetch(self: &Arc<Self>, server: &Arc<Server>, kind: ListKind) {
        {
            let mut state = server.lock();
            let list = state.lists.of_mut(kind);
            if list.fetching.is_some() {
                list.again = true;
                return;
            }
            list.fetching = Some(Instant::now());
        }
        let (pool, server) = (self.clone(), server.clone());
        self.spawn(async move {
            let _also_when_it_panics = Fetching { server: server.clone(), kind };
            loop {
                let fetched = pool.fetch_now(&server, kind).await;
                pool.arrived(&server, kind, fetched);
                if server.lock().lists.of_mut(kind).is_done() {
                    break;
                }
                pool.pause(FETCH_GAP).await;
            }
            server.notify();
            pool.save_if_settled(&server);
        });
    }

    async fn fetch_now(&self, server: &Server, kind: ListKind) -> Result<Known, Fault> {
        let Some(entered) = server.any_entered() else {
            return Err(faults::no_list(server.name(), kind.method(), "it is not running"));
        };
        let page_time = self.options.list_timeout;
        let fetched = timeout(LIST_TIME_MAX, fetch_pages(&*entered.upstream, server.name(), kind, page_time));
        let fetched = fetched.await;
        let fetched = fetched
            .unwrap_or_else(|_| Err(faults::list_timed_out(server.name(), kind.method(), LIST_TIME_MAX)));
        if let (ListKind::Tools, Ok(Known::Yes(list))) = (kind, &fetched) {
            server.teach(list);
        }
        fetched
    }

    /// Takes the outcome of a fetch and tells whom it concerns.
    fn arrived(self: &Arc<Self>, server: &Arc<Server>, kind: ListKind, fetched: Result<Known, Fault>) {
        let now = Instant::now();
        let (news, retry) = {
            let mut state = server.lock();
            match fetched {
                Ok(known) => {
                    let news = state.lists.of_mut(kind).arrived(known, now);
                    state.unsaved |= news != News::Nothing;
                    (Some(news), None)
                }
                Err(fault) => {
                    tracing::warn!(server = server.name(), list = kind.method(), %fault, "list not fetched");
                    let list = state.lists.of_mut(kind);
                    list.did_not_arrive(Problem::of(&fault), now);
                    // the first failure is told: whoever hears of it asks, and learns that the list is an old one
                    let told = list.announced && list.failures == 1;
                    (told.then_some(News::Changed), list.arrange_retry())
                }
            }
        };
        if let Some(pause) = retry {
            self.fetch_later(server, kind, pause);
        }
        if news != Some(News::Nothing) {
            self.touch();
        }
        if news == Some(News::Changed) {
            self.bus.changed(&self.plan(), server.name(), &change_of(kind));
        }
        server.notify();
    }

    /// Fetches a list again after a pause, unless it is there by then or nobody runs who could be asked: whoever starts
    /// the server next asks for all lists anyway.
    fn fetch_later(self: &Arc<Self>, server: &Arc<Server>, kind: ListKind, pause: Duration) {
        let (pool, server) = (self.clone(), server.clone());
        self.spawn(async move {
            pool.pause(pause).await;
            let due = {
                let mut state = server.lock();
                let list = state.lists.of_mut(kind);
                list.retrying = false;
                let due = list.announced && list.failed.is_some();
                due && state.any_lister() && !pool.is_closing()
            };
            if due {
                pool.fetch(&server, kind);
            }
        });
    }

    fn save_if_settled(&self, server: &Arc<Server>) {
        let due = {
            let state = server.lock();
            state.unsaved && state.lists.iter().all(|list| list.fetching.is_none())
        };
        if due {
            self.save(server);
        }
    }
}

impl Server {
    /// Every instance is told which tools there are.
    fn teach(&self, tools: &ServerList) {
        let upstreams: Vec<_> = self.lock().slots.values().filter_map(|slot| slot.upstream()).collect();
        upstreams.iter().for_each(|upstream| upstream.learn(tools));
    }
}

/// Ends a fetch whose task panics: the list can be fetched again.
struct Fetching {
    server: Arc<Server>,
    kind: ListKind,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.server.lock().lists.of_mut(self.kind).fetching = None;
            self.server.notify();
        }
    }
}

// === free functions ===

/// True when the server says that it tells of changes of the list.
fn announces(capabilities: &serde_json::value::RawValue, kind: ListKind) -> bool {
    let of_kind = member(capabilities, kind.capability()).and_then(Object::parse);
    of_kind.and_then(|o| o.get_bool("listChanged")).unwrap_or(false)
}

async fn fetch_pages(
    upstream: &dyn Upstream,
    server: &str,
    kind: ListKind,
    page_time: Duration,
) -> Result<Known, Fault> {
    let caller = Arc::new(Caller { capabilities: own_client_capabilities(), ..Caller::cella() });
    let garbage = |why: &str| faults::no_list(server, kind.method(), why);
    let mut pages = Vec::new();
    let mut cursor: Option<Box<str>> = None;
    let mut cursors = HashSet::new();
    let mut bytes = 0;
    loop {
        let call = Call {
            scope: Scope::Server(server.into()),
            id: None,
            method: kind.method().into(),
            params: cursor.as_deref().map(|c| with_cursor(None, Some(c))),
            caller: caller.clone(),
            param_headers: Vec::new(),
            own_headers: Vec::new(),
        };
        let answer = timeout(page_time, finish(upstream, &call)).await;
        let answer = answer.map_err(|_| faults::list_timed_out(server, kind.method(), page_time))?;
        let result = match answer.outcome {
            Ok(result) => result,
            Err(Failure::Peer(error)) if error.code == codes::METHOD_NOT_FOUND && pages.is_empty() => {
                return Ok(Known::Absent);
            }
            Err(Failure::Peer(error)) => return Err(garbage(&error.message)),
            Err(Failure::Fault(fault)) => return Err(fault),
        };
        let page = ListPage::parse(kind, &result).map_err(|e| garbage(&e.to_string()))?;
        bytes += result.get().len();
        pages.push((cursor, result, answer.era));
        // a list that is cut would look complete
        let Some(next) = page.next_cursor else { break };
        if pages.len() >= PAGES_MAX {
            return Err(garbage(&format!("it has more than {PAGES_MAX} pages")));
        }
        if bytes > LIST_BYTES_MAX {
            return Err(garbage("it is larger than Cella keeps"));
        }
        if !cursors.insert(next.clone()) {
            return Err(garbage("it goes in a circle: a cursor came back"));
        }
        cursor = Some(next);
    }
    ServerList::read(kind, pages).map(|list| Known::Yes(Arc::new(list))).map_err(|e| garbage(&e.to_string()))
}

/// Performs a call of our own: nobody is there to hear progress or to answer questions.
async fn finish(upstream: &dyn Upstream, call: &Call) -> Answer {
    let mut exchange = upstream.call(call).await;
    loop {
        match exchange.next().await {
            Step::Done(answer) => return answer,
            Step::Notify(_) => {}
            Step::Ask(ask) => {
                let refusal = RpcError {
                    code: codes::METHOD_NOT_FOUND,
                    message: "Cella asks on its own account; there is no user to ask".into(),
                    data: None,
                };
                exchange.answer(ask.key, Err(refusal));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::changed_by;

    #[test]
    fn every_change_concerns_a_list_that_tells_of_it() {
        for kind in ListKind::ALL {
            assert!(changed_by(&change_of(kind)).contains(&kind));
        }
    }
}
