//! Which request methods each legacy revision has, in each direction.

use crate::{Era, Revision};

/// True when clients of this revision may send this request.
#[must_use]
pub fn knows(revision: Revision, method: &str) -> bool {
    if revision.era() != Era::Legacy {
        return false;
    }
    match method {
        "initialize"
        | "ping"
        | "completion/complete"
        | "logging/setLevel"
        | "prompts/get"
        | "prompts/list"
        | "resources/list"
        | "resources/read"
        | "resources/subscribe"
        | "resources/templates/list"
        | "resources/unsubscribe"
        | "tools/call"
        | "tools/list" => true,
        "tasks/get" | "tasks/list" | "tasks/result" | "tasks/cancel" => revision >= Revision::V2025_11_25,
        _ => false,
    }
}

/// True when servers of this revision may send this request.
#[must_use]
pub fn knows_from_server(revision: Revision, method: &str) -> bool {
    if revision.era() != Era::Legacy {
        return false;
    }
    match method {
        "ping" | "roots/list" | "sampling/createMessage" => true,
        "elicitation/create" => revision >= Revision::V2025_06_18,
        "tasks/get" | "tasks/list" | "tasks/result" | "tasks/cancel" => revision >= Revision::V2025_11_25,
        _ => false,
    }
}
