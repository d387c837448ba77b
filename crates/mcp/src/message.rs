//! The JSON-RPC envelope. Bodies (`params`, `result`, `error.data`) stay raw JSON text.

use serde_json::value::RawValue;

use crate::Id;

/// Raw JSON that passes through untouched.
pub type Raw = Box<RawValue>;

/// One JSON-RPC 2.0 message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Expects a response with the same id.
    Request(Request),
    /// Expects none.
    Notification(Notification),
    /// Answers a request.
    Response(Response),
}

/// A call that expects a response.
#[derive(Clone, Debug)]
pub struct Request {
    /// Chosen by the sender, echoed by the receiver.
    pub id: Id,
    /// For example `tools/call`.
    pub method: Box<str>,
    /// A JSON object, or absent.
    pub params: Option<Raw>,
}

/// A message that expects no response.
#[derive(Clone, Debug)]
pub struct Notification {
    /// For example `notifications/progress`.
    pub method: Box<str>,
    /// A JSON object, or absent.
    pub params: Option<Raw>,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Response {
    /// The id of the request; absent when the request could not be read.
    pub id: Option<Id>,
    /// The `result` member, or the `error` member.
    pub outcome: Result<Raw, RpcError>,
}

/// A JSON-RPC error object.
#[derive(Clone, Debug)]
pub struct RpcError {
    /// -32700 … -32600 by JSON-RPC, -32020 … -32022 by MCP 2026-07-28, others by servers.
    pub code: i64,
    /// One sentence for people.
    pub message: String,
    /// Anything the sender wants to add.
    pub data: Option<Raw>,
}
