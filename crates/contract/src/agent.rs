//! An agent's file, `agents/NAME.toml`: what it is told, which models it asks, which tools it may call, where it ends.

mod parse;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use cella_dialogue::FailureClass;

/// Version of the agent format that this program reads.
pub const AGENT_VERSION: u32 = 1;

/// An agent's file, checked. Files that it names are not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Its name: that of the file.
    pub name: String,
    /// What it is good for, for people and for agents that may give it tasks.
    pub description: String,
    /// What the model is told.
    pub instructions: Source,
    /// Which models are asked.
    pub model: ModelTerms,
    /// Which tools may be called.
    pub tools: ToolSelection,
    /// Agents that it may give tasks to.
    pub agents: Vec<String>,
    /// It has a blackboard.
    pub board: bool,
    /// Phases in their order.
    pub phases: Vec<String>,
    /// The shape of its final answer: a short name, and where the JSON Schema stands.
    pub output: Option<(String, Source)>,
    /// The account it spends from, from the organisation down: `acme/sales/invoices`.
    pub account: Option<String>,
    /// Where it ends.
    pub limits: AgentLimits,
    /// What a run may spend, by the field of each resource in events (`tokens`, `calls`, `money_micros`); empty: the default.
    pub budget: BTreeMap<String, u64>,
}

/// A text in the file, or in a file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// As written.
    Text(String),
    /// In this file, relative to the agent's.
    File(PathBuf),
}

/// A model by its provider's name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The model.
    pub model: String,
}

/// Which models are asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelTerms {
    /// Who is asked first.
    pub first: ModelName,
    /// Who is asked when it fails; after failures of these classes, or of any where another may do better.
    pub fallbacks: Vec<(ModelName, Vec<FailureClass>)>,
    /// A model on trial, and how many of a hundred runs ask it first.
    pub canary: Option<(ModelName, u8)>,
    /// Further attempts with the same model.
    pub retries: Option<u32>,
    /// Most tokens of one answer.
    pub max_output: Option<u32>,
    /// Longest time to the first token.
    pub first_token: Option<Duration>,
    /// Longest silence within an answer.
    pub between_tokens: Option<Duration>,
    /// Longest time of an answer.
    pub total: Option<Duration>,
    /// More parameters of the wire: a JSON object.
    pub extra: Option<String>,
}

/// Which tools may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolSelection {
    /// Of these servers; `None`: of all.
    pub servers: Option<Vec<String>>,
    /// Names or patterns with `*`, as the catalogue offers them; `None`: all.
    pub allow: Option<Vec<String>>,
    /// Left out, even when allowed.
    pub deny: Vec<String>,
    /// Which calls a human must agree to.
    pub approve: Approve,
}

/// Which calls a human must agree to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Approve {
    /// Those that cannot be taken back.
    #[default]
    Irreversible,
    /// All that change something.
    Writes,
    /// All.
    Always,
    /// None.
    Never,
    /// Those with these names or patterns.
    Named(Vec<String>),
}

/// Where an agent ends; `None`: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentLimits {
    /// Answers of the model.
    pub turns: Option<u32>,
    /// Calls of tools.
    pub calls: Option<u32>,
    /// Calls at the same time.
    pub parallel: Option<u32>,
    /// Time from its start.
    pub time: Option<Duration>,
    /// Answers of the wrong shape that are asked again.
    pub output_retries: Option<u32>,
    /// Calls that cannot be made.
    pub bad_calls: Option<u32>,
    /// Tries about a call in doubt.
    pub tries: Option<u32>,
}

impl ToolSelection {
    /// True for a tool that the agent may be offered: by the server that has it, and the name under which it is offered.
    #[must_use]
    pub fn offers(&self, server: &str, name: &str) -> bool {
        let fits = |patterns: &[String]| patterns.iter().any(|p| crate::pattern::fit(p, name).is_some());
        self.servers.as_ref().is_none_or(|servers| servers.iter().any(|s| s == server))
            && self.allow.as_ref().is_none_or(|allow| fits(allow))
            && !fits(&self.deny)
    }
}

impl Approve {
    /// True for a call that a human must agree to.
    #[must_use]
    pub fn wants(&self, name: &str, effect: crate::Effect) -> bool {
        match self {
            Self::Irreversible => effect == crate::Effect::Irreversible,
            Self::Writes => !effect.may_be_repeated(),
            Self::Always => true,
            Self::Never => false,
            Self::Named(patterns) => patterns.iter().any(|p| crate::pattern::fit(p, name).is_some()),
        }
    }
}

#[cfg(test)]
mod tests;
