//! Results and errors as the legacy era writes them.

use crate::{META, Object, Raw, RpcError, codes, modern, object};

/// A modern result as a legacy client expects it: without `resultType`, caching hints and the modern `_meta` keys.
/// Everything else stays.
///
/// `ttlMs` goes only together with `cacheScope`: alone it is the lifetime of a task, which is no caching hint.
#[must_use]
pub fn result_to_legacy(result: Raw) -> Raw {
    let Some(mut object) = Object::parse(&result) else { return result };
    object.remove("resultType");
    if object.remove("cacheScope") {
        object.remove("ttlMs");
    }
    object.edit_object_or_remove(META, |meta| {
        meta.remove(modern::SERVER_INFO);
        meta.remove(modern::SUBSCRIPTION_ID);
    });
    if object.is_changed() { object.to_raw() } else { result }
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
