//! Which methods the modern era has.

/// Where a method stands in revision 2026-07-28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A request of the core protocol.
    Core,
    /// A request of the tasks extension (SEP-2663).
    Tasks,
    /// Existed in an earlier revision; answered with 404 and -32601.
    Removed,
    /// Not of the specification: a vendor's, or nobody's.
    Unknown,
}

/// Where a request method stands.
#[must_use]
pub fn standing(method: &str) -> Standing {
    match method {
        "server/discover"
        | "completion/complete"
        | "prompts/get"
        | "prompts/list"
        | "resources/list"
        | "resources/templates/list"
        | "resources/read"
        | "subscriptions/listen"
        | "tools/call"
        | "tools/list" => Standing::Core,
        "tasks/get" | "tasks/update" | "tasks/cancel" => Standing::Tasks,
        "initialize"
        | "ping"
        | "logging/setLevel"
        | "resources/subscribe"
        | "resources/unsubscribe"
        | "roots/list"
        | "sampling/createMessage"
        | "elicitation/create"
        | "tasks/list"
        | "tasks/result" => Standing::Removed,
        _ => Standing::Unknown,
    }
}

/// True when complete results must carry `ttlMs` and `cacheScope` (server/utilities/caching).
#[must_use]
pub fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// True when a server may answer with `input_required` (basic/patterns/mrtr, Supported Requests).
#[must_use]
pub fn may_require_input(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}
