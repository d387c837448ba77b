//! Error codes of JSON-RPC and of both eras of MCP.

/// Not JSON (JSON-RPC 2.0).
pub const PARSE_ERROR: i64 = -32700;
/// JSON, but no acceptable message (JSON-RPC 2.0).
pub const INVALID_REQUEST: i64 = -32600;
/// Unknown or removed method (JSON-RPC 2.0). HTTP status 404 in the modern era.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Unknown tool, prompt, resource or cursor, or malformed parameters (JSON-RPC 2.0).
pub const INVALID_PARAMS: i64 = -32602;
/// A fault of the receiver (JSON-RPC 2.0).
pub const INTERNAL_ERROR: i64 = -32603;
/// Headers and body disagree (2026-07-28). HTTP status 400.
pub const HEADER_MISMATCH: i64 = -32020;
/// The client lacks a capability; `data.requiredCapabilities` names it (2026-07-28). HTTP status 400.
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
/// The revision is not spoken here; `data` has `supported` and `requested` (2026-07-28). HTTP status 400.
pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
/// Resource not found, until 2025-11-25. Must not be sent to modern peers, which expect [`INVALID_PARAMS`].
pub const LEGACY_RESOURCE_NOT_FOUND: i64 = -32002;
/// A URL elicitation must be finished first, 2025-11-25 only. Must not be sent to modern peers.
pub const LEGACY_URL_ELICITATION_REQUIRED: i64 = -32042;
