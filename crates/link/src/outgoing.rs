//! A call in the words of the server's era.

use std::sync::Arc;

use cella_mcp::{Era, LogLevel, Raw, modern};

use super::{LinkOptions, terms::Terms};
use cella_transport::{Call, Caller};

/// The params of a call as the server must get them. Untouched when caller and server speak the same era.
pub(super) fn adapt(call: &Call, terms: &Terms, options: &LinkOptions) -> Option<Raw> {
    let params = call.params.as_deref();
    let caller = &call.caller;
    match (terms.era(), modern::is_modern_request(params)) {
        (Era::Modern, true) if caller.era() == Era::Modern => call.params.clone(),
        // A legacy caller's own words cannot stand for capabilities that it did not declare.
        (Era::Modern, _) => Some(modern::with_request_meta(
            params,
            terms.revision,
            &caller.capabilities,
            Some(caller.info.as_ref().unwrap_or(&options.info)),
            level(caller),
        )),
        (Era::Legacy, true) => modern::strip_request_meta(params),
        (Era::Legacy, false) => call.params.clone(),
    }
}

/// True when a request may be sent twice without harm to the server, whatever a contract says: it only asks.
pub(super) fn is_repeatable(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "ping"
            | "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "prompts/get"
            | "completion/complete"
            | "subscriptions/listen"
            | "logging/setLevel"
            | "tasks/get"
            | "tasks/list"
            | "resources/subscribe"
            | "resources/unsubscribe"
    )
}

/// Which level a caller wants to hear; `None` is nothing at all, in both eras.
pub(super) fn level(caller: &Arc<Caller>) -> Option<LogLevel> {
    caller.log_level.as_deref().and_then(|name| name.parse().ok())
}
