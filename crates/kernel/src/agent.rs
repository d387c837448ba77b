//! An agent as a run knows it: everything that decides what the run does, taken when it starts and kept in its first
//! event, so that a run means the same when files and servers have changed.

use std::collections::BTreeMap;

use cella_contract::Effect;
use cella_dialogue::{Json, OutputSchema, Relay, ToolSpec};
use cella_event::RunId;
use serde::{Deserialize, Serialize};

use crate::ModelPolicy;

/// A resolved manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// What the model is told before everything else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// Which model, and what when it fails.
    pub model: ModelPolicy,
    /// Tools it may call, in the order in which the model is shown them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Agents it may give a task to, each in a run of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Colleague>,
    /// Phases in their order; empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<String>,
    /// It may write on the run's blackboard and read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub board: bool,
    /// The shape of its final answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSchema>,
    /// More parameters of the model's wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Json>,
    /// Where it ends.
    pub limits: Limits,
    /// What a run may spend, by the field of each resource in events (`tokens`, `money_micros`, ...).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub budget: BTreeMap<String, u64>,
    /// Nobody's agent: a client's own request is passed on, and whatever comes back is the end of the run. The task is its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
    /// The calls of this run are made up of what another run heard: nothing is called, and a call that the other one did not make is the
    /// end.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::run")]
    pub rehearses: Option<RunId>,
}

/// A tool that a run may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// As the model is shown it.
    pub spec: ToolSpec,
    /// The server that has it.
    pub server: String,
    /// Its name there.
    pub tool: String,
    /// What a call does to the world: the more cautious of contract and server.
    #[serde(with = "words::effect")]
    pub effect: Effect,
    /// The tool of the same server that takes a call back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// The tool of the same server that says whether a call was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// A human must agree to each call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

/// Another agent that may be given a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colleague {
    /// Its name.
    pub name: String,
    /// What it is good for, for the model.
    pub description: String,
}

/// Where a run ends that does not end by itself. Each stops a model that goes in circles from spending without end; past it
/// the run fails, and says which limit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Answers of the model.
    pub turns: u32,
    /// Calls of tools.
    pub calls: u32,
    /// Calls that run at the same time.
    pub parallel: u32,
    /// Tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// Answers of the wrong shape that are asked again.
    pub output_retries: u32,
    /// Calls of unknown tools, or with arguments that are no JSON object, before the run fails.
    pub bad_calls: u32,
    /// Tries to find out about, or do again, one call that is in doubt, before a human is asked.
    pub tries: u32,
    /// Microseconds from its start; waiting for humans counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_us: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turns: 50,
            calls: 200,
            parallel: 8,
            max_output: None,
            output_retries: 2,
            bad_calls: 5,
            tries: 3,
            time_us: None,
        }
    }
}

mod words {
    pub(super) mod run {
        use cella_event::RunId;
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub(in super::super) fn serialize<S: Serializer>(
            run: &Option<RunId>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match run {
                Some(run) => to.serialize_some(run.as_str()),
                None => to.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<RunId>, D::Error> {
            let name = Option::<String>::deserialize(from)?;
            name.map(|name| RunId::new(name).map_err(|_| D::Error::custom("expected the name of a run")))
                .transpose()
        }
    }

    pub(super) mod effect {
        use cella_contract::Effect;
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub(in super::super) fn serialize<S: Serializer>(effect: &Effect, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(effect.as_str())
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Effect, D::Error> {
            let word = String::deserialize(from)?;
            Effect::parse(&word).ok_or_else(|| D::Error::custom(format!("{word:?} is no effect class")))
        }
    }
}
