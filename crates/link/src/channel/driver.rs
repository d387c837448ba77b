//! One task per call that has steps: it carries answers to the server, watches the clock, and notices when the asker is
//! gone. A call that goes straight to its answer needs none.

use std::{sync::Arc, time::Duration};

use cella_mcp::{Raw, RpcError};
use tokio::time::{Instant, sleep_until};

use super::{
    Channel,
    flights::{CallFlight, First, Live, State},
};
use crate::{error, sink::StepSink};
use cella_transport::{Answer, AskKey, Exchange, Failure, Performer};

/// The live end of a call, made so if it was not yet. `None` when the asker is gone.
pub(super) fn live<'f>(channel: &Arc<Channel>, id: u64, call: &'f mut CallFlight) -> Option<&'f mut Live> {
    if let State::Waiting(_) = call.state {
        let (performer, exchange) = Exchange::live();
        let (sink, rest) = open(performer);
        let live = Live { sink, asks: std::collections::HashMap::new(), next_key: 0 };
        let State::Waiting(first) = std::mem::replace(&mut call.state, State::Live(live)) else {
            return None;
        };
        if first.send(First::Live(exchange)).is_err() {
            return None;
        }
        tokio::spawn(drive(Arc::clone(channel), id, rest));
    }
    match &mut call.state {
        State::Live(live) => Some(live),
        State::Waiting(_) => None,
    }
}

/// What a driver selects over.
struct Asker {
    replies: tokio::sync::mpsc::UnboundedReceiver<(AskKey, Result<Raw, RpcError>)>,
    alive: tokio::sync::oneshot::Receiver<()>,
}

fn open(performer: Performer) -> (StepSink, Asker) {
    let (steps, replies, alive) = performer.split();
    (StepSink::new(steps), Asker { replies, alive })
}

async fn drive(channel: Arc<Channel>, id: u64, mut asker: Asker) {
    while let Some(due) = channel.due(id) {
        tokio::select! {
            biased;
            reply = asker.replies.recv() => match reply {
                Some((key, reply)) => channel.carry(id, key, reply),
                None => return channel.cancel(id, "the caller went away"),
            },
            _gone = &mut asker.alive => return channel.cancel(id, "the caller went away"),
            () = sleep_until(due) => channel.expire(id),
        }
    }
}

impl Channel {
    /// When the call is to be given up; `None` when it is over.
    fn due(&self, id: u64) -> Option<Instant> {
        self.lock().call_mut(id).map(|call| call.clock.due())
    }

    /// Gives a call up that is past its time.
    fn expire(&self, id: u64) {
        {
            let mut flights = self.lock();
            let Some(call) = flights.call_mut(id) else { return };
            if call.clock.due() > Instant::now() {
                return;
            }
            let landed = flights.take_landed(id);
            if landed.is_some() {
                drop(flights);
                return self.end(landed);
            }
            let Some(call) = flights.call_mut(id) else { return };
            let fault = call.clock.fault();
            let State::Live(live) = &mut call.state else { return };
            live.sink.finish(Answer::own(Err(Failure::Fault(fault))));
        }
        self.cancel(id, "no answer in time");
    }

    /// Gives a call up whose client is silent, so that others have their turn. Its asker hears of it when it asks.
    pub(super) fn give_way(&self, id: u64) {
        {
            let mut flights = self.lock();
            let Some(call) = flights.call_mut(id).filter(|call| call.is_asking()) else { return };
            let waited = call.clock.asked_at().map_or(Duration::ZERO, |asked| asked.elapsed());
            let State::Live(live) = &mut call.state else { return };
            live.sink.finish(Answer::own(Err(Failure::Fault(error::gave_way(waited)))));
        }
        self.cancel(id, "its client did not answer, and others wait");
    }

    /// Takes the asker's answer to the server, or lets it wait until its call may run on.
    fn carry(self: &Arc<Self>, id: u64, key: AskKey, reply: Result<Raw, RpcError>) {
        let mut flights = self.lock();
        let reply = flights.reply_in_turn(id, key, reply);
        self.usher(&mut flights);
        drop(flights);
        if let Some(reply) = reply {
            self.carry_now(id, key, reply);
        }
    }

    /// Takes an answer to the server.
    pub(super) fn carry_now(&self, id: u64, key: AskKey, reply: Result<Raw, RpcError>) {
        let (ask, landed) = {
            let mut flights = self.lock();
            let Some(call) = flights.call_mut(id) else { return };
            let State::Live(live) = &mut call.state else { return };
            let ask = live.asks.remove(&key);
            call.client_seen = Instant::now();
            if live.asks.is_empty() {
                call.clock.answered();
            } else {
                call.may_ask_more();
            }
            let last = !call.is_asking();
            flights.moved();
            (ask, last.then(|| flights.take_landed(id)).flatten())
        };
        if let Some(ask) = ask {
            self.reply(ask, reply);
        }
        self.end(landed);
    }
}
