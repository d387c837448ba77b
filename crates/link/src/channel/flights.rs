//! The calls in flight on a channel.

use std::{collections::HashMap, sync::Arc};

use cella_mcp::{Id, Raw, RpcError, modern::ListenFilter};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::waiting::{Trial, Waiting};
use crate::{
    LinkError, asks::same_party, clock::Clock, error, limits::CALLS_MAX, progress::Progress, sink::StepSink,
};
use cella_transport::{Answer, AskKey, Caller, Exchange, Failure, Fault, FaultKind};

/// Every request that waits for its response.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_id: HashMap<u64, Flight>,
    down: Option<Down>,
    pub(super) waiting: Waiting,
    /// Something changed for those who wait.
    pub(super) news: Arc<Notify>,
}

/// Why a channel is over.
#[derive(Clone, Debug)]
pub(crate) struct Down {
    kind: FaultKind,
    why: String,
}

/// A request that waits for its response.
#[derive(Debug)]
pub(super) enum Flight {
    /// A caller's.
    Call(Box<CallFlight>),
    /// Cella's own.
    Own(OwnFlight),
}

#[derive(Debug)]
pub(super) struct CallFlight {
    pub(super) caller: Arc<Caller>,
    pub(super) progress: Option<Progress>,
    pub(super) clock: Clock,
    pub(super) state: State,
    /// The first call of its tool.
    pub(super) trial: Option<Trial>,
    /// With questions that wait for an answer: from when on it asks no more.
    pub(super) rests_from: Option<Instant>,
    /// The client last showed itself: by its call, by an answer, or by another call.
    pub(super) client_seen: Instant,
    /// The server has answered, but a question that was put on behalf of this call is of another one of the same party,
    /// and is not answered yet: the asker still has to hear of it.
    pub(super) landed: Option<Result<Raw, RpcError>>,
}

#[derive(Debug)]
pub(super) struct OwnFlight {
    pub(super) done: oneshot::Sender<Result<Result<Raw, RpcError>, Fault>>,
    /// Of a listen request: where what is granted is told.
    pub(super) acknowledged: Option<oneshot::Sender<ListenFilter>>,
    /// Must not be cancelled (`initialize`).
    pub(super) quiet: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nothing came yet. Most calls go from here to their answer.
    Waiting(oneshot::Sender<First>),
    /// Steps were handed over.
    Live(Live),
}

/// The channel's end of an exchange with steps.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) sink: StepSink,
    /// Questions that wait for an answer, with the server's ids.
    pub(super) asks: HashMap<AskKey, Id>,
    pub(super) next_key: u64,
}

/// The first that comes of a call.
#[derive(Debug)]
pub(super) enum First {
    Answer(Result<Raw, RpcError>),
    Live(Exchange),
    Fault(Fault),
    Down(Down),
}

// === impl Flights ===

impl Flights {
    /// Enters a request. True when it is the only one.
    pub(super) fn insert(&mut self, id: u64, flight: Flight) -> Result<bool, Fault> {
        if let Some(down) = &self.down {
            return Err(down.fault(false));
        }
        if self.by_id.len() >= CALLS_MAX {
            return Err(error::too_many_calls(CALLS_MAX));
        }
        self.by_id.insert(id, flight);
        Ok(self.by_id.len() == 1)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Flight> {
        let flight = self.by_id.remove(&id);
        self.moved();
        flight
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Flight> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn call_mut(&mut self, id: u64) -> Option<&mut CallFlight> {
        match self.by_id.get_mut(&id) {
            Some(Flight::Call(call)) => Some(call),
            _ => None,
        }
    }

    /// The server has answered a request: what has ended with that.
    pub(super) fn land(
        &mut self,
        id: u64,
        outcome: Result<Raw, RpcError>,
    ) -> Vec<(Flight, Result<Raw, RpcError>)> {
        let sibling = self.has_sibling(id);
        if let Some(call) = self.call_mut(id) {
            if call.is_asking() && sibling {
                call.landed = Some(outcome);
                self.moved();
                return Vec::new();
            }
            let trial = call.trial.take();
            self.has_answered(trial);
        }
        let Some(flight) = self.remove(id) else {
            self.ended_late(id);
            return Vec::new();
        };
        let mut ended = vec![(flight, outcome)];
        if self.calls().any(|(_, call)| call.landed.is_some()) {
            let ids: Vec<u64> =
                self.calls().filter(|(_, call)| call.landed.is_some()).map(|(id, _)| id).collect();
            for id in ids.into_iter().filter(|id| !self.has_sibling(*id)).collect::<Vec<_>>() {
                ended.extend(self.take_landed(id));
            }
        }
        ended
    }

    /// Takes out a call that the server has answered already.
    pub(super) fn take_landed(&mut self, id: u64) -> Option<(Flight, Result<Raw, RpcError>)> {
        let outcome = self.call_mut(id)?.landed.take()?;
        self.remove(id).map(|flight| (flight, outcome))
    }

    /// True when another call of the same party is in progress at the server.
    fn has_sibling(&self, id: u64) -> bool {
        let Some(Flight::Call(call)) = self.by_id.get(&id) else { return false };
        let mut others = self.calls().filter(|(other, call)| *other != id && call.can_ask());
        call.is_asking() && others.any(|(_, other)| same_party(&call.caller, &other.caller))
    }

    /// The id of the only request in flight.
    pub(super) fn only(&self) -> Option<u64> {
        let mut ids = self.by_id.keys();
        ids.next().copied().filter(|_| ids.next().is_none())
    }

    /// The same, to be changed.
    pub(super) fn calls_mut(&mut self) -> impl Iterator<Item = &mut CallFlight> {
        self.by_id.values_mut().filter_map(|flight| match flight {
            Flight::Call(call) => Some(&mut **call),
            Flight::Own(_) => None,
        })
    }

    /// The calls of callers.
    pub(super) fn calls(&self) -> impl Iterator<Item = (u64, &CallFlight)> {
        self.by_id.iter().filter_map(|(id, flight)| match flight {
            Flight::Call(call) => Some((*id, &**call)),
            Flight::Own(_) => None,
        })
    }

    /// Forgets a question that the server has taken back.
    pub(super) fn retract(&mut self, ask: &Id) {
        self.drop_held(ask);
        self.moved();
        for flight in self.by_id.values_mut() {
            let Flight::Call(call) = flight else { continue };
            let State::Live(live) = &mut call.state else { continue };
            live.asks.retain(|_, id| id != ask);
            if live.asks.is_empty() {
                call.clock.answered();
            }
        }
    }

    pub(super) const fn down(&self) -> Option<&Down> {
        self.down.as_ref()
    }

    /// Takes every flight out, the first time.
    pub(super) fn go_down(&mut self, down: &Down) -> Option<Vec<Flight>> {
        if self.down.is_some() {
            return None;
        }
        self.down = Some(down.clone());
        self.clear_waiting();
        Some(self.by_id.drain().map(|(_, flight)| flight).collect())
    }
}

// === impl Flight ===

impl Flight {
    /// The server's ids of questions that wait for an answer.
    pub(super) fn asks(&self) -> Vec<Id> {
        match self {
            Self::Call(call) => match &call.state {
                State::Live(live) => live.asks.values().cloned().collect(),
                State::Waiting(_) => Vec::new(),
            },
            Self::Own(_) => Vec::new(),
        }
    }

    /// True when the server must not be told that nobody waits for the answer any more.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Own(own) => own.quiet,
            Self::Call(call) => call.landed.is_some(),
        }
    }

    /// Ends with the server's outcome.
    pub(super) fn land(
        self,
        outcome: Result<Raw, RpcError>,
        answer: impl FnOnce(Result<Raw, RpcError>) -> Answer,
    ) {
        match self {
            Self::Own(own) => drop(own.done.send(Ok(outcome))),
            Self::Call(call) => match call.state {
                State::Waiting(first) => drop(first.send(First::Answer(outcome))),
                State::Live(mut live) => live.sink.finish(answer(outcome)),
            },
        }
    }

    /// Ends with a fault.
    pub(super) fn fail(self, fault: Fault) {
        match self {
            Self::Own(own) => drop(own.done.send(Err(fault))),
            Self::Call(call) => match call.state {
                State::Waiting(first) => drop(first.send(First::Fault(fault))),
                State::Live(mut live) => live.sink.finish(Answer::own(Err(Failure::Fault(fault)))),
            },
        }
    }

    /// Ends because the channel does. Whether the request had left is known to who waits for the first step.
    pub(super) fn go_down(self, down: &Down) {
        match self {
            Self::Call(call) => match call.state {
                State::Waiting(first) => drop(first.send(First::Down(down.clone()))),
                State::Live(mut live) => live.sink.finish(Answer::own(Err(Failure::Fault(down.fault(true))))),
            },
            own @ Self::Own(_) => own.fail(down.fault(true)),
        }
    }
}

// === impl CallFlight ===

impl CallFlight {
    pub(super) fn waiting(
        caller: Arc<Caller>,
        progress: Option<Progress>,
        clock: Clock,
        first: oneshot::Sender<First>,
    ) -> Self {
        Self {
            caller,
            progress,
            clock,
            state: State::Waiting(first),
            trial: None,
            rests_from: None,
            client_seen: Instant::now(),
            landed: None,
        }
    }
}

// === impl Down ===

impl Down {
    pub(crate) fn crashed(why: impl Into<String>) -> Self {
        Self { kind: FaultKind::Crashed, why: why.into() }
    }

    pub(crate) fn garbage(why: impl Into<String>) -> Self {
        Self { kind: FaultKind::Garbage, why: why.into() }
    }

    pub(super) fn closed_by_us() -> Self {
        Self { kind: FaultKind::Unavailable, why: "the link was closed".into() }
    }

    pub(super) fn fault(&self, in_doubt: bool) -> Fault {
        match self.kind {
            FaultKind::Crashed => error::crashed(&self.why, in_doubt),
            FaultKind::Garbage => Fault { in_doubt, ..error::garbage(&self.why) },
            _ => error::link_closed(in_doubt),
        }
    }

    pub(crate) fn to_error(&self) -> LinkError {
        match self.kind {
            FaultKind::Garbage => LinkError::Garbage { what: self.why.clone() },
            _ => LinkError::Closed { why: self.why.clone() },
        }
    }
}
