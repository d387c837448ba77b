//! The driver of one run: a loop that begins what is due and not under way, and takes in what the ledger says.

use std::{collections::HashMap, sync::Arc};

use cella_event::RunId;
use cella_kernel::{Decoder, Effect, Key, State, Status};
use cella_ledger::Ledger;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use crate::{
    Broken, Cut, Host, Notice,
    claims::{Claim, Claims},
    crash_point,
    feed::{Events, Feed},
    load::decode,
    perform::Performing,
    purse::Purse,
};

/// What all drivers of a node share.
pub(crate) struct Shared<H> {
    pub(crate) host: Arc<H>,
    pub(crate) ledger: Ledger,
    pub(crate) feed: Feed,
    pub(crate) purse: Purse,
    pub(crate) claims: Claims,
    /// True once the node is about to end.
    pub(crate) draining: watch::Receiver<bool>,
}

/// One run that is being pursued.
pub(crate) struct Driver<H> {
    shared: Shared<H>,
    run: RunId,
    principal: Arc<str>,
    /// Given back when everything of it has stopped.
    _claim: Claim,
    state: State,
    decoder: Decoder,
    events: Events,
    /// Before `flying`: what is dropped ends before it could hear that nobody can cut it any more.
    work: JoinSet<(Key, Result<(), Broken>)>,
    flying: HashMap<Key, Flight>,
    /// Of these, those that are not over, without waits.
    busy: usize,
}

/// Something under way.
struct Flight {
    cut: watch::Sender<Option<Cut>>,
    task: AbortHandle,
}

/// What a driver waited for.
enum Turn {
    Event(Option<Box<cella_ledger::Entry>>),
    Ended(Result<(Key, Result<(), Broken>), tokio::task::JoinError>),
    Draining,
}

/// A run from its ledger, with its ears open.
pub(crate) struct Taken {
    /// The right to pursue it.
    pub(crate) claim: Claim,
    /// Who wanted it.
    pub(crate) principal: Arc<str>,
    pub(crate) state: State,
    pub(crate) decoder: Decoder,
    pub(crate) events: Events,
}

// === impl Shared ===

impl<H> Clone for Shared<H> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            ledger: self.ledger.clone(),
            feed: self.feed.clone(),
            purse: self.purse.clone(),
            claims: self.claims.clone(),
            draining: self.draining.clone(),
        }
    }
}

// === impl Driver ===

impl<H: Host> Driver<H> {
    pub(crate) fn new(shared: Shared<H>, run: RunId, taken: Taken) -> Self {
        let Taken { claim, principal, state, decoder, events } = taken;
        Self {
            shared,
            run,
            principal,
            _claim: claim,
            state,
            decoder,
            events,
            flying: HashMap::new(),
            busy: 0,
            work: JoinSet::new(),
        }
    }

    /// Pursues the run until it is over or paused, or cannot be pursued. When this returns, nothing of it is under way.
    pub(crate) async fn drive(mut self) -> Result<State, Broken> {
        let ended = self.pursue().await;
        // What is left is waits, and after a fault calls: nothing of them may be put on record when another life has begun.
        self.work.shutdown().await;
        ended.map(|()| self.state)
    }

    async fn pursue(&mut self) -> Result<(), Broken> {
        loop {
            match self.state.status() {
                Status::Ended => {
                    self.shared.host.tell(Notice::Ended { run: self.run.clone() });
                    return Ok(());
                }
                Status::Paused => {
                    self.shared.host.tell(Notice::Paused { run: self.run.clone() });
                    return Ok(());
                }
                Status::Running | Status::Waiting => {}
            }
            if *self.shared.draining.borrow() {
                return self.drain().await;
            }
            self.cut_abandoned();
            self.begin_due();
            self.end_when_calm().await;
            self.turn().await?;
        }
    }

    fn begin_due(&mut self) {
        for (key, effect) in self.state.due() {
            if self.flying.contains_key(&key) || is_last(key) {
                continue;
            }
            self.begin(key, effect);
        }
    }

    /// The end, or a pause, is begun last: when nothing that was begun is under way, and everything of it has come back. What was begun
    /// in the moment in which somebody cancelled the run is on record before its end.
    async fn end_when_calm(&mut self) {
        let last = |state: &State, flying: &HashMap<Key, Flight>| {
            state.due().into_iter().find(|(key, _)| is_last(*key) && !flying.contains_key(key))
        };
        if self.busy > 0 || last(&self.state, &self.flying).is_none() {
            return;
        }
        if let Ok(head) = self.shared.ledger.flush().await {
            self.shared.feed.caught_up(head.seq).await;
        }
        // What came back meanwhile is taken in first, and may change how it ends.
        if !self.events.is_empty() {
            return;
        }
        if let Some((key, effect)) = last(&self.state, &self.flying) {
            self.begin(key, effect);
        }
    }

    fn begin(&mut self, key: Key, effect: Effect) {
        let (cut, cuts) = watch::channel(None);
        let performing = Performing {
            shared: self.shared.clone(),
            run: self.run.clone(),
            account: self.state.account().map(str::to_owned),
            principal: Arc::clone(&self.principal),
            rehearses: self.state.agent().rehearses.clone(),
            deadlines: self.state.agent().model.deadlines,
            cuts,
        };
        // The dialogue is copied only for the question that needs it.
        let request = matches!(key, Key::Ask(..)).then(|| self.state.request());
        let task = self.work.spawn(async move { (key, performing.perform(effect, request).await) });
        self.flying.insert(key, Flight { cut, task });
        if !matches!(key, Key::Wait(..) | Key::Deadline) {
            self.busy += 1;
        }
    }

    /// What is of no use any more: an answer is broken off in a way that still puts it on record, a wait is just dropped.
    fn cut_abandoned(&mut self) {
        for (key, flight) in &self.flying {
            if self.state.is_abandoned(*key) {
                match key {
                    Key::Ask(..) | Key::Child(_) => {
                        flight.cut.send_replace(Some(Cut::Cancelled));
                    }
                    _ => flight.task.abort(),
                }
            }
        }
    }

    /// Waits for one thing: an event of this run, or the end of something under way.
    async fn turn(&mut self) -> Result<(), Broken> {
        let mut draining = self.shared.draining.clone();
        let turn = tokio::select! {
            biased;
            entry = self.events.next() => Turn::Event(entry.map(Box::new)),
            Some(ended) = self.work.join_next() => Turn::Ended(ended),
            _ = draining.wait_for(|draining| *draining) => Turn::Draining,
        };
        match turn {
            Turn::Event(None) => Err(Broken::Read("it is closed".into())),
            Turn::Event(Some(entry)) if entry.event.seq > self.state.last() => self.take_in(*entry).await,
            Turn::Event(_) | Turn::Draining => Ok(()),
            Turn::Ended(ended) => self.ended(ended),
        }
    }

    async fn take_in(&mut self, entry: cella_ledger::Entry) -> Result<(), Broken> {
        let reader = self.shared.ledger.reader();
        let mut decoder = std::mem::take(&mut self.decoder);
        let read = tokio::task::spawn_blocking(move || {
            let fact = decode(&reader, &mut decoder, &entry.event);
            (fact, decoder)
        });
        let (fact, decoder) = read.await.map_err(|e| Broken::Read(e.to_string()))?;
        self.decoder = decoder;
        let Some(fact) = fact.map_err(|e| Broken::Impossible(e.to_string()))? else { return Ok(()) };
        self.state.apply(&fact).map_err(|e| Broken::Impossible(e.to_string()))?;
        crash_point();
        Ok(())
    }

    /// What is over and still due was not put on record: then nothing more is done, or it would be begun for ever.
    fn ended(
        &mut self,
        ended: Result<(Key, Result<(), Broken>), tokio::task::JoinError>,
    ) -> Result<(), Broken> {
        match ended {
            Ok((key, Ok(()))) => {
                if !matches!(key, Key::Wait(..) | Key::Deadline) {
                    self.busy -= 1;
                }
                // Its events are on record and on their way here; until they have come, it still counts as under way.
                tracing::trace!(?key, run = %self.run, "done");
                Ok(())
            }
            Ok((_, Err(broken))) => Err(broken),
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => {
                Err(Broken::Impossible(format!("a task of it ended by a fault of its own: {error}")))
            }
        }
    }

    /// The node ends: nothing new is begun, what is under way is waited for as long as the node lets us.
    async fn drain(&mut self) -> Result<(), Broken> {
        for (key, flight) in &self.flying {
            if matches!(key, Key::Wait(..) | Key::Deadline) {
                flight.task.abort();
            }
        }
        while let Some(ended) = self.work.join_next().await {
            self.ended(ended)?;
        }
        Err(Broken::Draining)
    }
}

/// What is begun when nothing else is under way.
const fn is_last(key: Key) -> bool {
    matches!(key, Key::End | Key::Pause)
}
