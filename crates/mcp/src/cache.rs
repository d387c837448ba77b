//! How long and by whom a result may be cached (2026-07-28, server/utilities/caching).

use serde_json::value::RawValue;

use crate::Object;

/// The two caching hints, which always go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheHints {
    /// Milliseconds for which the result may be taken as fresh; 0 is stale at once.
    pub ttl_ms: u64,
    /// Who may be served from the cache.
    pub scope: CacheScope,
}

/// Who may be served a cached result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheScope {
    /// Anybody.
    Public,
    /// Only the authorisation context that asked.
    Private,
}

impl CacheScope {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

impl CacheHints {
    /// Stale at once and private: what holds when nothing is said.
    pub const NONE: Self = Self { ttl_ms: 0, scope: CacheScope::Private };

    /// The hints of a result; `None` when neither is there. A missing or negative `ttlMs` is 0, a missing or unknown
    /// `cacheScope` is private.
    #[must_use]
    pub fn read(result: &RawValue) -> Option<Self> {
        Object::parse(result).as_ref().and_then(Self::of_object)
    }

    pub(crate) fn of_object(result: &Object<'_>) -> Option<Self> {
        if !result.contains("ttlMs") && !result.contains("cacheScope") {
            return None;
        }
        let public = result.get_str("cacheScope").as_deref() == Some("public");
        Some(Self {
            ttl_ms: result.get_i64("ttlMs").and_then(|ms| ms.try_into().ok()).unwrap_or(0),
            scope: if public { CacheScope::Public } else { CacheScope::Private },
        })
    }

    /// The hints of something put together from two parts: the shorter time, and private if either is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { ttl_ms: self.ttl_ms.min(other.ttl_ms), scope: self.scope.max(other.scope) }
    }
}
