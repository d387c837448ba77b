//! Who said what.

use serde::{Deserialize, Serialize};

use crate::Json;

/// One turn of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// The user, or Cella in the user's place.
    User {
        /// What was said.
        text: String,
    },
    /// The model.
    Assistant(Assistant),
    /// What became of the tool calls of the turn before, in their order.
    Tools {
        /// One for each call.
        results: Vec<ToolResult>,
    },
}

/// What a model said in one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assistant {
    /// Its text; empty when it only called tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Tools that it wants called, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// All of it as the wire had it, for that wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbatim: Option<Verbatim>,
}

/// One call that a model wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of it; made up by the wire where a provider has none.
    pub id: String,
    /// The tool, by the name that the request offered.
    pub name: String,
    /// The arguments exactly as the model wrote them; they may be no JSON.
    pub arguments: String,
}

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The id of the call.
    pub call: String,
    /// The tool, by the name that the request offered.
    pub name: String,
    /// What the model is told.
    pub text: String,
    /// The call failed or was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

/// Items of an answer as one wire had them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verbatim {
    /// Which wire.
    pub wire: Wire,
    /// Its own items: what it expects to find in the next request.
    pub items: Json,
}

/// The wires that models are spoken to over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// `POST /v1/chat/completions`, and what is compatible with it.
    OpenaiChat,
    /// `POST /v1/responses`.
    OpenaiResponses,
    /// `POST /v1/messages`.
    AnthropicMessages,
    /// A recording: answers from a file, nothing leaves.
    Cassette,
}

impl Wire {
    /// Every wire.
    pub const ALL: [Self; 4] =
        [Self::OpenaiChat, Self::OpenaiResponses, Self::AnthropicMessages, Self::Cassette];

    /// The word in configuration and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::AnthropicMessages => "anthropic-messages",
            Self::Cassette => "cassette",
        }
    }

    /// The wire of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wire| wire.as_str() == word)
    }
}
