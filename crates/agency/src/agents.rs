//! Agents' files, read when a run begins: a change holds for the next run, and a run keeps what it began with.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use cella_contract::{AgentConfig, Diagnostics, ModelName, Source};
use cella_dialogue::{Json, OutputSchema};
use cella_kernel::{Agent, Canary, Colleague, Deadlines, Fallback, Limits, ModelPolicy, Target, Tool};

use crate::{Offers, Tools};

/// Longest file of an agent, of instructions or of a schema, in bytes. Stops a wrong path from filling memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file that cannot be read.
const UNREADABLE: &str = "CE1541";

/// The agents of a node.
#[derive(Clone, Debug)]
pub struct Agents {
    dir: PathBuf,
    providers: BTreeSet<String>,
}

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// No file of that name.
    #[error("CE1540: there is no agent {name}: {} is not there{}", path.display(), others(known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where it would be.
        path: PathBuf,
        /// Agents that there are.
        known: Vec<String>,
    },
    /// A file cannot be read.
    #[error("CE1541: {} cannot be read: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The agent's file is wrong.
    #[error("{0}")]
    Wrong(Diagnostics),
    /// A schema that is none.
    #[error("CE1542: the schema of the answers of {agent} is none: {why}")]
    Schema {
        /// Whose.
        agent: String,
        /// Why.
        why: String,
    },
    /// A provider that the configuration does not have.
    #[error("CE1543: {agent} asks the provider {provider}, which the configuration does not have")]
    Provider {
        /// Who.
        agent: String,
        /// Which.
        provider: String,
    },
    /// A server that it names gives no tools.
    #[error("CE1544: {agent} works with the server {server}, which offers no tools now: {why}")]
    Server {
        /// Who.
        agent: String,
        /// Which.
        server: String,
        /// Why.
        why: String,
    },
    /// It may give tasks to an agent that is not there.
    #[error("CE1545: {agent} may give tasks to {colleague}, which is no agent: {why}")]
    Colleague {
        /// Who.
        agent: String,
        /// To whom.
        colleague: String,
        /// Why.
        why: String,
    },
}

impl AgentError {
    /// Its code, with a page in `docs/errors`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "CE1540",
            Self::Unreadable { .. } => UNREADABLE,
            Self::Wrong(faults) => faults.0.first().map_or(UNREADABLE, |fault| fault.code),
            Self::Schema { .. } => "CE1542",
            Self::Provider { .. } => "CE1543",
            Self::Server { .. } => "CE1544",
            Self::Colleague { .. } => "CE1545",
        }
    }
}

impl Agents {
    /// Agents with their files in a directory, and the providers that there are.
    #[must_use]
    pub fn new(dir: PathBuf, providers: impl IntoIterator<Item = String>) -> Self {
        Self { dir, providers: providers.into_iter().collect() }
    }

    /// Names of the agents that there are, in order.
    #[must_use]
    pub fn known(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let named = entries.filter_map(|entry| {
            let path = entry.path();
            (path.extension()? == "toml").then(|| Some(path.file_stem()?.to_str()?.to_owned()))?
        });
        let mut names: Vec<String> = named.collect();
        names.sort();
        names
    }

    /// Reads an agent's file.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn config(&self, name: &str) -> Result<AgentConfig, AgentError> {
        // A name with a slash in it would be a path.
        let path = self.dir.join(format!("{}.toml", name.replace(['/', '\\'], "_")));
        if !path.is_file() {
            return Err(AgentError::Unknown { name: name.to_owned(), path, known: self.known() });
        }
        let text = read(&path)?;
        AgentConfig::parse(name, &path.display().to_string(), &text).map_err(AgentError::Wrong)
    }

    /// What a run of this agent begins with, as files, servers and contracts are now.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn resolve(&self, name: &str, tools: &dyn Tools) -> Result<Agent, AgentError> {
        let config = self.config(name)?;
        self.check(&config)?;
        let offers = tools.offered().await;
        self.assemble(&config, &offers)
    }

    /// An agent as its file would have it, where only a run knows its tools and whom it could give tasks to.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn over(&self, config: &AgentConfig, run: &Agent) -> Result<Agent, AgentError> {
        let selection = &config.tools;
        let tools = run.tools.iter().filter(|tool| selection.offers(&tool.server, &tool.spec.name));
        let tools = tools.map(|tool| Tool {
            approval: selection.approve.wants(&tool.spec.name, tool.effect),
            ..tool.clone()
        });
        let described = |name: &String| {
            let before = run.agents.iter().find(|colleague| colleague.name == *name);
            before.cloned().unwrap_or_else(|| Colleague { name: name.clone(), description: String::new() })
        };
        self.built(config, tools.collect(), config.agents.iter().map(described).collect())
    }

    fn check(&self, config: &AgentConfig) -> Result<(), AgentError> {
        let model = &config.model;
        let canary = model.canary.iter().map(|(name, _)| name);
        let names =
            std::iter::once(&model.first).chain(model.fallbacks.iter().map(|(name, _)| name)).chain(canary);
        for name in names {
            if !self.providers.contains(&name.provider) {
                let (agent, provider) = (config.name.clone(), name.provider.clone());
                return Err(AgentError::Provider { agent, provider });
            }
        }
        Ok(())
    }

    fn assemble(&self, config: &AgentConfig, offers: &Offers) -> Result<Agent, AgentError> {
        let colleagues = config.agents.iter().map(|name| match self.config(name) {
            Ok(other) => Ok(Colleague { name: name.clone(), description: other.description }),
            Err(fault) => Err(AgentError::Colleague {
                agent: config.name.clone(),
                colleague: name.clone(),
                why: fault.to_string(),
            }),
        });
        let agents = colleagues.collect::<Result<_, _>>()?;
        let tools = selected(config, offers)?;
        self.built(config, tools, agents)
    }

    fn built(
        &self,
        config: &AgentConfig,
        tools: Vec<Tool>,
        agents: Vec<Colleague>,
    ) -> Result<Agent, AgentError> {
        let instructions = self.text(&config.instructions)?;
        let output = match &config.output {
            Some((name, schema)) => Some(self.output(&config.name, name, schema)?),
            None => None,
        };
        let extra = config.model.extra.as_ref().and_then(|extra| Json::parse(extra.as_str()).ok());
        Ok(Agent {
            instructions,
            model: policy(config),
            tools,
            agents,
            phases: config.phases.clone(),
            board: config.board,
            output,
            extra,
            limits: limits(config),
            budget: config.budget.clone(),
            name: config.name.clone(),
            relay: None,
            rehearses: None,
        })
    }

    fn output(&self, agent: &str, name: &str, schema: &Source) -> Result<OutputSchema, AgentError> {
        let wrong = |why: String| AgentError::Schema { agent: agent.to_owned(), why };
        let text = self.text(schema)?;
        let value = serde_json::from_str(&text).map_err(|fault| wrong(fault.to_string()))?;
        jsonschema::validator_for(&value).map_err(|fault| wrong(fault.to_string()))?;
        let schema = Json::parse(text).map_err(|fault| wrong(fault.to_string()))?;
        Ok(OutputSchema { name: name.to_owned(), schema })
    }

    fn text(&self, source: &Source) -> Result<String, AgentError> {
        match source {
            Source::Text(text) => Ok(text.clone()),
            Source::File(path) => read(&self.dir.join(path)),
        }
    }
}

/// The tools that an agent is offered. A server that it names and that gives none is an error: an agent without its tools would do
/// something else than what it is for.
fn selected(config: &AgentConfig, offers: &Offers) -> Result<Vec<Tool>, AgentError> {
    for server in config.tools.servers.iter().flatten() {
        let why = match offers.missing.iter().find(|(missing, _)| missing == server) {
            Some((_, why)) => why.clone(),
            None if offers.tools.iter().any(|offer| offer.server == *server) => continue,
            None => "the configuration has no such server, or it has no tools".to_owned(),
        };
        return Err(AgentError::Server { agent: config.name.clone(), server: server.clone(), why });
    }
    let offered = offers.tools.iter().filter(|offer| config.tools.offers(&offer.server, &offer.spec.name));
    Ok(offered
        .map(|offer| Tool {
            spec: offer.spec.clone(),
            server: offer.server.clone(),
            tool: offer.tool.clone(),
            effect: offer.effect,
            undo: offer.undo.clone(),
            probe: offer.probe.clone(),
            approval: config.tools.approve.wants(&offer.spec.name, offer.effect),
        })
        .collect())
}

fn policy(config: &AgentConfig) -> ModelPolicy {
    let target = |name: &ModelName| Target { provider: name.provider.clone(), model: name.model.clone() };
    let model = &config.model;
    let us = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    let fallbacks =
        model.fallbacks.iter().map(|(name, on)| Fallback { target: target(name), on: on.clone() });
    let primary = ModelPolicy::only(target(&model.first));
    ModelPolicy {
        fallbacks: fallbacks.collect(),
        canary: model
            .canary
            .as_ref()
            .map(|(name, percent)| Canary { target: target(name), percent: *percent }),
        retries: model.retries.unwrap_or(primary.retries),
        deadlines: Deadlines {
            first_token_us: us(model.first_token),
            between_tokens_us: us(model.between_tokens),
            total_us: us(model.total),
        },
        ..primary
    }
}

fn limits(config: &AgentConfig) -> Limits {
    let (said, default) = (&config.limits, Limits::default());
    Limits {
        turns: said.turns.unwrap_or(default.turns),
        calls: said.calls.unwrap_or(default.calls),
        parallel: said.parallel.unwrap_or(default.parallel),
        max_output: config.model.max_output.map(u64::from),
        output_retries: said.output_retries.unwrap_or(default.output_retries),
        bad_calls: said.bad_calls.unwrap_or(default.bad_calls),
        tries: said.tries.unwrap_or(default.tries),
        time_us: said.time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
    }
}

fn read(path: &Path) -> Result<String, AgentError> {
    let unreadable = |why: String| AgentError::Unreadable { path: path.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|fault| unreadable(fault.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(unreadable(format!("it has {length} bytes, at most {FILE_BYTES_MAX} are read")));
    }
    std::fs::read_to_string(path).map_err(|fault| unreadable(fault.to_string()))
}

fn others(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; agents are: {}", known.join(", ")) }
}
