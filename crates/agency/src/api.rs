//! Runs over the admin door: one method and path each.

use std::sync::Arc;

use cella_agreement::{Budget, Limits, Resource, Window};
use cella_contract::{BudgetPeriod, Config};
use cella_event::{Map, RunId, Seq};
use cella_kernel::{Agent, StepId, Verdict};
use cella_ledger::Ledger;
use cella_luggage::{LEFT, Luggage, LuggageError};
use cella_pursuit::{BadDecision, Begin, Decision, LoadError, Runs, StartError, known_runs};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{AgentError, Crew, view};

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
        let budgets = config.budgets.iter().map(|(account, budget)| {
            let limits = Limits {
                money_micros: budget.money_micros,
                tokens: budget.tokens,
                calls: budget.calls,
                ..Limits::default()
            };
            let window = match budget.per {
                BudgetPeriod::Total => Window::Total,
                BudgetPeriod::Day => Window::Day,
                BudgetPeriod::Month => Window::Month,
            };
            (account.clone(), Budget { limits, window })
        });
        self.runs.set_budgets(budgets.collect());
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
            (false, "", _) => self.list().await.map(Some),
            (true, "", _) => self.begin(parsed(body)?, principal).await.map(Some),
            (false, "agents", "") => Ok(Some(json!({ "schema": "cella/v1", "agents": self.crew.agents() }))),
            (false, run, "") => {
                let run = self.named(run).await?;
                self.show(&run).await.map(Some)
            }
            (true, run, order) => {
                let run = self.named(run).await?;
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

    async fn list(&self) -> Result<Value, ApiError> {
        let _durable_or_failing = self.ledger.flush().await;
        let (reader, runs) = (self.ledger.reader(), self.runs.clone());
        blocking(move || Ok(view::list(&reader, |run| runs.is_active(run))?)).await
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
        let config = self.crew.config(&new.agent)?;
        let agent = self.crew.agent(&new.agent).await?;
        if new.task.trim().is_empty() {
            return Err(ApiError::Request("the task is empty".into()));
        }
        let account = new.account.or(config.account);
        let begin =
            Begin { agent, task: new.task, earlier: Vec::new(), account, principal: principal.to_owned() };
        let run = self.runs.begin(begin).await?;
        Ok(json!({ "schema": "cella/v1", "run": run.as_str() }))
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
                let agent = match &new.agent {
                    Some(name) => Some(self.crew.agent(name).await?),
                    None => None,
                };
                return self
                    .fork(run, (new.at.map(Seq), new.without_files), agent, new.say, principal)
                    .await
                    .map(Some);
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
