//! What an agent asks a model.

use serde::{Deserialize, Serialize};

use crate::{Json, Relay, Turn};

/// Everything a model is told. The order is that of every wire's prefix (instructions, tools, turns), and each part only
/// grows at its end in the life of a run, so that providers' prompt caches hit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Instructions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// Tools on offer, in the order in which they came to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// The dialogue so far.
    pub turns: Vec<Turn>,
    /// Whether a tool must be called.
    #[serde(default, skip_serializing_if = "ToolChoice::is_auto")]
    pub choice: ToolChoice,
    /// The shape that the final answer must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSchema>,
    /// Most tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// More parameters of the wire (`temperature`, `reasoning`, ...): a JSON object that is merged into its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Json>,
    /// A client wrote all of it: the first turn is its body, and nothing else here says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name: 1 to 64 of `[a-zA-Z0-9_-]`, what all wires accept.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Json,
}

/// Whether the model may, must or must not call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As it sees fit.
    #[default]
    Auto,
    /// None, though tools are listed.
    None,
    /// Some tool.
    Required,
    /// This one.
    Named(String),
}

/// A shape for the final answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// A short name, which some wires ask for.
    pub name: String,
    /// JSON Schema.
    pub schema: Json,
}

impl ToolChoice {
    const fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }
}
