//! Capabilities that Cella declares: as one server in front of many, and as a client towards each of them.

use serde_json::value::RawValue;

use crate::{Object, Raw, object, raw};

/// Extensions that Cella carries between both sides: their methods and ids are routed, their results pass. An extension
/// that is not named here is not advertised for an aggregate (2026-07-28, basic/versioning, Extension Negotiation).
pub const CARRIED_EXTENSIONS: [&str; 2] = ["io.modelcontextprotocol/tasks", "io.modelcontextprotocol/ui"];

/// The capabilities of many servers as those of one.
///
/// A list is offered when any server offers it, always with `listChanged`, because servers come and go behind Cella.
/// `subscribe` is offered when any server does; `completions` and `logging` likewise; of extensions the carried ones,
/// with the settings of the first server that has them. The `tasks` capability of 2025-11-25 is left out: task lists of
/// several servers cannot be one list.
#[must_use]
pub fn merge_server_capabilities<'a>(servers: impl IntoIterator<Item = &'a RawValue>) -> Raw {
    let mut merged = Object::empty();
    let mut extensions = Object::empty();
    for server in servers {
        let Some(server) = Object::parse(server) else { continue };
        let has = |key: &str| server.get(key).is_some_and(|v| v.starts_with('{'));
        for list in ["tools", "prompts", "resources"].into_iter().filter(|key| has(key)) {
            merged.edit_object(list, |l| l.set_bool("listChanged", true));
        }
        let resources = server.get("resources");
        if resources.and_then(|r| object::member_text(r, "subscribe")) == Some("true") {
            merged.edit_object("resources", |r| r.set_bool("subscribe", true));
        }
        for plain in ["completions", "logging"].into_iter().filter(|key| has(key)) {
            merged.put(plain, "{}".into());
        }
        for id in CARRIED_EXTENSIONS {
            let settings = server.get("extensions").and_then(|e| object::member_text(e, id));
            if let Some(settings) = settings.filter(|_| !extensions.contains(id)) {
                extensions.put(id, settings.to_owned());
            }
        }
    }
    if !extensions.is_empty() {
        merged.put("extensions", extensions.to_text());
    }
    merged.to_raw()
}

/// True when a server's capabilities offer something, for example `tools` or `completions`.
#[must_use]
pub fn offers(capabilities: &RawValue, key: &str) -> bool {
    object::member_text(capabilities.get(), key).is_some_and(|v| v.starts_with('{'))
}

/// What Cella declares towards a legacy server, whose session serves many clients: everything it can carry. Whether the
/// client of a particular call has the capability is decided when the server asks ([`crate::has_capability`]).
///
/// `roots` without `listChanged`: that notification names no client, and a server that asks for the roots afterwards does
/// so outside any call, where there is no client to ask. Servers ask again within the next call that needs them.
#[must_use]
pub fn own_client_capabilities() -> Raw {
    raw::copied(
        "{\"roots\":{},\"sampling\":{\"tools\":{},\"context\":{}},\"elicitation\":{\"form\":{},\"url\":{}}}",
    )
}

#[cfg(test)]
mod tests;
