//! Capabilities that Cella declares: as one server in front of many, and as a client towards each of them.

use serde_json::value::RawValue;

use crate::{Era, Object, Raw, object, raw};

/// Extensions that Cella carries between both sides: their methods and ids are routed, their results pass. An extension
/// that is not named here is not advertised for an aggregate (2026-07-28, basic/versioning, Extension Negotiation).
pub const CARRIED_EXTENSIONS: [&str; 2] = ["io.modelcontextprotocol/tasks", "io.modelcontextprotocol/ui"];

/// Extensions that need the modern era: a legacy server cannot mean them.
const MODERN_EXTENSIONS: [&str; 1] = ["io.modelcontextprotocol/tasks"];

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

/// What Cella declares in requests of its own, and in a session that serves many clients: everything it can carry, so
/// that no server shortens its lists for it. Whether the client of a particular call has the capability is decided when
/// the server asks ([`crate::has_capability`]).
///
/// `roots` without `listChanged`: that notification names no client, and a server that asks for the roots afterwards does
/// so outside any call, where there is no client to ask. Servers ask again within the next call that needs them.
#[must_use]
pub fn own_client_capabilities() -> Raw {
    raw::copied(
        r#"{"roots":{},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]},"io.modelcontextprotocol/tasks":{}}}"#,
    )
}

/// The capabilities of either side as the words of one era: the core `tasks` of 2025-11-25 are none of the modern era,
/// and an extension that needs the modern era is none of a session's.
#[must_use]
pub(crate) fn capabilities_in(era: Era, capabilities: &RawValue) -> Raw {
    let mut object = Object::parse_or_empty(Some(capabilities));
    match era {
        Era::Modern => {
            object.remove("tasks");
        }
        Era::Legacy => keep_extensions(&mut object, |id| !MODERN_EXTENSIONS.contains(&id)),
    }
    object.to_raw()
}

/// A server's capabilities without the extensions that Cella does not carry (2026-07-28, basic/versioning, Extension
/// Negotiation: both sides must have them).
#[must_use]
pub fn carried_by_both(capabilities: &RawValue) -> Raw {
    let mut object = Object::parse_or_empty(Some(capabilities));
    keep_extensions(&mut object, |id| CARRIED_EXTENSIONS.contains(&id));
    object.to_raw()
}

/// Leaves of the extensions what may stay. Untouched when nothing goes.
fn keep_extensions(object: &mut Object<'_>, may_stay: impl Fn(&str) -> bool) {
    object.edit_object_or_remove("extensions", |extensions| {
        let all = extensions.iter().map(|(id, _)| id.to_owned());
        for id in all.filter(|id| !may_stay(id)).collect::<Vec<_>>() {
            extensions.remove(&id);
        }
    });
}

#[cfg(test)]
mod tests;
