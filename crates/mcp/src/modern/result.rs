//! Results as the modern era writes them.

use serde_json::value::RawValue;

use super::request::SERVER_INFO;
use crate::{CacheHints, META, Object, Raw};

/// Adds what a modern result must or should have and this one lacks: `resultType`, the caching hints (only to complete
/// results) and the server's `serverInfo`. Members that are there stay as they are.
#[must_use]
pub fn result_to_modern(result: Raw, hints: Option<CacheHints>, server_info: Option<&RawValue>) -> Raw {
    let Some(mut object) = Object::parse(&result) else { return result };
    if !object.contains("resultType") {
        object.set_str("resultType", "complete");
    }
    if let Some(hints) = hints
        && object.get_str("resultType").as_deref() == Some("complete")
    {
        if !object.contains("ttlMs") {
            object.put("ttlMs", hints.ttl_ms.to_string());
        }
        if !object.contains("cacheScope") {
            object.set_str("cacheScope", hints.scope.as_str());
        }
    }
    if let Some(info) = server_info {
        object.edit_object(META, |meta| {
            if !meta.contains(SERVER_INFO) {
                meta.set(SERVER_INFO, info);
            }
        });
    }
    if object.is_changed() { object.to_raw() } else { result }
}

#[cfg(test)]
mod tests;
