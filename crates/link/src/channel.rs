//! Many calls over one pair of streams: stdio of both eras, unix sockets, and the old HTTP+SSE.
//!
//! Everything the server says arrives in one place and is handed to the call it belongs to. That place never waits for
//! an asker: what finds no room is dropped (progress first) or refused (questions), never an answer.

mod driver;
mod flights;
mod incoming;
mod outbound;
#[cfg(test)]
mod tests;
mod turns;
mod usher;
mod waiting;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cella_mcp::{
    Era, Id, Notification, Raw, Request, Response, RpcError, TargetKind, call_target, legacy,
    modern::ListenFilter,
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout_at,
};

pub(super) use self::{
    flights::Down,
    incoming::{read_lines, wants_log},
    outbound::Outbound,
};
use self::{
    flights::{CallFlight, First, Flight, Flights, OwnFlight},
    outbound::Unsent,
    waiting::Boarding,
};
use super::{
    LinkOptions, asks, clock::Clock, error, events::Events, outgoing, progress::Progress, tally::Tally,
    terms::Terms,
};
use cella_transport::{Answer, Call, Exchange, Failure, Fault};

/// One server behind one pair of streams.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) options: Arc<LinkOptions>,
    pub(super) events: Events,
    pub(super) tally: Tally,
    out: Outbound,
    flights: Mutex<Flights>,
    next_id: AtomicU64,
    terms: OnceLock<Terms>,
    over: watch::Sender<bool>,
}

impl Channel {
    pub(super) fn new(out: Outbound, options: Arc<LinkOptions>, events: Events) -> Arc<Self> {
        Arc::new(Self {
            options,
            events,
            tally: Tally::default(),
            out,
            flights: Mutex::default(),
            next_id: AtomicU64::new(1),
            terms: OnceLock::new(),
            over: watch::Sender::new(false),
        })
    }

    /// Sets what was agreed. Only the first time counts: a channel has one server, and that does not change its era.
    pub(super) fn agree(&self, terms: Terms) {
        let _first = self.terms.set(terms).is_ok();
    }

    /// What was agreed, once it was.
    pub(super) fn terms(&self) -> Option<&Terms> {
        self.terms.get()
    }

    /// Performs a call.
    pub(super) async fn call(self: &Arc<Self>, call: &Call) -> Exchange {
        let Some(terms) = self.terms.get() else { return Exchange::fault(error::link_closed(false)) };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut params = outgoing::adapt(call, terms, &self.options);
        let progress = Progress::renamed(&mut params, &Id::number(id));
        let line = request_line(id, &call.method, params);
        let mut clock = Clock::start(self.options.deadlines);
        let (first, landed) = oneshot::channel();
        let flight = Box::new(CallFlight::waiting(Arc::clone(&call.caller), progress, clock, first));
        let boarding = match terms.era() {
            Era::Modern => self.lock().insert(id, Flight::Call(flight)).map(Boarding::Now),
            Era::Legacy => self.board(id, flight, call),
        };
        let mut boarded = Boarded { channel: self, id, stage: Seat::Unsent };
        let alone = match boarding {
            Ok(Boarding::Now(alone)) => alone,
            Ok(Boarding::Later(turn)) => match turn.await {
                Ok(Ok(())) => {
                    clock = Clock::start(self.options.deadlines);
                    true
                }
                Ok(Err(fault)) => return Exchange::fault(fault),
                Err(_) => return Exchange::fault(error::link_closed(false)),
            },
            Err(fault) => return Exchange::fault(fault),
        };
        boarded.stage = Seat::Taken;
        let position = match self.out.request(&line, alone).await {
            Ok(position) => position,
            Err(unsent) => {
                boarded.leave();
                self.lock().remove(id);
                return Exchange::fault(unsent.into_fault());
            }
        };
        let Ok(landed) = timeout_at(clock.due(), landed).await else { return Exchange::fault(clock.fault()) };
        // From here on there is nothing to cancel: the call is over, or its driver watches it.
        boarded.leave();
        match landed {
            Ok(First::Answer(outcome)) => Exchange::ready(self.answer(outcome)),
            Ok(First::Live(exchange)) => exchange,
            Ok(First::Down(down)) => Exchange::fault(down.fault(self.out.has_left(position))),
            Ok(First::Fault(fault)) => Exchange::fault(fault),
            Err(_) => Exchange::fault(error::cancelled()),
        }
    }

    /// Sends a request of Cella's own and waits for its outcome.
    pub(super) async fn request(
        self: &Arc<Self>,
        method: &str,
        params: Option<Raw>,
        within: Duration,
    ) -> Result<Raw, Failure> {
        let due = tokio::time::Instant::now() + within;
        match timeout_at(due, self.own(method, params, None)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Fault(error::timed_out("the server did not answer", within))),
        }
    }

    /// Sends a listen request; ends when the subscription does. `acknowledged` gets what was granted.
    pub(super) async fn listen(
        self: &Arc<Self>,
        params: Raw,
        acknowledged: oneshot::Sender<ListenFilter>,
    ) -> Result<Raw, Failure> {
        self.own("subscriptions/listen", Some(params), Some(acknowledged)).await
    }

    async fn own(
        self: &Arc<Self>,
        method: &str,
        params: Option<Raw>,
        acknowledged: Option<oneshot::Sender<ListenFilter>>,
    ) -> Result<Raw, Failure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (done, landed) = oneshot::channel();
        // The handshake must not be cancelled, and a legacy server must not hear of a probe again.
        let quiet = matches!(method, "initialize" | "server/discover");
        let line = request_line(id, method, params);
        let flight = OwnFlight { done, acknowledged, quiet };
        let alone = self.take_off(id, Flight::Own(flight)).map_err(Failure::Fault)?;
        let mut boarded = Boarded { channel: self, id, stage: Seat::Taken };
        if let Err(unsent) = self.out.request(&line, alone).await {
            boarded.leave();
            self.lock().remove(id);
            return Err(Failure::Fault(unsent.into_fault()));
        }
        let outcome = landed.await;
        boarded.leave();
        match outcome {
            Ok(Ok(outcome)) => outcome.map_err(Failure::Peer),
            Ok(Err(fault)) => Err(Failure::Fault(fault)),
            Err(_) => Err(Failure::Fault(error::cancelled())),
        }
    }

    /// Sends a notification of Cella's own.
    pub(super) async fn notify(&self, note: Notification) -> Result<(), Fault> {
        let mut line = Vec::new();
        note.write(&mut line);
        line.push(b'\n');
        self.out.request(&line, true).await.map(drop).map_err(Unsent::into_fault)
    }

    /// Stops taking calls and tells the server that nothing more will come. Calls in flight end.
    pub(super) async fn close(&self) {
        self.go_down(&Down::closed_by_us());
        self.out.close();
        let mut over = self.over.subscribe();
        let _ended = tokio::time::timeout(self.options.deadlines.close, over.wait_for(|over| *over)).await;
    }

    /// Like [`Channel::close`] without waiting for the server.
    pub(super) fn abandon(&self) {
        self.go_down(&Down::closed_by_us());
        self.out.close();
    }

    /// Ends every call in flight; later ones fail at once. Only the first reason counts.
    pub(super) fn go_down(&self, down: &Down) {
        let flights = self.lock().go_down(down);
        if let Some(flights) = flights {
            self.events.closed(down.to_error());
            for flight in flights {
                flight.go_down(down);
            }
        }
    }

    /// Nothing more will be read.
    pub(super) fn reading_ended(&self, down: &Down) {
        self.go_down(down);
        self.out.close();
        let _waiting = self.over.send_replace(true);
    }

    /// Why the channel is down, if it is.
    pub(super) fn down(&self) -> Option<Down> {
        self.lock().down().cloned()
    }

    fn answer(&self, outcome: Result<Raw, RpcError>) -> Answer {
        let era = self.terms.get().map_or(Era::Legacy, Terms::era);
        Answer { era, outcome: outcome.map_err(Failure::Peer) }
    }

    /// Enters a flight. True when it is the only one.
    fn take_off(&self, id: u64, flight: Flight) -> Result<bool, Fault> {
        self.lock().insert(id, flight)
    }

    /// Enters a call of a server that may ask, at once or when its turn comes.
    fn board(self: &Arc<Self>, id: u64, flight: Box<CallFlight>, call: &Call) -> Result<Boarding, Fault> {
        let target = call_target(&call.method, call.params.as_deref());
        let tool = target.filter(|target| matches!(target.kind, TargetKind::Tool | TargetKind::Prompt));
        let mut flights = self.lock();
        let boarding = flights.board(id, flight, tool.as_ref().map_or(&*call.method, |tool| &*tool.name));
        self.usher(&mut flights);
        boarding
    }

    /// The server is known to ask: from now on calls of different parties take turns.
    pub(super) fn take_turns(&self) {
        if self.terms().is_some_and(|terms| terms.era() == Era::Legacy) {
            self.lock().waiting.takes_turns = true;
        }
    }

    /// Gives a call up and tells the server.
    fn cancel(&self, id: u64, reason: &str) {
        let Some(flight) = self.give_up(id) else { return };
        for ask in flight.asks() {
            self.reply(ask, Err(asks::gone()));
        }
        if !flight.is_quiet() {
            self.send_note(&legacy::cancelled(&Id::number(id), Some(reason)));
        }
    }

    /// Takes a call out that the server may go on with.
    fn give_up(&self, id: u64) -> Option<Flight> {
        let legacy = self.terms().is_some_and(|terms| terms.era() == Era::Legacy);
        let mut flights = self.lock();
        let call = flights.call_mut(id).filter(|call| legacy && call.can_ask());
        if let Some(caller) = call.map(|call| Arc::clone(&call.caller)) {
            flights.lingers(id, caller);
        }
        flights.remove(id)
    }

    /// Answers a request of the server. A server that does not read loses the answer with everything else.
    fn reply(&self, id: Id, outcome: Result<Raw, RpcError>) {
        let mut line = Vec::new();
        Response { id: Some(id), outcome }.write(&mut line);
        line.push(b'\n');
        self.out.send(line);
    }

    fn send_note(&self, note: &Notification) {
        let mut line = Vec::new();
        note.write(&mut line);
        line.push(b'\n');
        self.out.send(line);
    }

    fn lock(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a call up when its asker goes away before the first step.
struct Boarded<'a> {
    channel: &'a Channel,
    id: u64,
    stage: Seat,
}

/// How far a request has come.
enum Seat {
    /// Nothing of it was sent: the server need not hear of its end.
    Unsent,
    /// It may have been sent.
    Taken,
    /// Somebody else looks after it.
    Left,
}

impl Boarded<'_> {
    const fn leave(&mut self) {
        self.stage = Seat::Left;
    }
}

impl Drop for Boarded<'_> {
    fn drop(&mut self) {
        match self.stage {
            Seat::Unsent => {
                let mut flights = self.channel.lock();
                flights.leave_line(self.id);
                flights.remove(self.id);
            }
            Seat::Taken => self.channel.cancel(self.id, "the caller went away"),
            Seat::Left => {}
        }
    }
}

fn request_line(id: u64, method: &str, params: Option<Raw>) -> Vec<u8> {
    let mut line = Vec::new();
    Request { id: Id::number(id), method: method.into(), params }.write(&mut line);
    line.push(b'\n');
    line
}
