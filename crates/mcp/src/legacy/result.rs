//! Results, list entries, questions and errors as the legacy era writes them.

use serde_json::value::RawValue;

use crate::{META, Object, Raw, RpcError, ask, codes, modern, object, raw, text, walk};

/// A modern result as a legacy client expects it: without `resultType`, caching hints and the modern `_meta` keys.
/// Everything else stays.
///
/// `ttlMs` goes only together with `cacheScope`: alone it is the lifetime of a task, which is no caching hint. A
/// `structuredContent` that is no object, and output schemas of tools that describe none, go too: the schemas of the era
/// know objects only, and its clients refuse the whole result otherwise. The text of the result says the same.
#[must_use]
pub fn result_to_legacy(result: Raw) -> Raw {
    let Some(mut object) = Object::parse(&result) else { return result };
    object.remove("resultType");
    if object.remove("cacheScope") {
        object.remove("ttlMs");
    }
    if object.get("structuredContent").is_some_and(|content| !content.starts_with('{')) {
        object.remove("structuredContent");
    }
    if let Some(tools) = object.get("tools").and_then(tools_to_legacy) {
        object.put("tools", tools);
    }
    object.edit_object_or_remove(META, |meta| {
        meta.remove(modern::SERVER_INFO);
        meta.remove(modern::SUBSCRIPTION_ID);
    });
    if object.is_changed() { object.to_raw() } else { result }
}

/// The entry of a list as a legacy client expects it; `None` when it is fine as it is.
#[must_use]
pub fn item_to_legacy(item: &RawValue) -> Option<Raw> {
    tool_to_legacy(item.get()).map(raw::checked)
}

fn tools_to_legacy(tools: &str) -> Option<String> {
    // Most lists need no change, and a plain search costs less than a walk.
    if !tools.contains("outputSchema") {
        return None;
    }
    let mut changed = false;
    let mut out = String::with_capacity(tools.len());
    for tool in walk::elements(tools)? {
        out.push(if out.is_empty() { '[' } else { ',' });
        match tool_to_legacy(tool) {
            Some(other) => {
                changed = true;
                out.push_str(&other);
            }
            None => out.push_str(tool),
        }
    }
    out.push(']');
    changed.then_some(out)
}

fn tool_to_legacy(tool: &str) -> Option<String> {
    let schema = object::member_text(tool, "outputSchema")?;
    let of_object = object::member_text(schema, "type").and_then(text::unescape);
    if of_object.as_deref() == Some("object") {
        return None;
    }
    let mut object = Object::over(tool)?;
    object.remove("outputSchema");
    Some(object.to_text())
}

/// The params of a question as a legacy client expects them. URL elicitation needs an `elicitationId` there, by which a
/// later notification could refer to it; `fresh` is used where the server gave none.
#[must_use]
pub fn ask_to_legacy(method: &str, params: Option<Raw>, fresh: &str) -> Option<Raw> {
    let params = params?;
    let mut object = match Object::parse(&params) {
        Some(object) if method == ask::ELICIT => object,
        _ => return Some(params),
    };
    if object.get_str("mode").as_deref() == Some("url") && !object.contains("elicitationId") {
        object.set_str("elicitationId", fresh);
    }
    if object.is_changed() { Some(object.to_raw()) } else { Some(params) }
}

/// An error of a modern server as a legacy client expects it: a resource that does not exist has its own code there.
#[must_use]
pub fn error_to_legacy(method: &str, mut error: RpcError) -> RpcError {
    // Only a missing resource carries its URI (2026-07-28, server/resources, Error Handling).
    let names_uri = error.data.as_ref().is_some_and(|d| object::member_text(d.get(), "uri").is_some());
    if method == "resources/read" && error.code == codes::INVALID_PARAMS && names_uri {
        error.code = codes::LEGACY_RESOURCE_NOT_FOUND;
    }
    error
}

#[cfg(test)]
mod tests;
