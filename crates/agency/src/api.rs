//! Runs over the admin door: one method and path each.

use std::sync::Arc;

use cella_agreement::Resource;
use cella_contract::Config;
use cella_event::{Map, RunId, Seq};
use cella_kernel::{Agent, ModelPolicy, Started, StepId, Target, Verdict, What};
use cella_ledger::Ledger;
use cella_luggage::{LEFT, Luggage, LuggageError};
use cella_pursuit::{BadDecision, Begin, Decision, LoadError, Runs, StartError, known_runs, load};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{AgentError, Crew, NotAllowed, terms::budgets, view};

/// Runs of a node, as its admin door offers them.
#[derive(Clone)]
pub struct Api {
    runs: Runs<Crew>,
    crew: Arc<Crew>,
    ledger: Ledger,
    luggage: Luggage,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The agent cannot be had.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The run was not begun or taken up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What was decided was not taken.
    #[error(transparent)]
    Decision(#[from] BadDecision),
    /// Whoever asks may not do it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The files cannot be taken along.
    #[error(transparent)]
    Luggage(#[from] LuggageError),
    /// The request is wrong.
    #[error("CE1530: {0}")]
    Request(String),
    /// Several runs begin like this.
    #[error("CE1531: more than one run begins with {begin}: {}", found.join(", "))]
    Several {
        /// What was asked for.
        begin: String,
        /// Some of them.
        found: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRun {
    agent: String,
    task: String,
    #[serde(default)]
    account: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    step: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    verdict: Option<String>,
    #[serde(default)]
    result: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewModel {
    model: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFork {
    #[serde(default)]
    at: Option<u64>,
    #[serde(default)]
    say: Option<String>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    without_files: bool,
}

// === impl Api ===

impl Api {
    /// The runs of a crew over a ledger. To be called within a tokio runtime.
    #[must_use]
    pub fn new(crew: Arc<Crew>, ledger: Ledger, luggage: Luggage) -> Self {
        Self { runs: Runs::new(Arc::clone(&crew), ledger.clone()), crew, ledger, luggage }
    }

    /// Takes the budgets of a configuration.
    pub fn set_budgets(&self, config: &Config) {
        self.runs.set_budgets(budgets(config));
    }

    /// The runs themselves.
    #[must_use]
    pub const fn runs(&self) -> &Runs<Crew> {
        &self.runs
    }

    /// Who pursues them.
    #[must_use]
    pub const fn crew(&self) -> &Arc<Crew> {
        &self.crew
    }

    /// Answers `METHOD /api/v1/runs/PATH`; `None` where there is nothing.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn answer(
        &self,
        post: bool,
        path: &str,
        body: &[u8],
        principal: &str,
    ) -> Result<Option<Value>, ApiError> {
        let (run, order) = path.split_once('/').unwrap_or((path, ""));
        match (post, run, order) {
            (false, "", _) => self.list(principal).await.map(Some),
            (true, "", _) => self.begin(parsed(body)?, principal).await.map(Some),
            (false, "agents", "") => {
                Ok(Some(json!({ "schema": "cella/v1", "agents": self.crew.agents_for(principal) })))
            }
            (false, run, "") => {
                let run = self.named(run).await?;
                self.may_see(&run, principal).await?;
                self.show(&run).await.map(Some)
            }
            (true, run, order) => {
                let run = self.named(run).await?;
                self.may_order(&run, order, principal).await?;
                self.order(&run, order, body, principal).await
            }
            (false, ..) => Ok(None),
        }
    }

    /// The run that is meant: by its name, by a beginning of it that no other has, or `last`.
    ///
    /// # Errors
    /// [`ApiError::Several`], or that there is none.
    pub async fn named(&self, text: &str) -> Result<RunId, ApiError> {
        let _durable_or_failing = self.ledger.flush().await;
        let (reader, text) = (self.ledger.reader(), text.to_owned());
        blocking(move || named(&reader, &text)).await
    }

    async fn list(&self, principal: &str) -> Result<Value, ApiError> {
        let _durable_or_failing = self.ledger.flush().await;
        let (reader, runs) = (self.ledger.reader(), self.runs.clone());
        let (own, principal) = (self.is_confined(principal), principal.to_owned());
        blocking(move || {
            let mut list = view::list(&reader, |run| runs.is_active(run))?;
            if let Some(runs) = list["runs"].as_array_mut().filter(|_| own) {
                runs.retain(|run| {
                    let name = run["run"].as_str().and_then(|name| RunId::new(name).ok());
                    name.is_some_and(|name| view::owner(&reader, &name).as_deref() == Some(&*principal))
                });
            }
            Ok(list)
        })
        .await
    }

    /// True for those who see their own runs alone.
    fn is_confined(&self, principal: &str) -> bool {
        self.crew.rights().of(principal).is_some_and(|rights| !rights.admin)
    }

    /// That somebody may look at a run: whoever wants it, and who may decide about it.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub async fn may_see(&self, run: &RunId, principal: &str) -> Result<(), ApiError> {
        if !self.is_confined(principal) || self.owns(run, principal).await? {
            return Ok(());
        }
        Ok(self.crew.rights().approve(principal, &self.agent_of(run).await?)?)
    }

    /// That somebody may do this with a run (`fork`, `cancel`, `approve`, ...).
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub async fn may_order(&self, run: &RunId, order: &str, principal: &str) -> Result<(), ApiError> {
        let (rights, agent) = (self.crew.rights(), self.agent_of(run).await?);
        if matches!(order, "approve" | "deny" | "resolve") {
            return Ok(rights.approve(principal, &agent)?);
        }
        if self.is_confined(principal) && !self.owns(run, principal).await? {
            let what = format!("{order} the run of somebody else");
            return Err(NotAllowed { who: principal.to_owned(), what }.into());
        }
        if matches!(order, "fork" | "replay") { Ok(rights.run(principal, &agent)?) } else { Ok(()) }
    }

    async fn owns(&self, run: &RunId, principal: &str) -> Result<bool, ApiError> {
        let (reader, of) = (self.ledger.reader(), run.clone());
        let owner = blocking(move || Ok(view::owner(&reader, &of))).await?;
        Ok(owner.as_deref() == Some(principal))
    }

    async fn agent_of(&self, run: &RunId) -> Result<String, ApiError> {
        let known = self.runs.show(run).await?;
        Ok(known.state.agent().name.clone())
    }

    async fn show(&self, run: &RunId) -> Result<Value, ApiError> {
        let (reader, of, active) = (self.ledger.reader(), run.clone(), self.runs.is_active(run));
        let mut shown = blocking(move || Ok(view::show(&reader, &of, active)?)).await?;
        if let Some(left) = self.runs.left(run) {
            let amounts = |of: &dyn Fn(Resource) -> Option<u64>| -> Value {
                let pairs = Resource::ALL.into_iter().filter_map(|resource| Some((resource, of(resource)?)));
                pairs
                    .map(|(resource, amount)| (resource.field().to_owned(), Value::from(amount)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            };
            shown["budget"] = json!({
                "limits": amounts(&|resource| left.limits.of(resource)),
                "spent": amounts(&|resource| Some(left.spent.of(resource)).filter(|n| *n > 0)),
                "reserved": amounts(&|resource| Some(left.reserved.of(resource)).filter(|n| *n > 0)),
            });
        }
        Ok(shown)
    }

    async fn begin(&self, new: NewRun, principal: &str) -> Result<Value, ApiError> {
        self.crew.rights().run(principal, &new.agent)?;
        let config = self.crew.config(&new.agent)?;
        let agent = self.crew.agent(&new.agent).await?;
        if new.task.trim().is_empty() {
            return Err(ApiError::Request("the task is empty".into()));
        }
        let account = self.crew.rights().account(principal, new.account, config.account);
        let begin =
            Begin { agent, task: new.task, earlier: Vec::new(), account, principal: principal.to_owned() };
        let run = self.runs.begin(begin).await?;
        Ok(json!({ "schema": "cella/v1", "run": run.as_str() }))
    }

    /// Another model at the task of a run, with the answers that its tools gave then.
    async fn rehearse(&self, of: &RunId, model: &str, principal: &str) -> Result<Value, ApiError> {
        let (reader, from) = (self.ledger.reader(), of.clone());
        let facts = blocking(move || Ok(load(&reader, &from)?)).await?;
        let Some(What::Started(started)) = facts.first().map(|fact| fact.what.clone()) else {
            return Err(LoadError::NoSuchRun { run: of.as_str().to_owned() }.into());
        };
        let other = |why: &str| ApiError::Request(format!("{of} {why}"));
        if started.agent.relay.is_some() {
            return Err(other("is a client's own request: it has no tools to be answered for"));
        }
        if facts.iter().any(|fact| matches!(fact.what, What::Forked(_))) {
            return Err(other("is a fork: name the run that it left"));
        }
        let (provider, name) = model
            .split_once('/')
            .ok_or_else(|| ApiError::Request(format!("expected PROVIDER/MODEL, got {model}")))?;
        if !self.crew.models().names().any(|known| known == provider) {
            let (agent, provider) = (started.agent.name.clone(), provider.to_owned());
            return Err(AgentError::Provider { agent, provider }.into());
        }
        self.crew.rights().ask(principal, model)?;
        let target = Target { provider: provider.to_owned(), model: name.to_owned() };
        let Started { mut agent, task, earlier, account, .. } = *started;
        agent.model = ModelPolicy { deadlines: agent.model.deadlines, ..ModelPolicy::only(target) };
        // Nothing is done that somebody would have to agree to; and another agent's run would be a real one.
        agent.tools.iter_mut().for_each(|tool| tool.approval = false);
        agent.agents.clear();
        agent.rehearses = Some(of.clone());
        let begin = Begin { agent, task, earlier, account, principal: principal.to_owned() };
        let run = self.runs.begin(begin).await?;
        Ok(json!({ "schema": "cella/v1", "run": run.as_str(), "rehearses": of.as_str() }))
    }

    async fn order(
        &self,
        run: &RunId,
        order: &str,
        body: &[u8],
        principal: &str,
    ) -> Result<Option<Value>, ApiError> {
        match order {
            "resume" => self.runs.resume(run).await?,
            "cancel" => self.runs.cancel(run, principal).await?,
            "approve" | "deny" | "resolve" => {
                let word: Word = parsed(body)?;
                let step: StepId =
                    word.step.parse().map_err(|fault| ApiError::Request(format!("{fault}")))?;
                let decision = decision(order, word)?;
                self.runs.decide(run, step, decision, principal).await?;
                // Where nobody pursues it, somebody has to hear it.
                self.runs.resume(run).await?;
            }
            "fork" => {
                let new: NewFork = if body.is_empty() { NewFork::default() } else { parsed(body)? };
                if let Some(name) = &new.agent {
                    self.crew.rights().run(principal, name)?;
                }
                let agent = match &new.agent {
                    Some(name) => Some(self.crew.agent(name).await?),
                    None => None,
                };
                return self
                    .fork(run, (new.at.map(Seq), new.without_files), agent, new.say, principal)
                    .await
                    .map(Some);
            }
            "replay" => {
                let new: NewModel = parsed(body)?;
                return self.rehearse(run, &new.model, principal).await.map(Some);
            }
            _ => return Ok(None),
        }
        Ok(Some(json!({ "schema": "cella/v1", "run": run.as_str() })))
    }
}

impl Api {
    /// Files first: a fork whose files cannot be had is not begun.
    async fn fork(
        &self,
        run: &RunId,
        (at, without_files): (Option<Seq>, bool),
        agent: Option<Agent>,
        say: Option<String>,
        principal: &str,
    ) -> Result<Value, ApiError> {
        let at = self.runs.rests_at(run, at).await?;
        let packed = if without_files { Vec::new() } else { self.luggage.pack(run, at).await? };
        let note = if without_files { Map::new().with(LEFT, true) } else { Map::new() };
        let fork = self.runs.fork_with(run, at, (agent, say), principal, note).await?;
        let files: Vec<Value> = packed.iter().map(view::packed).collect();
        Ok(json!({
            "schema": "cella/v1",
            "run": fork.as_str(),
            "from": run.as_str(),
            "at": at.0,
            "files": files,
            "without_files": without_files,
        }))
    }
}

impl ApiError {
    /// Its code, with a page in `docs/errors`.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Agent(fault) => fault.code().to_owned(),
            Self::Luggage(fault) => fault.code().to_owned(),
            // Each begins with its code; what the ledger says has its own words before it.
            other => {
                let text = other.to_string();
                let code = text.find("CE").map(|at| text[at..].chars().take(6).collect::<String>());
                code.unwrap_or_else(|| "CE1530".into())
            }
        }
    }

    /// What to do.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Agent(AgentError::Unknown { path, .. }) => format!("write {}", path.display()),
            Self::Agent(AgentError::Provider { provider, .. }) => {
                format!("add [providers.{provider}] to the configuration")
            }
            Self::Agent(AgentError::Server { server, .. }) => {
                format!("see how it is: cella status; or take {server} out of the agent's servers")
            }
            Self::Start(StartError::Over { run }) => format!("fork it to go on: cella fork {run}"),
            Self::Start(StartError::Load(LoadError::NoSuchRun { .. }))
            | Self::Load(LoadError::NoSuchRun { .. }) => "see which there are: cella runs".into(),
            Self::Luggage(fault) => fault.fix().to_owned(),
            Self::Several { .. } => "write more of its name".into(),
            Self::NotAllowed(_) => "ask whoever owns the node: [principals] of the configuration".into(),
            Self::Decision(_) => "see what waits: cella show RUN".into(),
            other => format!("see: cella explain {}", other.code()),
        }
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// The run that is meant, in a ledger: by its name, by a beginning of it that no other has, or `last`. Blocking.
///
/// # Errors
/// [`ApiError::Several`], or that there is none.
pub fn named(reader: &cella_ledger::Reader, text: &str) -> Result<RunId, ApiError> {
    let known = known_runs(reader, usize::MAX).map_err(ApiError::Load)?;
    let none = || ApiError::Load(LoadError::NoSuchRun { run: text.to_owned() });
    if text == "last" {
        return known.into_iter().map(|(run, _)| run).next().ok_or_else(none);
    }
    if let Some((run, _)) = known.iter().find(|(run, _)| run.as_str() == text) {
        return Ok(run.clone());
    }
    let begins =
        |run: &RunId| run.as_str().starts_with(text) || run.as_str().starts_with(&format!("r-{text}"));
    let mut found: Vec<String> = known
        .iter()
        .map(|(run, _)| run)
        .filter(|run| begins(run))
        .map(|run| run.as_str().to_owned())
        .collect();
    match found.len() {
        0 => Err(none()),
        1 => RunId::new(found.remove(0)).map_err(|_| none()),
        _ => {
            found.truncate(5);
            Err(ApiError::Several { begin: text.to_owned(), found })
        }
    }
}

fn decision(order: &str, word: Word) -> Result<Decision, ApiError> {
    Ok(match (order, word.verdict.as_deref()) {
        ("approve", None) => Decision::Approve,
        ("deny", None) => Decision::Deny { why: word.why },
        ("resolve", Some("happened")) => Decision::Resolve(Verdict::Happened { result: word.result }),
        ("resolve", Some("not_happened")) => Decision::Resolve(Verdict::NotHappened),
        ("resolve", Some("given_up")) => Decision::Resolve(Verdict::GivenUp),
        _ => return Err(ApiError::Request("expected a verdict: happened, not_happened or given_up".into())),
    })
}

fn parsed<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|fault| ApiError::Request(format!("the request cannot be read: {fault}")))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|_| Err(LoadError::from(cella_ledger::ReadError::Closed).into()))
}
