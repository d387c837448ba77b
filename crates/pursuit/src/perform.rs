//! Doing one thing that is due: on record before, on record after.

use std::{sync::Arc, time::Duration};

use cella_agreement::{Amounts, Exhausted, ReservationId};
use cella_dialogue::{Failure, FailureClass, Request, Usage};
use cella_event::{CallId, Int, Label, Map, Micros, RunId};
use cella_kernel::{
    AskId, Deadlines, Effect, EndStatus, Ending, Started, State, StepId, Target, ToCall, What,
};
use cella_ledger::Durability;
use tokio::sync::watch;

use crate::{
    AskOrder, Asked, Broken, CallOrder, Cut, Host, LoadError, Meter, Notice, Prepared, StartError,
    drive::Shared,
    load,
    record::{Beside, record},
    runs,
};

/// Longest text of a failure in an event, in bytes. Stops a provider from filling the ledger with its error pages; the whole of it
/// is in the payload.
const WHY_BYTES_MAX: usize = 2_000;

/// One effect of one run.
pub(crate) struct Performing<H> {
    pub(crate) shared: Shared<H>,
    pub(crate) run: RunId,
    pub(crate) account: Option<String>,
    pub(crate) principal: Arc<str>,
    pub(crate) rehearses: Option<RunId>,
    pub(crate) deadlines: Deadlines,
    pub(crate) cuts: watch::Receiver<Option<Cut>>,
}

impl<H: Host> Performing<H> {
    pub(crate) async fn perform(self, effect: Effect, request: Option<Request>) -> Result<(), Broken> {
        match effect {
            Effect::Ask { ask, target, digest } => {
                let Some(request) = request else { return Ok(()) };
                self.ask(ask, target, digest, &request).await
            }
            Effect::Forfeit { ask } => {
                let failure = failure(FailureClass::Cut, "the node ended while the model answered");
                let id = ReservationId::Question(self.run.clone());
                // Nobody knows what the provider will charge for it: it costs what was reserved.
                let spent = self.shared.purse.reserved(&id);
                let body = Map::new().with("spent", spent.to_map());
                let beside = Beside { body, ..Beside::default() };
                self.write_settled(&What::Unanswered { ask, failure }, beside, &id, spent).await
            }
            Effect::Wait { until } => self.wait(until).await,
            Effect::Call(call) => self.call(*call).await,
            Effect::AskApproval { step, server, tool, arguments, effect } => {
                let body =
                    Map::new().with("effect", effect.as_str()).with("server", server).with("tool", tool);
                let payloads = vec![("arguments", arguments.text().as_bytes().to_vec())];
                let beside = Beside { body, payloads, principal: None };
                self.write(&What::ApprovalAsked { step }, beside).await?;
                self.shared.host.tell(Notice::Approval { run: self.run.clone(), step });
                Ok(())
            }
            Effect::AskAboutDoubt { step, server, tool, why } => {
                let body = Map::new().with("server", server).with("tool", tool).with("why", clipped(&why));
                self.write(&What::DoubtAsked { step }, Beside { body, ..Beside::default() }).await?;
                self.shared.host.tell(Notice::Doubt { run: self.run.clone(), step, why });
                Ok(())
            }
            Effect::SetBoard { step, key, value } => {
                self.write(&What::BoardSet { step, key, value }, Beside::default()).await
            }
            Effect::EnterPhase { step, phase } => {
                self.write(&What::PhaseEntered { step, phase }, Beside::default()).await
            }
            Effect::StartChild { step, run, agent, task } => self.child(step, run, &agent, task).await,
            Effect::Pause { code, why } => {
                let why = clipped(&why);
                self.write(&What::Paused { code: code.into(), why }, Beside::default()).await
            }
            Effect::End(ending) => self.write(&What::Ended(ending), Beside::default()).await,
        }
    }

    async fn ask(
        &self,
        ask: AskId,
        target: Target,
        digest: cella_event::Hash,
        request: &Request,
    ) -> Result<(), Broken> {
        let prepared = self.shared.host.prepare(&self.run, &target, request);
        let upper = match self.upper(&target, prepared.as_ref().ok()) {
            Ok(upper) => upper,
            Err(why) => return self.write(&What::OverBudget { why }, Beside::default()).await,
        };
        let id = ReservationId::Question(self.run.clone());
        let purse = &self.shared.purse;
        if let Err(exhausted) = purse.reserve(id.clone(), &self.run, upper, self.shared.host.now()) {
            return self.over_budget(&exhausted).await;
        }
        let bytes = prepared.as_ref().map(|prepared| prepared.bytes.to_vec()).unwrap_or_default();
        let body = Map::new().with("reserve", upper.to_map());
        let beside = Beside { body, payloads: vec![("request", bytes)], principal: None };
        let asked = What::Asked { ask, target: target.clone(), digest };
        if let Err(broken) = self.write(&asked, beside).await {
            purse.release(&id);
            return Err(broken);
        }
        let asked = match prepared {
            Ok(prepared) => {
                // What was reserved is all that there is: an answer that grows past it is broken off.
                let meter = Meter { output_tokens_max: Some(prepared.output_tokens), cut: self.cuts.clone() };
                let order = AskOrder {
                    run: self.run.clone(),
                    prepared,
                    deadlines: self.deadlines,
                    output: request.output.clone(),
                    meter,
                };
                self.shared.host.send(order).await
            }
            Err(failure) => Asked::nothing(failure),
        };
        self.settle_question(ask, &target, asked, &id).await
    }

    async fn settle_question(
        &self,
        ask: AskId,
        target: &Target,
        asked: Asked,
        id: &ReservationId,
    ) -> Result<(), Broken> {
        let Asked { result, raw, usage, misfit, facts } = asked;
        let cost = self.shared.host.cost(target, usage);
        let money_micros = cost.as_ref().map_or(0, |cost| cost.micros);
        let spent = Amounts { tokens: usage.total(), money_micros, ..Amounts::ZERO };
        let mut body = facts.with("spent", spent.to_map());
        if let Some(cost) = cost.filter(|_| usage.total() > 0) {
            body = body.with("price", cost.price);
        }
        let payloads = if raw.is_empty() { Vec::new() } else { vec![("response", raw)] };
        let what = match result {
            Ok(answer) => {
                let misfit = misfit.map(|misfit| clipped(&misfit));
                What::Answered { ask, answer: Box::new(answer), misfit }
            }
            Err(mut failure) => {
                failure.message = clipped(&failure.message);
                What::Unanswered { ask, failure }
            }
        };
        self.write_settled(&what, Beside { body, payloads, principal: None }, id, spent).await
    }

    /// At most what a question costs; `Err`: why that cannot be said.
    fn upper(&self, target: &Target, prepared: Option<&Prepared>) -> Result<Amounts, String> {
        let Some(prepared) = prepared else { return Ok(Amounts::ZERO) };
        let usage =
            Usage { input: prepared.input_tokens, output: prepared.output_tokens, ..Usage::default() };
        // All of the input may go into the provider's cache, which some want more for.
        let written = Usage { cache_write: usage.input, ..usage };
        let costs =
            [usage, written].map(|usage| self.shared.host.cost(target, usage).map(|cost| cost.micros));
        let cost = costs.into_iter().max().flatten();
        if cost.is_none() && self.shared.purse.counts_money(&self.run) {
            return Err(format!(
                "the budget is in money, and nobody knows what {}/{} costs: add [prices.\"{}/{}\"] to the configuration",
                target.provider, target.model, target.provider, target.model
            ));
        }
        Ok(Amounts { tokens: usage.total(), money_micros: cost.unwrap_or_default(), ..Amounts::ZERO })
    }

    async fn over_budget(&self, exhausted: &Exhausted) -> Result<(), Broken> {
        let body = Map::new()
            .with("account", exhausted.account.clone())
            .with("limit", Int::saturating(exhausted.limit))
            .with("resource", exhausted.resource.field());
        self.write(&What::OverBudget { why: exhausted.to_string() }, Beside { body, ..Beside::default() })
            .await
    }

    /// Writes an outcome and settles what was reserved for it.
    async fn write_settled(
        &self,
        what: &What,
        beside: Beside,
        id: &ReservationId,
        spent: Amounts,
    ) -> Result<(), Broken> {
        let appended = record(&self.shared.ledger, &self.run, what, beside, durability(what)).await?;
        if let Some(appended) = appended {
            self.shared.purse.settle(id, spent, appended.seq, appended.time);
        }
        Ok(())
    }

    async fn wait(&self, until: Micros) -> Result<(), Broken> {
        let left = until.0.saturating_sub(self.shared.host.now().0);
        if let Ok(left) = u64::try_from(left) {
            tokio::time::sleep(Duration::from_micros(left)).await;
        }
        self.write(&What::Woken { until }, Beside::default()).await
    }

    async fn call(&self, call: ToCall) -> Result<(), Broken> {
        let upper = Amounts { calls: 1, ..Amounts::ZERO };
        // A name for the book alone: the call's own is made where it is put on record.
        let name = format!("{}-{}-{}", self.run, call.step, call.part.as_str());
        let Ok(name) = CallId::new(name) else {
            return Err(Broken::Impossible("a run's name is too long".into()));
        };
        let id = ReservationId::Call(name);
        let purse = &self.shared.purse;
        if let Err(exhausted) = purse.reserve(id.clone(), &self.run, upper, self.shared.host.now()) {
            return self.over_budget(&exhausted).await;
        }
        let facts = Map::new().with("reserve", upper.to_map());
        let order = CallOrder {
            run: self.run.clone(),
            principal: Arc::clone(&self.principal),
            call,
            rehearses: self.rehearses.clone(),
            facts,
        };
        let made = self.shared.host.call(order).await;
        if matches!(made, Ok(true)) {
            // An outcome that cannot be put on record is heard of by nobody; then the run breaks off, and the call is in doubt.
            self.shared.ledger.flush().await?;
            purse.settle(&id, upper, self.shared.ledger.head().seq, self.shared.host.now());
        } else {
            purse.release(&id);
        }
        made.map(drop)
    }

    /// Pursues the run of another agent from its start or from where it is.
    async fn child(&self, step: StepId, run: RunId, agent: &str, task: String) -> Result<(), Broken> {
        self.write(&What::ChildStarted { step, run: run.clone() }, Beside::default()).await?;
        // Somebody may have resumed it by itself; then this waits until they are done with it.
        let claim = self.shared.claims.wait(&run).await;
        let taken = runs::take_up(&self.shared, &run, claim).await;
        let taken = match taken {
            Err(StartError::Load(LoadError::NoSuchRun { .. })) => {
                match self.shared.host.colleague(agent).await {
                    Ok(agent) => {
                        let started = Started {
                            run: run.clone(),
                            agent,
                            task,
                            earlier: Vec::new(),
                            parent: Some(self.run.clone()),
                            account: self.account.clone(),
                        };
                        let principal = Some(Label::clipped(&self.principal));
                        runs::begin(&self.shared, started, principal).await
                    }
                    Err(why) => return self.child_ended(step, why, true).await,
                }
            }
            other => other,
        };
        let state = match taken {
            Ok(taken) => {
                let driver = crate::drive::Driver::new(self.shared.clone(), run.clone(), taken);
                // A driver contains its children's: without a box it would contain itself.
                let driving: futures_util::future::BoxFuture<'_, _> = Box::pin(driver.drive());
                self.with_child(&run, driving).await?
            }
            Err(StartError::Over { .. }) => {
                let reader = self.shared.ledger.reader();
                let (reader, of) = (reader, run.clone());
                let read = tokio::task::spawn_blocking(move || load::state(&reader, &of, None)).await;
                let read = read.map_err(|e| Broken::Read(e.to_string()))?;
                read.map_err(|e| Broken::Read(e.to_string()))?
            }
            Err(StartError::Append(error)) => return Err(error.into()),
            Err(StartError::Draining) => return Err(Broken::Draining),
            Err(error) => {
                return self.child_ended(step, format!("its run cannot go on: {error}"), true).await;
            }
        };
        let (output, failed) = told(&state);
        self.child_ended(step, output, failed).await
    }

    /// Pursues a child; where nobody wants its answer any more, it is told to end, and puts that on record itself.
    async fn with_child(
        &self,
        child: &RunId,
        mut driving: futures_util::future::BoxFuture<'_, Result<State, Broken>>,
    ) -> Result<State, Broken> {
        let mut cuts = self.cuts.clone();
        let wanted = tokio::select! {
            biased;
            ended = &mut driving => return ended,
            cut = cuts.wait_for(Option::is_some) => cut.is_ok(),
        };
        if !wanted {
            // Whoever could cut is gone, and with them this run: nobody wanted the child to end.
            return driving.await;
        }
        let what = What::CancelAsked { by: self.run.as_str().to_owned() };
        let (told, ended) = tokio::join!(
            record(&self.shared.ledger, child, &what, Beside::default(), Durability::Flushed),
            driving
        );
        told?;
        ended
    }

    async fn child_ended(&self, step: StepId, output: String, failed: bool) -> Result<(), Broken> {
        self.write(&What::ChildEnded { step, output, failed }, Beside::default()).await
    }

    async fn write(&self, what: &What, beside: Beside) -> Result<(), Broken> {
        let beside = match what {
            What::Asked { .. } | What::Paused { .. } => {
                Beside { principal: Some(Label::clipped("cella")), ..beside }
            }
            _ => beside,
        };
        record(&self.shared.ledger, &self.run, what, beside, durability(what)).await?;
        Ok(())
    }
}

/// What must survive the loss of power before anything follows from it.
const fn durability(what: &What) -> Durability {
    match what {
        What::Asked { .. } | What::ChildStarted { .. } | What::Ended(_) | What::Paused { .. } => {
            Durability::Flushed
        }
        _ => Durability::Buffered,
    }
}

/// What another agent's run says to the one that gave the task.
fn told(state: &State) -> (String, bool) {
    match (state.ending(), state.pause()) {
        (Some(Ending { status: EndStatus::Completed, output, .. }), _) => (output.clone(), false),
        (Some(ending), _) => {
            let why = ending.why.as_deref().unwrap_or("no reason given");
            (format!("the agent did not get there ({}): {why}", ending.status.as_str()), true)
        }
        (None, Some((code, why))) => (format!("the agent's run is paused ({code}): {why}"), true),
        (None, None) => ("the agent's run is not over".to_owned(), true),
    }
}

fn failure(class: FailureClass, message: &str) -> Failure {
    Failure { class, status: None, retry_after_ms: None, message: message.to_owned() }
}

fn clipped(text: &str) -> String {
    if text.len() <= WHY_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(WHY_BYTES_MAX)])
}
