//! Doing one thing that is due: on record before, on record after.

use std::{sync::Arc, time::Duration};

use cella_dialogue::{Failure, FailureClass, Request};
use cella_event::{Label, Map, Micros, RunId};
use cella_kernel::{
    AskId, Deadlines, Effect, EndStatus, Ending, Started, State, StepId, Target, ToCall, What,
};
use cella_ledger::Durability;
use tokio::sync::watch;

use crate::{
    AskOrder, Asked, Broken, CallOrder, Cut, Host, LoadError, Meter, Notice, StartError,
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
                self.write(&What::Unanswered { ask, failure }, Beside::default()).await
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
        let bytes = prepared.as_ref().map(|prepared| prepared.bytes.to_vec()).unwrap_or_default();
        let beside = Beside { payloads: vec![("request", bytes)], ..Beside::default() };
        self.write(&What::Asked { ask, target, digest }, beside).await?;
        let asked = match prepared {
            Ok(prepared) => {
                let meter = Meter { output_tokens_max: None, cut: self.cuts.clone() };
                let order = AskOrder {
                    run: self.run.clone(),
                    prepared,
                    deadlines: self.deadlines,
                    output: request.output.clone(),
                    meter,
                };
                self.shared.host.send(order).await
            }
            Err(failure) => Asked { result: Err(failure), raw: Vec::new(), misfit: None, facts: Map::new() },
        };
        let Asked { result, raw, misfit, facts } = asked;
        let payloads = if raw.is_empty() { Vec::new() } else { vec![("response", raw)] };
        let beside = Beside { body: facts, payloads, principal: None };
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
        self.write(&what, beside).await
    }

    async fn wait(&self, until: Micros) -> Result<(), Broken> {
        let left = until.0.saturating_sub(self.shared.host.now().0);
        if let Ok(left) = u64::try_from(left) {
            tokio::time::sleep(Duration::from_micros(left)).await;
        }
        self.write(&What::Woken { until }, Beside::default()).await
    }

    async fn call(&self, call: ToCall) -> Result<(), Broken> {
        let (run, principal) = (self.run.clone(), Arc::clone(&self.principal));
        let order = CallOrder { run, principal, call, facts: Map::new() };
        self.shared.host.call(order).await
    }

    /// Pursues the run of another agent from its start or from where it is.
    async fn child(&self, step: StepId, run: RunId, agent: &str, task: String) -> Result<(), Broken> {
        self.write(&What::ChildStarted { step, run: run.clone() }, Beside::default()).await?;
        let taken = runs::take_up(&self.shared, &run).await;
        let taken = match taken {
            Err(StartError::Load(LoadError::NoSuchRun { .. })) => {
                match self.shared.host.colleague(agent).await {
                    Ok(agent) => {
                        let started = Started {
                            run: run.clone(),
                            agent,
                            task,
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
                driving.await?
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
