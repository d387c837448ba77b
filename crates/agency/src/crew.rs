//! A node's agents, models and tools together: what a run is pursued with.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use cella_dialogue::{Failure, Request, Usage};
use cella_event::{Micros, RunId};
use cella_kernel::{Agent, Target};
use cella_pursuit::{AskOrder, Asked, Broken, CallOrder, Cost, Host, Notice, Prepared};
use futures_util::future::BoxFuture;

use crate::{AgentError, Agents, Ears, Models, Rights, Tools};

/// Agents, models and tools of a node.
pub struct Crew {
    tools: Arc<dyn Tools>,
    ears: Ears,
    now: RwLock<Arc<Now>>,
}

/// What a configuration says, until the next one.
struct Now {
    agents: Agents,
    models: Models,
    rights: Rights,
}

impl Crew {
    /// A crew with these tools.
    #[must_use]
    pub fn new(tools: Arc<dyn Tools>, agents: Agents, models: Models, rights: Rights) -> Self {
        Self { tools, ears: Ears::default(), now: RwLock::new(Arc::new(Now { agents, models, rights })) }
    }

    /// Takes another configuration; runs go on with the agents that they began with.
    pub fn reload(&self, agents: Agents, models: Models, rights: Rights) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Now { agents, models, rights });
    }

    /// An agent as it is now.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn agent(&self, name: &str) -> Result<Agent, AgentError> {
        let now = self.now();
        now.agents.resolve(name, &*self.tools).await
    }

    /// Names of the agents that there are.
    #[must_use]
    pub fn agents(&self) -> Vec<String> {
        self.now().agents.known()
    }

    /// What an agent's file says.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn config(&self, name: &str) -> Result<cella_contract::AgentConfig, AgentError> {
        self.now().agents.config(name)
    }

    /// Who hears the runs' answers come in.
    #[must_use]
    pub const fn ears(&self) -> &Ears {
        &self.ears
    }

    /// Who may do what, now.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.now().rights.clone()
    }

    /// Names of the agents that somebody may give tasks to.
    #[must_use]
    pub fn agents_for(&self, principal: &str) -> Vec<String> {
        let now = self.now();
        let known = now.agents.known().into_iter();
        known.filter(|agent| now.rights.run(principal, agent).is_ok()).collect()
    }

    /// The providers as they are now.
    #[must_use]
    pub fn models(&self) -> Models {
        self.now().models.clone()
    }

    fn now(&self) -> Arc<Now> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host for Crew {
    fn call(&self, order: CallOrder) -> BoxFuture<'_, Result<bool, Broken>> {
        self.tools.call(order)
    }

    fn cost(&self, target: &Target, usage: Usage) -> Option<Cost> {
        self.now().models.cost(target, usage)
    }

    fn prepare(&self, _run: &RunId, target: &Target, request: &Request) -> Result<Prepared, Failure> {
        self.now().models.prepare(target, request)
    }

    fn send(&self, order: AskOrder) -> BoxFuture<'_, Asked> {
        let now = self.now();
        Box::pin(async move { now.models.send(order, &self.ears).await })
    }

    fn colleague(&self, name: &str) -> BoxFuture<'_, Result<Agent, String>> {
        let name = name.to_owned();
        Box::pin(async move { self.agent(&name).await.map_err(|fault| fault.to_string()) })
    }

    fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn tell(&self, notice: Notice) {
        match notice {
            Notice::Approval { run, step } => {
                tracing::info!(%run, %step, "a call waits for approval: cella approve {run} {step}");
            }
            Notice::Doubt { run, step, why } => {
                tracing::warn!(%run, %step, why, "nobody knows whether a call was done: cella resolve {run} {step}");
            }
            Notice::Paused { run } => tracing::warn!(%run, "a run is paused"),
            Notice::Ended { run } => tracing::info!(%run, "a run is over"),
            Notice::Broken { run, why } => tracing::error!(%run, why, "a run broke off; it can be resumed"),
            _ => {}
        }
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}
