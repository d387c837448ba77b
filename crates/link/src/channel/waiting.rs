//! What waits on a channel until it is clear whose question would be whose: calls for their turn, answers for the turn
//! of their call, and questions for the end of other calls. Under the lock of the flights; [`super::usher`] acts on it.

use std::collections::{HashSet, VecDeque};

use cella_mcp::{Id, Raw, Request, RpcError};
use tokio::{sync::oneshot, time::Instant};

use super::{
    flights::{CallFlight, Flight, Flights, State},
    turns::{self, CANCELLED_LASTS, DIALOG_SILENT, Seen, TRIAL_LASTS, Whose},
};
use crate::{
    clock::Clock,
    error,
    limits::{CANCELLED_MAX, HELD_MAX, QUESTION_HELD, TRIED_MAX, TURNS_WAITING_MAX},
    options::Deadlines,
};
use cella_transport::{AskKey, Caller, Fault};

/// What waits, and what is known of the server.
#[derive(Debug)]
pub(super) struct Waiting {
    /// It was seen to ask within calls: calls of different parties take turns.
    pub(super) takes_turns: bool,
    /// Tools that have answered without asking.
    tried: HashSet<Box<str>>,
    /// The server has asked for directories once: servers do so at their start, whatever calls are in flight.
    pub(super) roots_asked: bool,
    line: VecDeque<Entry>,
    held: VecDeque<Held>,
    cancelled: VecDeque<Cancelled>,
    /// The server last showed that it works on anything.
    moved: Instant,
    ushered: bool,
}

/// Something that waits for its turn.
#[derive(Debug)]
enum Entry {
    Start(Box<Starting>),
    Reply { id: u64, key: AskKey, reply: Result<Raw, RpcError> },
}

#[derive(Debug)]
struct Starting {
    id: u64,
    flight: Box<CallFlight>,
    go: oneshot::Sender<Result<(), Fault>>,
    since: Instant,
}

/// A question whose call is not clear yet.
#[derive(Debug)]
struct Held {
    request: Request,
    since: Instant,
}

/// A call that was given up and may still run.
#[derive(Debug)]
struct Cancelled {
    id: u64,
    caller: std::sync::Arc<Caller>,
    until: Instant,
}

/// A first call of a tool: it is not known whether the tool asks.
#[derive(Debug)]
pub(super) struct Trial {
    tool: Box<str>,
    until: Instant,
}

/// How a call comes on board.
#[derive(Debug)]
pub(super) enum Boarding {
    /// At once. True when it is the only request in flight.
    Now(bool),
    /// When its turn comes; it is in flight from then on.
    Later(oneshot::Receiver<Result<(), Fault>>),
}

/// What has become possible.
#[derive(Debug)]
pub(super) enum Act {
    /// To decide about this question again.
    Ask(Request),
    /// To refuse this question: it will not become clear.
    Refuse(Request),
    /// To take this answer to the server.
    Carry(u64, AskKey, Result<Raw, RpcError>),
    /// To give up this call: its client is silent, and others wait.
    GiveUp(u64),
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            takes_turns: false,
            tried: HashSet::new(),
            roots_asked: false,
            line: VecDeque::new(),
            held: VecDeque::new(),
            cancelled: VecDeque::new(),
            moved: Instant::now(),
            ushered: false,
        }
    }
}

// === impl Flights ===

impl Flights {
    /// Enters a call of `tool` at once, or into the line. The path of servers that never ask is the first condition.
    pub(super) fn board(
        &mut self,
        id: u64,
        mut flight: Box<CallFlight>,
        tool: &str,
    ) -> Result<Boarding, Fault> {
        if (self.is_open() && self.is_tried(tool)) || flight.caller.is_cella() {
            return self.insert(id, Flight::Call(flight)).map(Boarding::Now);
        }
        let now = Instant::now();
        self.client_shows(&flight.caller, now);
        let passes = self.waiting.line.is_empty() || self.is_being_asked(&flight.caller);
        flight.trial = Some(Trial { tool: tool.into(), until: now + TRIAL_LASTS });
        if self.is_its_turn(id, &flight.caller, Some(tool), passes, now) {
            return self.insert(id, Flight::Call(flight)).map(Boarding::Now);
        }
        if let Some(down) = self.down() {
            return Err(down.fault(false));
        }
        if self.waiting.line.len() >= TURNS_WAITING_MAX {
            return Err(error::too_many_wait(TURNS_WAITING_MAX));
        }
        let (go, turn) = oneshot::channel();
        let starting = Starting { id, flight, go, since: now };
        self.waiting.line.push_back(Entry::Start(Box::new(starting)));
        Ok(Boarding::Later(turn))
    }

    /// Takes an answer to a question; gives it back when its call may run on at once.
    pub(super) fn reply_in_turn(
        &mut self,
        id: u64,
        key: AskKey,
        reply: Result<Raw, RpcError>,
    ) -> Option<Result<Raw, RpcError>> {
        let now = Instant::now();
        let caller = self.call_mut(id).map(|call| call.caller.clone());
        match caller {
            Some(caller) if !self.is_its_turn(id, &caller, None, true, now) => {
                self.waiting.line.push_back(Entry::Reply { id, key, reply });
                None
            }
            Some(_) => {
                // At once: before the lock is let go it must not look like one that rests.
                self.call_mut(id)?.wakes();
                Some(reply)
            }
            None => None,
        }
    }

    /// Keeps a question until it is clear whose it is; gives it back when too many are kept.
    pub(super) fn hold(&mut self, request: Request) -> Result<(), Request> {
        if self.waiting.held.len() >= HELD_MAX {
            return Err(request);
        }
        self.waiting.held.push_back(Held { request, since: Instant::now() });
        Ok(())
    }

    /// The server takes a question back that was put to nobody yet.
    pub(super) fn drop_held(&mut self, ask: &Id) {
        self.waiting.held.retain(|held| held.request.id != *ask);
    }

    /// True when somebody must look after what waits, and nobody does yet.
    pub(super) fn wants_usher(&mut self) -> bool {
        let waits = !self.waiting.line.is_empty() || !self.waiting.held.is_empty();
        waits && !std::mem::replace(&mut self.waiting.ushered, true)
    }

    /// The server works on something.
    pub(super) fn moved(&mut self) {
        if self.waiting.ushered {
            self.waiting.moved = Instant::now();
            self.news.notify_one();
        }
    }

    /// A first call of a tool was answered.
    pub(super) fn has_answered(&mut self, trial: Option<Trial>) {
        if let Some(Trial { tool, .. }) = trial.filter(|_| !self.waiting.takes_turns) {
            if self.waiting.tried.len() >= TRIED_MAX {
                self.waiting.tried.clear();
            }
            self.waiting.tried.insert(tool);
        }
    }

    /// A call was given up, and a server that asks may still ask for it.
    pub(super) fn lingers(&mut self, id: u64, caller: std::sync::Arc<Caller>) {
        let now = Instant::now();
        self.prune(now);
        if self.waiting.cancelled.len() >= CANCELLED_MAX {
            self.waiting.cancelled.pop_front();
        }
        self.waiting.cancelled.push_back(Cancelled { id, caller, until: now + CANCELLED_LASTS });
    }

    /// A cancelled call was answered all the same: it asks no more.
    pub(super) fn ended_late(&mut self, id: u64) {
        self.waiting.cancelled.retain(|call| call.id != id);
        self.moved();
    }

    /// Takes a call out of the line whose caller is gone.
    pub(super) fn leave_line(&mut self, id: u64) {
        self.waiting.line.retain(|entry| !matches!(entry, Entry::Start(start) if start.id == id));
    }

    /// Ends what waits; the channel is down.
    pub(super) fn clear_waiting(&mut self) {
        let down = self.down().map_or_else(|| error::link_closed(false), |down| down.fault(false));
        for entry in self.waiting.line.drain(..) {
            if let Entry::Start(start) = entry {
                let _gone = start.go.send(Err(down.clone())).is_err();
            }
        }
        self.waiting.held.clear();
        self.news.notify_one();
    }

    /// Whose question it is that comes now.
    pub(super) fn whose(&mut self) -> Whose {
        let now = Instant::now();
        self.prune(now);
        turns::whose(&self.seen(now).collect::<Vec<_>>())
    }

    /// Whose call a log message of a modern server belongs to: it logs only for calls that asked for it (2026-07-28,
    /// server/utilities/logging).
    pub(super) fn whose_log(&self) -> Whose {
        let seen = self.seen(Instant::now());
        turns::whose(&seen.filter(|call| call.caller.log_level.is_some()).collect::<Vec<_>>())
    }

    /// Lets pass what may, and says what else is to be done, and when to look again; `None` when nothing waits.
    pub(super) fn look(&mut self, limits: Deadlines) -> (Vec<Act>, Option<Instant>) {
        let now = Instant::now();
        self.prune(now);
        let mut acts = self.settle(now);
        acts.extend(self.abandoned(limits, now).map(Act::GiveUp));
        if !acts.is_empty() {
            return (acts, Some(now));
        }
        self.give_up_waiting(limits, now);
        self.promote(limits, now, &mut acts);
        if self.waiting.line.is_empty() && self.waiting.held.is_empty() && acts.is_empty() {
            self.waiting.ushered = false;
            return (acts, None);
        }
        let next = self.next_look(limits, now);
        (acts, Some(next))
    }

    /// True when calls do not take turns.
    fn is_open(&self) -> bool {
        !self.waiting.takes_turns && self.waiting.held.is_empty()
    }

    fn is_tried(&self, tool: &str) -> bool {
        self.waiting.tried.contains(tool)
    }

    /// Whether a call may run now; `tool` is that of a call which has not begun. A line is passed only by those on whom
    /// somebody ahead may be waiting: an answer, and a client that calls the same server to find its answer.
    fn is_its_turn(&self, id: u64, caller: &Caller, tool: Option<&str>, passes: bool, now: Instant) -> bool {
        if !self.is_open() {
            return passes && turns::may_run(caller, self.seen(now).filter(|call| call.id != Some(id)));
        }
        let others = self.calls().filter(|(other, call)| *other != id && call.is_in_trial(now));
        tool.is_none_or(|tool| {
            self.is_tried(tool) || turns::may_be_tried(caller, others.map(|(_, call)| &*call.caller))
        })
    }

    fn prune(&mut self, now: Instant) {
        // While a question is held it may be of any call that was in flight when it came.
        if self.waiting.held.is_empty() {
            self.waiting.cancelled.retain(|call| call.until > now);
        }
    }

    /// The calls that a question can be of.
    fn seen(&self, now: Instant) -> impl Iterator<Item = Seen<'_>> {
        let calls = self.calls().filter(|(_, call)| call.can_ask()).map(move |(id, call)| Seen {
            id: Some(id),
            caller: &call.caller,
            asks: call.is_asking(),
            rests: call.rests(now),
        });
        let cancelled = self.waiting.cancelled.iter();
        calls.chain(cancelled.map(|call| Seen { id: None, caller: &call.caller, asks: false, rests: false }))
    }

    fn is_being_asked(&self, caller: &Caller) -> bool {
        self.calls().any(|(_, call)| call.is_asking() && call.caller.principal == caller.principal)
    }

    /// What becomes of the questions that are held.
    fn settle(&mut self, now: Instant) -> Vec<Act> {
        if self.waiting.held.is_empty() {
            return Vec::new();
        }
        let seen: Vec<_> = self.seen(now).collect();
        if turns::whose(&seen) != Whose::Unclear {
            return self.waiting.held.drain(..).map(|held| Act::Ask(held.request)).collect();
        }
        // When every call in flight waits for an answer, none will end by itself.
        let in_flight = seen.iter().filter(|call| call.id.is_some()).count();
        let stuck = self.waiting.held.len() >= in_flight && !self.calls().any(|(_, call)| call.is_asking());
        let late = |held: &Held| held.since + QUESTION_HELD <= now;
        match self.waiting.held.front() {
            Some(oldest) if stuck || late(oldest) => {
                self.waiting.held.pop_front().map(|held| Act::Refuse(held.request)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// A client calls: it is there, for what it is asked as well. Clients without sessions cannot be told apart within a
    /// principal.
    fn client_shows(&mut self, caller: &Caller, now: Instant) {
        let its = |call: &CallFlight| {
            call.caller.principal == caller.principal && call.caller.session == caller.session
        };
        for call in self.calls_mut().filter(|call| call.is_asking() && its(call)) {
            call.client_seen = now;
        }
    }

    /// A call whose client is silent about a question while others wait for its end.
    fn abandoned(&self, limits: Deadlines, now: Instant) -> Option<u64> {
        let mut silent = self.seen(now).filter_map(|seen| Some((seen.id?, seen)));
        let found = silent.find(|(id, seen)| {
            let late = self.calls().any(|(other, call)| {
                other == *id && call.abandoned_at(limits).is_some_and(|abandoned| abandoned <= now)
            });
            late && self.waiting.line.iter().any(|entry| self.is_held_up(entry, *seen))
        });
        found.map(|(id, _)| id)
    }

    /// Whether it is this call that something in the line waits for.
    fn is_held_up(&self, entry: &Entry, by: Seen<'_>) -> bool {
        let caller = match entry {
            Entry::Start(start) if start.go.is_closed() => None,
            Entry::Start(start) => Some(&start.flight.caller),
            Entry::Reply { id, .. } => {
                self.calls().find(|(other, _)| other == id).map(|(_, call)| &call.caller)
            }
        };
        caller.is_some_and(|caller| !turns::may_run(caller, std::iter::once(by)))
    }

    /// Tells those whose turn did not come.
    fn give_up_waiting(&mut self, limits: Deadlines, now: Instant) {
        let (moved, mut rest) = (self.waiting.moved, VecDeque::new());
        for entry in self.waiting.line.drain(..) {
            match entry {
                Entry::Start(start) if start.go.is_closed() => {}
                Entry::Start(start) if start.due(moved, limits) <= now => {
                    let fault = error::no_turn(now - start.since);
                    let _gone = start.go.send(Err(fault)).is_err();
                }
                other => rest.push_back(other),
            }
        }
        self.waiting.line = rest;
    }

    /// Lets those pass whose turn it is, first come first served.
    fn promote(&mut self, limits: Deadlines, now: Instant, acts: &mut Vec<Act>) {
        let (mut blocked, mut rest) = (false, VecDeque::new());
        for entry in std::mem::take(&mut self.waiting.line) {
            let (id, caller, tool) = match &entry {
                Entry::Start(start) => (start.id, start.flight.caller.clone(), start.flight.tool()),
                Entry::Reply { id, .. } => match self.call_mut(*id) {
                    Some(call) => (*id, call.caller.clone(), None),
                    None => continue,
                },
            };
            let passes = !blocked || matches!(entry, Entry::Reply { .. }) || self.is_being_asked(&caller);
            if !self.is_its_turn(id, &caller, tool, passes, now) {
                blocked = true;
                rest.push_back(entry);
                continue;
            }
            self.waiting.moved = now;
            match entry {
                Entry::Start(start) => self.start(*start, limits),
                Entry::Reply { id, key, reply } => {
                    if let Some(call) = self.call_mut(id) {
                        call.wakes();
                    }
                    acts.push(Act::Carry(id, key, reply));
                }
            }
        }
        self.waiting.line = rest;
    }

    fn start(&mut self, start: Starting, limits: Deadlines) {
        let Starting { id, mut flight, go, .. } = start;
        flight.clock = Clock::start(limits);
        if let Some(trial) = &mut flight.trial {
            trial.until = Instant::now() + TRIAL_LASTS;
        }
        match self.insert(id, Flight::Call(flight)) {
            Ok(_) => {
                if go.send(Ok(())).is_err() {
                    self.remove(id);
                }
            }
            Err(fault) => drop(go.send(Err(fault))),
        }
    }

    fn next_look(&self, limits: Deadlines, now: Instant) -> Instant {
        let waiting = &self.waiting;
        let lines = waiting.line.iter().filter_map(|entry| match entry {
            Entry::Start(start) => Some(start.due(waiting.moved, limits)),
            Entry::Reply { .. } => None,
        });
        let held = waiting.held.iter().map(|held| held.since + QUESTION_HELD);
        let cancelled = waiting.cancelled.iter().map(|call| call.until);
        let resting = self.calls().filter_map(|(_, call)| call.rests_from());
        let trials = self.calls().filter_map(|(_, call)| call.trial.as_ref().map(|trial| trial.until));
        let silent = self.calls().filter_map(|(_, call)| call.abandoned_at(limits));
        let times = lines.chain(held).chain(cancelled).chain(resting).chain(trials).chain(silent);
        times.filter(|at| *at > now).min().unwrap_or(now + limits.idle)
    }
}

impl CallFlight {
    /// Waits for an answer, and asks nothing else any more.
    fn rests(&self, now: Instant) -> bool {
        self.rests_from().is_some_and(|at| at <= now)
    }

    fn rests_from(&self) -> Option<Instant> {
        self.rests_from.filter(|_| self.is_asking())
    }

    /// The server may still ask for it.
    pub(super) fn can_ask(&self) -> bool {
        self.landed.is_none() && !self.caller.is_cella()
    }

    pub(super) fn is_asking(&self) -> bool {
        matches!(&self.state, State::Live(live) if !live.asks.is_empty())
    }

    /// When its dialog counts as abandoned. Not even a client that calls on and on may leave a question open for longer
    /// than any call may be silent: others would never have their turn.
    fn abandoned_at(&self, limits: Deadlines) -> Option<Instant> {
        let asked = self.clock.asked_at()?;
        Some((self.client_seen.max(asked) + DIALOG_SILENT).min(asked + limits.idle))
    }

    /// The tool whose first call it is.
    fn tool(&self) -> Option<&str> {
        self.trial.as_ref().map(|trial| &*trial.tool)
    }

    fn is_in_trial(&self, now: Instant) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.until > now)
    }

    /// It asked, or showed that it works although it asked: for a while it may ask more.
    pub(super) fn may_ask_more(&mut self) {
        self.rests_from = Some(Instant::now() + turns::ASKING_LASTS);
    }

    /// It is about to get an answer: it runs.
    fn wakes(&mut self) {
        self.rests_from = None;
    }
}

impl Starting {
    fn due(&self, moved: Instant, limits: Deadlines) -> Instant {
        (self.since.max(moved) + limits.idle).min(self.since + limits.total)
    }
}
