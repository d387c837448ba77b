//! `server/discover`: what a server says of itself (2026-07-28, server/discover).

use serde_json::value::RawValue;

use super::request::SERVER_INFO;
use crate::{
    Array, CacheHints, Era, META, Object, Raw, Revision, ServerFacts, capability::capabilities_in,
    facts::UnreadableFacts, object, raw,
};

/// The result of `server/discover`. Revisions are listed newest first.
#[must_use]
pub fn discover_result(facts: &ServerFacts, hints: CacheHints) -> Raw {
    let versions: Vec<_> = facts.revisions.iter().rev().map(|r| format!("\"{}\"", r.as_str())).collect();
    let mut object = Object::empty();
    object.set_str("resultType", "complete");
    object.put("supportedVersions", format!("[{}]", versions.join(",")));
    object.set("capabilities", &capabilities_in(Era::Modern, &facts.capabilities));
    if let Some(info) = &facts.info {
        object.edit_object(META, |meta| meta.set(SERVER_INFO, info));
    }
    if let Some(instructions) = &facts.instructions {
        object.set_str("instructions", instructions);
    }
    object.put("ttlMs", hints.ttl_ms.to_string());
    object.set_str("cacheScope", hints.scope.as_str());
    object.to_raw()
}

/// Reads a result of `server/discover`. Revisions that Cella does not speak are left out.
///
/// # Errors
/// [`UnreadableFacts`] when a required member is missing.
pub fn read_discover(result: &RawValue) -> Result<ServerFacts, UnreadableFacts> {
    let object = Object::parse(result).ok_or(UnreadableFacts { member: "result" })?;
    let versions = object.get("supportedVersions").and_then(Array::over);
    let versions = versions.ok_or(UnreadableFacts { member: "supportedVersions" })?;
    let mut revisions: Vec<_> = versions.strings().filter_map(|v| Revision::parse(&v)).collect();
    revisions.sort_unstable();
    revisions.dedup();
    let capabilities = object.get("capabilities").filter(|c| c.starts_with('{'));
    let info = object.get(META).and_then(|meta| object::member_text(meta, SERVER_INFO));
    Ok(ServerFacts {
        revisions,
        capabilities: raw::copied(capabilities.ok_or(UnreadableFacts { member: "capabilities" })?),
        info: info.filter(|i| i.starts_with('{')).map(raw::copied),
        instructions: object.get_str("instructions").map(std::borrow::Cow::into_owned),
    })
}

#[cfg(test)]
mod tests;
