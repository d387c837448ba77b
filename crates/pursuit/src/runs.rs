//! The runs of a node.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_agreement::{Budget, Left};
use cella_dialogue::Turn;
use cella_event::{Label, Map, RunId, Seq};
use cella_kernel::{Agent, Fact, Forked, Started, State, Status, StepId, Verdict, What};
use cella_ledger::{Durability, Ledger};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    BadDecision, Broken, Host, LoadError, Notice, StartError,
    claims::{Claim, Claims},
    drive::{Driver, Shared, Taken},
    feed::Feed,
    load::{self, Read, fold},
    purse::{self, Purse},
    record::{Beside, record},
};

/// The runs of a node. Cheap to clone.
pub struct Runs<H> {
    shared: Shared<H>,
    active: Arc<Mutex<Active>>,
    drain: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct Active {
    runs: HashMap<RunId, watch::Receiver<Option<Result<State, Broken>>>>,
    tasks: JoinSet<()>,
}

/// What a run begins with.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Who pursues it.
    pub agent: Agent,
    /// What it is to do.
    pub task: String,
    /// What was said before, where the task goes on with a talk.
    pub earlier: Vec<Turn>,
    /// The account it spends from.
    pub account: Option<String>,
    /// Who wants it.
    pub principal: String,
}

/// What a person says to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A call may be made.
    Approve,
    /// It may not.
    Deny {
        /// Why, for the model.
        why: String,
    },
    /// What became of a call in doubt.
    Resolve(Verdict),
}

/// A run and whether it is being pursued here.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its state.
    pub state: State,
    /// True while a driver of this node is at it.
    pub active: bool,
}

// === impl Runs ===

impl<H> Clone for Runs<H> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), active: Arc::clone(&self.active), drain: Arc::clone(&self.drain) }
    }
}

impl<H> std::fmt::Debug for Runs<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs").finish_non_exhaustive()
    }
}

impl<H: Host> Runs<H> {
    /// The runs of the node that writes this ledger. To be called within a tokio runtime.
    pub fn new(host: Arc<H>, ledger: Ledger) -> Self {
        let (drain, draining) = watch::channel(false);
        let feed = Feed::default();
        tokio::spawn(feed.clone().follow(ledger.clone()));
        Self {
            shared: Shared {
                host,
                ledger,
                feed,
                purse: Purse::default(),
                claims: Claims::default(),
                draining,
            },
            active: Arc::default(),
            drain: Arc::new(drain),
        }
    }

    /// Begins a run.
    ///
    /// # Errors
    /// [`StartError`]: it is not on record, and nothing is done.
    pub async fn begin(&self, begin: Begin) -> Result<RunId, StartError> {
        self.begin_as(fresh()?, begin).await
    }

    /// Begins a run under a name of the caller's, who listens to it already. Of names that were used before none is to be given: see
    /// [`fresh`].
    ///
    /// # Errors
    /// [`StartError`]: it is not on record, and nothing is done.
    pub async fn begin_as(&self, run: RunId, begin: Begin) -> Result<RunId, StartError> {
        if *self.shared.draining.borrow() {
            return Err(StartError::Draining);
        }
        let Begin { agent, task, earlier, account, principal } = begin;
        let started = Started { run: run.clone(), agent, task, earlier, parent: None, account };
        let taken = self::begin(&self.shared, started, Some(Label::clipped(&principal))).await?;
        self.drive(run.clone(), taken);
        Ok(run)
    }

    /// Takes a run up again that is not over; one that is being pursued here is left alone.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn resume(&self, run: &RunId) -> Result<(), StartError> {
        if *self.shared.draining.borrow() {
            return Err(StartError::Draining);
        }
        // Somebody pursues it: whoever else wants it resumed has what they want.
        let Some(claim) = self.shared.claims.claim(run) else { return Ok(()) };
        let taken = take_up(&self.shared, run, claim).await?;
        self.drive(run.clone(), taken);
        Ok(())
    }

    /// Begins a run that shares everything with another up to an event.
    ///
    /// # Errors
    /// [`StartError`], among them that the other is not at rest there.
    pub async fn fork(
        &self,
        from: &RunId,
        at: Option<Seq>,
        agent: Option<Agent>,
        say: Option<String>,
        principal: &str,
    ) -> Result<RunId, StartError> {
        let at = self.rests_at(from, at).await?;
        self.fork_with(from, at, (agent, say), principal, Map::new()).await
    }

    /// The event after which a run stands as it does at this one, or the last one at which it is at rest.
    ///
    /// # Errors
    /// [`StartError`], among them that it is not at rest there.
    pub async fn rests_at(&self, run: &RunId, at: Option<Seq>) -> Result<Seq, StartError> {
        // What was appended a moment ago is to be seen.
        let _durable_or_failing = self.shared.ledger.flush().await;
        let (reader, of) = (self.shared.ledger.reader(), run.clone());
        let facts = blocking(move || load::load(&reader, &of)).await?;
        Ok(at_rest(run, &facts, at)?.last())
    }

    /// Begins a run that shares everything with another up to an event at which that is at rest. `note` is for people.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn fork_with(
        &self,
        from: &RunId,
        at: Seq,
        (agent, say): (Option<Agent>, Option<String>),
        principal: &str,
        note: Map,
    ) -> Result<RunId, StartError> {
        self.shared.purse.open(self.shared.ledger.reader()).await?;
        let run = fresh()?;
        let forked = Forked { run: run.clone(), from: from.clone(), at, agent, say, note };
        let beside = Beside { principal: Some(Label::clipped(principal)), ..Beside::default() };
        let what = What::Forked(Box::new(forked));
        let events = self.shared.feed.listen(&run);
        record(&self.shared.ledger, &run, &what, beside, Durability::Flushed).await?;
        self.shared.purse.fork(&run, from, at);
        let claim = self.shared.claims.wait(&run).await;
        let taken = taken(&self.shared, &run, events, claim).await?;
        self.drive(run.clone(), taken);
        Ok(run)
    }

    /// Carries what somebody decided to a run. Where nobody pursues it, it has to be resumed to hear of it.
    ///
    /// # Errors
    /// [`BadDecision`]: nothing was decided.
    pub async fn decide(
        &self,
        run: &RunId,
        step: StepId,
        decision: Decision,
        by: &str,
    ) -> Result<(), BadDecision> {
        let state = self.state(run).await?;
        if state.ending().is_some() {
            return Err(BadDecision::Over { run: run.clone() });
        }
        let in_doubt = matches!(decision, Decision::Resolve(_));
        if !state.waiting().any(|waiting| waiting.step == step && waiting.in_doubt == in_doubt) {
            let waiting: Vec<String> = state.waiting().map(|w| words(&w)).collect();
            let waiting = if waiting.is_empty() { "nothing".to_owned() } else { waiting.join(", ") };
            return Err(BadDecision::NotAsked { run: run.clone(), step, waiting });
        }
        let by = by.to_owned();
        let what = match decision {
            Decision::Approve => What::ApprovalGranted { step, by },
            Decision::Deny { why } => What::ApprovalDenied { step, by, why },
            Decision::Resolve(verdict) => What::Resolved { step, verdict, by },
        };
        record(&self.shared.ledger, run, &what, Beside::default(), Durability::Flushed).await?;
        Ok(())
    }

    /// Wants a run to end. One that nobody pursues is taken up for that.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn cancel(&self, run: &RunId, by: &str) -> Result<(), StartError> {
        let state = self.state(run).await?;
        if state.ending().is_some() {
            return Err(StartError::Over { run: run.clone() });
        }
        if *self.shared.draining.borrow() {
            return Err(StartError::Draining);
        }
        // On record before anybody takes it up: a run that was paused would go on for a moment, and begin what is to be stopped.
        let what = What::CancelAsked { by: by.to_owned() };
        record(&self.shared.ledger, run, &what, Beside::default(), Durability::Flushed).await?;
        match self.shared.claims.claim(run) {
            Some(claim) => self.drive(run.clone(), take_up(&self.shared, run, claim).await?),
            None => self.end_after(run.clone()),
        }
        Ok(())
    }

    /// Whoever pursues the run hears that it is cancelled, or has just paused it and hears nothing more; then it is ended from here.
    fn end_after(&self, run: RunId) {
        let (runs, mut draining) = (self.clone(), self.shared.draining.clone());
        self.lock().tasks.spawn(async move {
            let claim = tokio::select! {
                biased;
                _ = draining.wait_for(|draining| *draining) => return,
                claim = runs.shared.claims.wait(&run) => claim,
            };
            match take_up(&runs.shared, &run, claim).await {
                Ok(taken) => runs.drive(run, taken),
                Err(StartError::Over { .. }) => {}
                Err(fault) => tracing::warn!(%run, %fault, "a cancelled run is not ended yet"),
            }
        });
    }

    /// A run as it stands.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn show(&self, run: &RunId) -> Result<Known, LoadError> {
        Ok(Known { state: self.state(run).await?, active: self.is_active(run) })
    }

    /// Waits until nobody pursues the run any more: it is over or paused, or its pursuit broke off. At once where nobody does.
    pub async fn finished(&self, run: &RunId) -> Option<Result<State, Broken>> {
        let mut watched = self.lock().runs.get(run)?.clone();
        let ended = watched.wait_for(Option::is_some).await.ok()?;
        ended.clone()
    }

    /// True while a driver of this node is at it.
    #[must_use]
    pub fn is_active(&self, run: &RunId) -> bool {
        self.shared.claims.is_taken(run)
    }

    /// The budgets of accounts, from now on.
    pub fn set_budgets(&self, budgets: BTreeMap<String, Budget>) {
        self.shared.purse.set_budgets(budgets);
    }

    /// What a run has spent and may spend; `None` before the first run of this node began or was taken up.
    #[must_use]
    pub fn left(&self, run: &RunId) -> Option<Left> {
        self.shared.purse.left_of_run(run, self.shared.host.now())
    }

    /// Begins nothing more, and waits for what is under way. Dropping the future leaves the rest in doubt, as a crash would.
    pub async fn drain(&self) {
        self.drain.send_replace(true);
        let mut tasks = std::mem::take(&mut self.lock().tasks);
        while tasks.join_next().await.is_some() {}
    }

    async fn state(&self, run: &RunId) -> Result<State, LoadError> {
        // What was appended a moment ago is to be seen.
        let _durable_or_failing = self.shared.ledger.flush().await;
        let (reader, of) = (self.shared.ledger.reader(), run.clone());
        blocking(move || load::state(&reader, &of, None)).await
    }

    fn drive(&self, run: RunId, taken: Taken) {
        let (sender, receiver) = watch::channel(None);
        let mut active = self.lock();
        active.runs.insert(run.clone(), receiver);
        while active.tasks.try_join_next().is_some() {}
        let (shared, registry) = (self.shared.clone(), Arc::clone(&self.active));
        active.tasks.spawn(async move {
            let host = Arc::clone(&shared.host);
            let result = Driver::new(shared, run.clone(), taken).drive().await;
            if let Err(broken) = &result
                && !matches!(broken, Broken::Draining)
            {
                host.tell(Notice::Broken { run: run.clone(), why: broken.to_string() });
            }
            registry.lock().unwrap_or_else(PoisonError::into_inner).runs.remove(&run);
            sender.send_replace(Some(result));
        });
    }

    fn lock(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the start of a run on record.
pub(crate) async fn begin<H: Host>(
    shared: &Shared<H>,
    started: Started,
    principal: Option<Label>,
) -> Result<Taken, StartError> {
    shared.purse.open(shared.ledger.reader()).await?;
    let run = started.run.clone();
    let claim = shared.claims.wait(&run).await;
    let events = shared.feed.listen(&run);
    let limits = purse::limits(&started.agent);
    let (account, parent) = (started.account.clone(), started.parent.clone());
    let what = What::Started(Box::new(started));
    let body = limits.map(|limits| Map::new().with("budget", limits.to_map())).unwrap_or_default();
    let beside = Beside { body, principal, ..Beside::default() };
    record(&shared.ledger, &run, &what, beside, Durability::Flushed).await?;
    shared.purse.begin(&run, account.as_deref(), parent.as_ref(), limits);
    taken(shared, &run, events, claim).await
}

/// Takes a run up that is not over: what was under way is in doubt from here on.
pub(crate) async fn take_up<H: Host>(
    shared: &Shared<H>,
    run: &RunId,
    claim: Claim,
) -> Result<Taken, StartError> {
    shared.purse.open(shared.ledger.reader()).await?;
    let (reader, of) = (shared.ledger.reader(), run.clone());
    let (mut state, mut decoder, principal) = blocking(move || {
        let Read { facts, decoder, principal } = load::read(&reader, &of)?;
        Ok((fold(&of, &facts)?, decoder, name(principal)))
    })
    .await?;
    if state.status() == Status::Ended {
        return Err(StartError::Over { run: run.clone() });
    }
    let events = shared.feed.listen(run);
    let resumed = record(&shared.ledger, run, &What::Resumed, Beside::default(), Durability::Flushed).await?;
    if let Some(resumed) = resumed {
        shared.purse.forfeit_calls(run, resumed.seq, resumed.time);
    }
    // What came between, and that it was taken up.
    let (reader, of) = (shared.ledger.reader(), run.clone());
    blocking(move || {
        for fact in load::read_on(&reader, &of, state.last(), &mut decoder)? {
            state.apply(&fact).map_err(|fault| LoadError::Impossible { run: of.clone(), fault })?;
        }
        Ok(Taken { claim, principal, state, decoder, events })
    })
    .await
    .map_err(StartError::from)
}

/// Reads what is durable; the rest comes by the events, which were listened to before.
async fn taken<H: Host>(
    shared: &Shared<H>,
    run: &RunId,
    events: crate::feed::Events,
    claim: Claim,
) -> Result<Taken, StartError> {
    let (reader, of) = (shared.ledger.reader(), run.clone());
    blocking(move || {
        let Read { facts, decoder, principal } = load::read(&reader, &of)?;
        Ok(Taken { claim, principal: name(principal), state: fold(&of, &facts)?, decoder, events })
    })
    .await
    .map_err(StartError::from)
}

fn name(principal: Option<Label>) -> Arc<str> {
    principal.map_or_else(|| "cella".into(), |principal| principal.as_str().into())
}

/// The state at an event, or at the last one where the run is at rest.
fn at_rest(run: &RunId, facts: &[Fact], at: Option<Seq>) -> Result<State, StartError> {
    let impossible = |fault| LoadError::Impossible { run: run.clone(), fault };
    let (first, rest) =
        facts.split_first().ok_or_else(|| LoadError::NoSuchRun { run: run.as_str().to_owned() })?;
    let mut state = State::begin(first).map_err(impossible)?;
    let wanted = at.unwrap_or(Seq(u64::MAX));
    let mut quiet = Some(state.clone());
    let mut exact = first.seq == wanted;
    for fact in rest {
        if fact.seq > wanted {
            if quiet.as_ref().is_some_and(|quiet| quiet.last() == state.last()) {
                break;
            }
            state.apply(fact).map_err(impossible)?;
            if state.is_quiet() {
                let (before, after) = (quiet.map(|quiet| quiet.last()), Some(state.last()));
                return Err(StartError::NotAtRest { run: run.clone(), at: wanted, before, after });
            }
            continue;
        }
        state.apply(fact).map_err(impossible)?;
        exact = fact.seq == wanted;
        if state.is_quiet() {
            quiet = Some(state.clone());
        }
    }
    match quiet {
        Some(quiet) if at.is_none() || quiet.last() == state.last() => Ok(quiet),
        quiet => {
            let before = quiet.map(|quiet| quiet.last());
            tracing::debug!(exact, "not at rest");
            Err(StartError::NotAtRest { run: run.clone(), at: wanted, before, after: None })
        }
    }
}

fn words(waiting: &cella_kernel::Waiting) -> String {
    let for_what = if waiting.in_doubt { "in doubt" } else { "for approval" };
    format!("{} ({}, {for_what})", waiting.step, waiting.tool)
}

/// A name that nobody can guess and that is never made twice.
///
/// # Errors
/// The system gives no randomness.
pub fn fresh() -> Result<RunId, StartError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(StartError::NoRandomness)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Two letters and hexadecimal digits are an id.
    RunId::new(format!("r-{digits}")).map_err(|_| StartError::NoRandomness(getrandom::Error::UNSUPPORTED))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|_| Err(cella_ledger::ReadError::Closed.into()))
}
