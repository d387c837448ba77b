//! A call on its way to an instance.

use std::sync::{Arc, atomic::Ordering};

use cella_transport::{Call, Exchange, Failure, Fault, Step};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

use super::{
    Pool, Server,
    server::Decision,
    slot::{Entered, Phase},
};
use crate::{InstanceKey, faults};

/// How often a caller may find that the instance it waited for is gone, before it is told so.
const TRIES_MAX: usize = 4;

impl Pool {
    /// Performs a call on the instance that is for this caller, starting it when there is none.
    pub(crate) async fn call(
        self: &Arc<Self>,
        server: &Arc<Server>,
        run: Option<&Arc<str>>,
        call: &Call,
    ) -> Exchange {
        let Some(key) = InstanceKey::of(server.isolation(), &call.caller, run) else {
            return Exchange::fault(faults::no_run(server.name()));
        };
        let place = match server.place().await {
            Ok(place) => place,
            Err(fault) => return Exchange::fault(fault),
        };
        let mut again = true;
        loop {
            let entered = match self.enter(server, &key).await {
                Ok(entered) => entered,
                Err(fault) => return Exchange::fault(fault),
            };
            let exchange = entered.upstream.call(call).await;
            server.invoked();
            match exchange.peek_ready().map(|answer| &answer.outcome) {
                // the instance ended between being found and being asked, and has not seen the call
                Some(Err(Failure::Fault(fault)))
                    if again && !fault.in_doubt && entered.upstream.is_closed() =>
                {
                    again = false;
                }
                Some(Err(Failure::Fault(_))) => return exchange,
                Some(Ok(_) | Err(Failure::Peer(_))) => {
                    entered.slot.mark_answered();
                    return exchange;
                }
                None => {
                    return exchange.holding(Box::new(entered)).mapped(Box::new(place_until_asked(place)));
                }
            }
        }
    }

    /// Gets hold of an instance.
    pub(super) async fn enter(
        self: &Arc<Self>,
        server: &Arc<Server>,
        key: &InstanceKey,
    ) -> Result<Entered, Fault> {
        for _ in 0..TRIES_MAX {
            if self.is_closing() {
                return Err(faults::shutting_down());
            }
            let slot = match server.decide(key, Instant::now(), self.options.refresh_wait) {
                Decision::Use(entered) => return Ok(entered),
                Decision::Refuse(fault) => return Err(fault),
                Decision::Pause(wait, fault) => {
                    if wait > self.options.pause_wait {
                        return Err(fault);
                    }
                    sleep(wait).await;
                    continue;
                }
                Decision::WaitGone(slot) => {
                    slot.over().await;
                    continue;
                }
                Decision::Start(slot) => {
                    self.start(server, &slot);
                    slot
                }
                Decision::Wait(slot) => slot,
            };
            if let Phase::Over(Some(fault)) = slot.settled().await {
                return Err(fault);
            }
        }
        Err(faults::crashed(server.name(), "it went away each time it was started"))
    }
}

/// Keeps a place among the calls in progress until the server asks the client something: from then on a person decides
/// how long the call takes, and one client who does not answer must not hold up all others. How many such calls one
/// client may have open is bounded by the door, and at one server by its link.
fn place_until_asked(place: OwnedSemaphorePermit) -> impl FnMut(Step) -> Step + Send {
    let mut place = Some(place);
    move |step| {
        if !matches!(step, Step::Notify(_)) {
            drop(place.take());
        }
        step
    }
}

impl Server {
    /// A place among the calls in progress: one server that hangs holds up at most so many callers, all of them its own.
    async fn place(self: &Arc<Self>) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let waiting = Waiting::join(self)?;
        let place = self.places.clone().acquire_owned().await.map_err(|_| faults::shutting_down());
        drop(waiting);
        place
    }
}

/// One who waits for a place.
struct Waiting<'a>(&'a Server);

impl<'a> Waiting<'a> {
    fn join(server: &'a Server) -> Result<Self, Fault> {
        let before = server.waiting.fetch_add(1, Ordering::AcqRel);
        let this = Self(server);
        if before >= server.plan.queue_max {
            Err(faults::overloaded(server.name(), before))
        } else {
            Ok(this)
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
