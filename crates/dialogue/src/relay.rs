//! Requests that a client wrote itself.

use serde::{Deserialize, Serialize};

use crate::Wire;

/// A request that is not an agent's: a client wrote its body, and it is passed on. Its one turn holds the body as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// What the body is written in.
    pub dialect: Dialect,
    /// Headers that belong to the body (`anthropic-beta`, ...), in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// What clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/embeddings`.
    Embeddings,
}

impl Dialect {
    /// The word in events and in what people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Embeddings => "embeddings",
        }
    }

    /// The path of such requests, behind a base such as `https://api.openai.com/v1`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            Self::Embeddings => "/embeddings",
        }
    }

    /// Whether a provider that is spoken to over this wire takes such a body as it is.
    #[must_use]
    pub const fn is_of(self, wire: Wire) -> bool {
        matches!(
            (self, wire),
            (Self::Chat, Wire::OpenaiChat)
                | (Self::Responses, Wire::OpenaiResponses)
                | (Self::Messages, Wire::AnthropicMessages)
                // Both kinds of provider have them at the same place.
                | (Self::Embeddings, Wire::OpenaiChat | Wire::OpenaiResponses)
        )
    }
}
