//! One configured server: its instances, its lists, and how it is doing.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use cella_contract::Isolation;
use cella_mcp::{ListKind, ServerFacts, member};
use cella_transport::Fault;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use super::{
    lists::{Known, ListState, Lists, Shown},
    now_ms,
    slot::{Entered, Phase, Slot},
};
use crate::{
    InstanceKey, Missing, Options, Problem, ServerPlan, ServerStatus, Stage, Status,
    backoff::{CRASH_LOOP_AFTER, Failures, HEALTHY_AFTER},
    bus::WatchedUris,
    faults,
    store::Stored,
};

/// Said in the status of a server whose clients take turns.
const TURNS_NOTE: &str = "it asks its clients without saying for which call, so calls of different clients take turns; \
    with isolation = \"client\" each client has a process of its own";
/// Said in the status of a server that mixed up its clients.
const AMBIGUOUS_NOTE: &str =
    "it asked a question without saying for which client; each client has an instance of its own now";

/// A configured server.
pub(crate) struct Server {
    pub(crate) plan: Arc<ServerPlan>,
    /// Something was known of it from an earlier life of the node.
    pub(crate) was_stored: bool,
    /// Free places for calls in progress.
    pub(super) places: Arc<Semaphore>,
    /// Calls that wait for a place.
    pub(super) waiting: AtomicUsize,
    /// Calls since the node started.
    pub(super) calls: AtomicU64,
    /// Grows with every change of `state` that somebody may wait for.
    changed: watch::Sender<u64>,
    state: Mutex<State>,
}

/// What changes in the life of a server.
pub(super) struct State {
    pub(super) slots: HashMap<InstanceKey, Arc<Slot>>,
    pub(super) lists: Lists,
    pub(super) facts: Option<Arc<ServerFacts>>,
    pub(super) failures: Failures,
    /// What somebody watches, as the bus knows it.
    pub(super) watched: WatchedUris,
    /// The server is being told what is watched.
    pub(super) telling: Telling,
    /// Something was learnt that is not stored yet.
    pub(super) unsaved: bool,
    isolation: Isolation,
    /// [`Server::keeps_clients_apart`]
    apart: bool,
    stage: Stage,
    status: Status,
    since_ms: u64,
    last_error: Option<Problem>,
    stderr: Vec<String>,
    quarantine: Option<String>,
    notes: BTreeSet<&'static str>,
    /// It asks within calls: where a question names no call, calls of different clients take turns.
    takes_turns: bool,
    retired: bool,
}

/// Whether a server is being told what is watched: one at a time, so that the last word is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// No.
    No,
    /// Yes.
    Yes,
    /// Yes, and since then something changed.
    Again,
}

/// What a caller who needs an instance has to do.
pub(super) enum Decision {
    /// Go ahead.
    Use(Entered),
    /// Wait until this one is ready, and ask again.
    Wait(Arc<Slot>),
    /// Wait until this one is gone, and ask again.
    WaitGone(Arc<Slot>),
    /// Run this one, then wait for it.
    Start(Arc<Slot>),
    /// A restart is not due yet; if the wait is too long, this is the answer.
    Pause(std::time::Duration, Fault),
    /// No.
    Refuse(Fault),
}

/// How an instance ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was stopped: idle, retired, or to make room.
    Stopped,
    /// It could not be started.
    NotStarted(Fault),
    /// It went by itself.
    Gone(Fault),
}

// === impl Server ===

impl Server {
    pub(super) fn new(plan: Arc<ServerPlan>, stored: Stored) -> Self {
        let mut lists = Lists::default();
        for list in stored.lists {
            let kind = list.kind;
            *lists.of_mut(kind) = ListState::stored(list);
        }
        if let Some(facts) = &stored.facts {
            for kind in ListKind::ALL.into_iter().filter(|kind| !offers(facts, *kind)) {
                lists.of_mut(kind).known = Known::Absent;
            }
        }
        let state = State {
            slots: HashMap::new(),
            stage: if stored.facts.is_some() { Stage::Known } else { Stage::Configured },
            facts: stored.facts,
            lists,
            failures: Failures::default(),
            watched: WatchedUris::new(),
            telling: Telling::No,
            unsaved: false,
            isolation: plan.isolation,
            apart: plan.isolation != Isolation::Shared,
            status: Status::NotTested,
            since_ms: now_ms(),
            last_error: None,
            stderr: Vec::new(),
            quarantine: None,
            notes: if stored.takes_turns { BTreeSet::from([TURNS_NOTE]) } else { BTreeSet::new() },
            takes_turns: stored.takes_turns,
            retired: false,
        };
        Self {
            was_stored: state.facts.is_some(),
            places: Arc::new(Semaphore::new(plan.calls_max.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            state: Mutex::new(state),
            plan,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.plan.name
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for a change.
    pub(super) fn notify(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.lock().isolation
    }

    /// Decides about one caller; a decision to start takes the place of the instance at once.
    /// `patience` is how long lists may wait for it.
    pub(super) fn decide(&self, key: &InstanceKey, now: Instant, patience: std::time::Duration) -> Decision {
        let mut state = self.lock();
        if let Some(fault) = state.refusal(self.name()) {
            return Decision::Refuse(fault);
        }
        if let Some(slot) = state.slots.get(key) {
            if slot.is_stopping() {
                return Decision::WaitGone(slot.clone());
            }
            return match slot.enter() {
                Some(entered) => Decision::Use(entered),
                None if slot.is_starting() => Decision::Wait(slot.clone()),
                None => Decision::WaitGone(slot.clone()),
            };
        }
        if let Some(wait) = state.failures.wait_from(now) {
            let last = state.last_error.as_ref().map_or("unknown", |p| p.message.as_str());
            return Decision::Pause(wait, faults::paused(self.name(), state.failures.in_a_row(), wait, last));
        }
        if state.slots.len() >= self.plan.instances_max {
            return match state.least_needed() {
                Some(slot) => {
                    slot.stop();
                    Decision::WaitGone(slot)
                }
                None => Decision::Refuse(faults::too_many_instances(self.name(), self.plan.instances_max)),
            };
        }
        let slot = Arc::new(Slot::new(key.clone(), now, patience));
        state.slots.insert(key.clone(), slot.clone());
        // a server that failed stays in error while it is tried again: nobody should have to look at the right moment
        if state.status == Status::NotTested {
            state.set_status(Status::Connecting);
        }
        Decision::Start(slot)
    }

    /// A connection that can be asked for lists; the shared instance where there is one.
    pub(super) fn any_entered(&self) -> Option<Entered> {
        let state = self.lock();
        let shared = state.slots.get(&InstanceKey::Shared).and_then(Slot::enter);
        shared.or_else(|| state.listers().find_map(Slot::enter))
    }

    /// True when the contract gives each client an instance of its own: then only the shared one, which no client calls,
    /// answers lists, because all clients are shown them.
    pub(super) fn keeps_clients_apart(&self) -> bool {
        self.plan.isolation != Isolation::Shared
    }

    /// An instance is through its handshake.
    pub(super) fn connected(&self, slot: &Slot, phase: Phase, facts: Arc<ServerFacts>) {
        let mut state = self.lock();
        state.stage = state.stage.max(Stage::Started);
        let status = if state.notes.contains(AMBIGUOUS_NOTE) { Status::Degraded } else { Status::Connected };
        state.set_status(status);
        state.unsaved = true;
        state.facts = Some(facts);
        // under the lock: who sees the instance ready also sees its facts
        slot.set_phase(phase);
        drop(state);
        self.notify();
    }

    /// True when the instance may be stopped for being idle; from then on nobody can enter it.
    pub(super) fn stop_if_idle(&self, slot: &Slot, since: Instant) -> bool {
        let state = self.lock();
        let needed = slot.busy() > 0 || slot.used_at() > since || state.watched.contains_key(&slot.key);
        if !needed {
            slot.stop();
        }
        !needed
    }

    /// The process of an instance is gone: frees its place and draws conclusions.
    pub(super) fn ended(&self, slot: &Arc<Slot>, end: &End, stderr: Vec<String>, options: &Options) {
        let mut state = self.lock();
        if state.slots.get(&slot.key).is_some_and(|s| Arc::ptr_eq(s, slot)) {
            state.slots.remove(&slot.key);
        }
        if !stderr.is_empty() {
            state.stderr = stderr;
        }
        if slot.has_answered() || slot.began.elapsed() >= HEALTHY_AFTER {
            state.failures.worked();
        }
        match end {
            End::Stopped if state.status == Status::Connecting => state.set_status(Status::NotTested),
            End::Stopped => {}
            End::NotStarted(fault) | End::Gone(fault) => {
                state.failures.failed(&options.backoff, Instant::now(), (options.random)());
                let status = state.status_after(end, fault);
                state.last_error = Some(Problem::of(fault));
                state.set_status(status);
            }
        }
        drop(state);
        self.notify();
    }

    /// It was negotiated with anew: it may be another server than before.
    pub(super) fn renegotiated(&self, facts: Arc<ServerFacts>) {
        let mut state = self.lock();
        state.facts = Some(facts);
        state.unsaved = true;
    }

    /// It wants credentials that it did not want before.
    pub(super) fn wants_credentials(&self, fault: &Fault) {
        let mut state = self.lock();
        state.last_error = Some(Problem::of(fault));
        state.set_status(Status::AuthRequired);
    }

    /// It was seen to ask within calls. True when that is news.
    pub(super) fn set_takes_turns(&self) -> bool {
        let mut state = self.lock();
        state.notes.insert(TURNS_NOTE);
        state.unsaved = true;
        !std::mem::replace(&mut state.takes_turns, true)
    }

    /// It was once seen to ask within calls.
    pub(super) fn takes_turns(&self) -> bool {
        self.lock().takes_turns
    }

    /// Each client gets an instance of its own from now on.
    pub(super) fn isolate(&self) {
        let mut state = self.lock();
        if state.isolation == Isolation::Shared {
            state.isolation = Isolation::Client;
            state.notes.insert(AMBIGUOUS_NOTE);
            if state.status == Status::Connected {
                state.set_status(Status::Degraded);
            }
        }
    }

    /// A client's call was answered.
    pub(super) fn invoked(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
            self.lock().stage = Stage::Invoked;
        }
    }

    /// Holds the server back, or lets it go.
    pub(crate) fn set_quarantine(&self, why: Option<String>) {
        let mut state = self.lock();
        let status = match &why {
            Some(_) => Status::Quarantined,
            None if state.slots.values().any(|s| s.upstream().is_some()) => Status::Connected,
            None => Status::NotTested,
        };
        state.quarantine = why;
        state.set_status(status);
        drop(state);
        self.notify();
    }

    pub(super) fn retire(&self) {
        self.lock().retired = true;
        self.notify();
    }

    pub(super) fn stop_all(&self) {
        self.lock().slots.values().for_each(|slot| slot.stop());
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lock().slots.values().map(|slot| slot.busy()).sum()
    }

    pub(crate) fn facts(&self) -> Option<Arc<ServerFacts>> {
        self.lock().facts.clone()
    }

    pub(super) fn was_started(&self) -> bool {
        self.lock().stage >= Stage::Started
    }

    pub(crate) fn is_running(&self) -> bool {
        self.lock().slots.values().any(|slot| slot.upstream().is_some())
    }

    /// A list as it is known, and whether it was fetched since the node started.
    pub(crate) fn list(&self, kind: ListKind) -> (Known, bool) {
        let state = self.lock();
        let list = state.lists.of(kind);
        (list.known.clone(), list.is_live())
    }

    /// How long its list is still fresh, if the server gave it a time. A list from the store has used it up: nobody knows
    /// how old it is.
    pub(crate) fn fresh_for(&self, kind: ListKind) -> Option<std::time::Duration> {
        let state = self.lock();
        let list = state.lists.of(kind);
        let ttl = list.list()?.ttl?;
        Some(list.fetched.map_or(std::time::Duration::ZERO, |at| ttl.saturating_sub(at.elapsed())))
    }

    /// The server's part in a merged list that is about to be shown.
    pub(crate) fn show(&self, kind: ListKind) -> Shown {
        let mut state = self.lock();
        let (known, held) = (state.lists.of(kind).known.clone(), state.quarantine.is_some());
        let list = match &known {
            Known::Yes(list) if !held => Some(list.clone()),
            _ => None,
        };
        let trouble = matches!(state.status, Status::Error | Status::AuthRequired);
        let said = match known {
            Known::Absent => false,
            Known::No => true,
            Known::Yes(_) => held || trouble || state.lists.of(kind).problem.is_some(),
        };
        let missing = said.then(|| state.missing(self.name(), kind, list.is_some()));
        if list.is_none() {
            state.lists.of_mut(kind).shown_missing = said;
        }
        Shown { list, missing }
    }

    pub(crate) fn status(&self) -> ServerStatus {
        let state = self.lock();
        let slots: Vec<Arc<Slot>> = state.slots.values().cloned().collect();
        let tails = slots.iter().filter_map(|slot| slot.ask_guard(|g| g.stderr_tail()));
        let stderr =
            tails.max_by_key(Vec::len).filter(|t| !t.is_empty()).unwrap_or_else(|| state.stderr.clone());
        let count = |kind| state.lists.of(kind).count();
        let mut pids: Vec<u32> = slots.iter().filter_map(|s| s.ask_guard(|g| g.pid()).flatten()).collect();
        pids.sort_unstable();
        let spoken = slots.iter().find_map(|s| s.upstream()).map(|u| u.revision());
        let newest = spoken.or_else(|| state.facts.as_ref().and_then(|f| f.revisions.iter().max().copied()));
        let left_out =
            state.lists.iter().filter_map(ListState::list).flat_map(|l| l.left_out.iter().cloned());
        ServerStatus {
            name: self.name().into(),
            stage: state.stage,
            status: state.seen_status(),
            since_ms: state.since_ms,
            running: slots.iter().any(|s| s.upstream().is_some()),
            instances: slots.len(),
            pids,
            isolation: state.isolation.as_str(),
            revision: newest.map(|r| r.as_str()),
            tools: count(ListKind::Tools),
            prompts: count(ListKind::Prompts),
            resources: count(ListKind::Resources),
            templates: count(ListKind::ResourceTemplates),
            calls: self.calls.load(Ordering::Relaxed),
            in_flight: slots.iter().map(|slot| slot.busy()).sum(),
            restarts: state.failures.total(),
            last_error: state.last_problem().cloned(),
            stderr,
            left_out: left_out.collect(),
            notes: state.notes.iter().map(|n| (*n).to_owned()).chain(state.quarantine.clone()).collect(),
        }
    }

    /// What is worth storing.
    pub(super) fn stored(&self) -> Stored {
        let mut state = self.lock();
        state.unsaved = false;
        let lists = state.lists.iter().filter_map(ListState::list).cloned().collect();
        Stored { facts: state.facts.clone(), lists, takes_turns: state.takes_turns }
    }
}

// === impl State ===

impl State {
    fn set_status(&mut self, status: Status) {
        let held = self.quarantine.is_some() && status != Status::Quarantined;
        if self.status != status && !held {
            self.status = status;
            self.since_ms = now_ms();
        }
    }

    /// The status as people should see it: connected, but without a list that it offers, is not well.
    fn seen_status(&self) -> Status {
        let troubled = self.lists.iter().any(|list| list.problem.is_some());
        if self.status == Status::Connected && troubled { Status::Degraded } else { self.status }
    }

    /// What went wrong last, be it with the server or with a list.
    fn last_problem(&self) -> Option<&Problem> {
        let of_lists = self.lists.iter().filter_map(|list| list.problem.as_ref());
        self.last_error.as_ref().into_iter().chain(of_lists).max_by_key(|problem| problem.at_ms)
    }

    fn refusal(&self, name: &str) -> Option<Fault> {
        if self.retired {
            return Some(faults::unknown_server(name, []));
        }
        self.quarantine.as_ref().map(|why| faults::quarantined(name, why))
    }

    /// A crash after good work is no error yet: the next call repairs it.
    fn status_after(&self, end: &End, fault: &Fault) -> Status {
        match (end, fault.kind) {
            (_, cella_transport::FaultKind::AuthRequired) => Status::AuthRequired,
            (End::Gone(_), cella_transport::FaultKind::Crashed)
                if self.failures.in_a_row() < CRASH_LOOP_AFTER =>
            {
                Status::Degraded
            }
            _ => Status::Error,
        }
    }

    /// The instance nobody uses, for the longest time; it may be stopped to make room.
    fn least_needed(&self) -> Option<Arc<Slot>> {
        let unused = self.slots.values().filter(|slot| slot.busy() == 0 && !slot.is_starting());
        unused.min_by_key(|slot| (self.watched.contains_key(&slot.key), slot.used_at())).cloned()
    }

    /// True when it failed and has not worked since: nobody should wait for it.
    pub(super) fn is_known_bad(&self) -> bool {
        self.quarantine.is_some() || self.retired || (self.failures.in_a_row() > 0 && !self.any_ready())
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Instances that may be asked for lists.
    pub(super) fn listers(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.values().filter(|slot| !self.apart || slot.key == InstanceKey::Shared)
    }

    /// True when there is one.
    pub(super) fn any_lister(&self) -> bool {
        self.listers().any(|slot| slot.upstream().is_some())
    }

    pub(super) fn any_ready(&self) -> bool {
        self.slots.values().any(|slot| slot.upstream().is_some())
    }

    fn missing(&self, name: &str, kind: ListKind, last_known: bool) -> Missing {
        let of_list = self.lists.of(kind).problem.as_ref();
        let of_server = self.last_error.as_ref().filter(|_| self.status != Status::Connected);
        let problem = of_server.or(of_list);
        let error = match (&self.quarantine, problem) {
            (Some(why), _) => Some(why.clone()),
            (None, Some(problem)) => Some(format!("{}: {}", problem.code, problem.message)),
            (None, None) if self.status == Status::Connecting => Some("it is still starting".into()),
            (None, None) => None,
        };
        let fix = problem.and_then(|p| p.fix.clone());
        Missing { server: name.into(), status: self.seen_status(), error, fix, last_known }
    }
}

// === free functions ===

/// True when the server says that it has such a list.
pub(super) fn offers(facts: &ServerFacts, kind: ListKind) -> bool {
    member(&facts.capabilities, kind.capability()).is_some()
}

impl Problem {
    pub(crate) fn of(fault: &Fault) -> Self {
        Self { code: fault.code, message: fault.message.clone(), fix: fault.fix.clone(), at_ms: now_ms() }
    }
}
