//! How long and by whom a result may be cached (2026-07-28, server/utilities/caching).

use std::ops::Range;

use serde_json::value::RawValue;

use crate::{Object, Raw, object, raw};

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

/// Where a result says for how long it is fresh, so that what is left of that can be said later without reading the
/// result again.
#[derive(Clone, Debug)]
pub struct TtlPlace {
    at: Range<usize>,
    said_ms: u64,
}

impl TtlPlace {
    /// The place in this result; `None` when it does not say, or says no number of milliseconds.
    #[must_use]
    pub fn find(result: &RawValue) -> Option<Self> {
        let value = object::member_text(result.get(), "ttlMs")?;
        let start = (value.as_ptr() as usize).checked_sub(result.get().as_ptr() as usize)?;
        Some(Self { at: start..start + value.len(), said_ms: value.parse().ok()? })
    }

    /// The same result, which says that it is fresh for `left_ms` when it says more. `result` is the one in which the place
    /// was found.
    #[must_use]
    pub fn at_most(&self, result: &RawValue, left_ms: u64) -> Raw {
        let text = result.get();
        let (Some(before), Some(after)) = (text.get(..self.at.start), text.get(self.at.end..)) else {
            return result.to_owned();
        };
        if left_ms >= self.said_ms {
            return result.to_owned();
        }
        raw::checked(format!("{before}{left_ms}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_json;

    #[test]
    fn what_is_left_replaces_what_was_said_and_nothing_else() {
        let result = raw_json(r#"{"tools":[{"ttlMs":7}], "ttlMs" : 5000,"x":1.0}"#).unwrap();
        let place = TtlPlace::find(&result).unwrap();
        assert_eq!(place.at_most(&result, 1234).get(), r#"{"tools":[{"ttlMs":7}], "ttlMs" : 1234,"x":1.0}"#);
        assert_eq!(place.at_most(&result, 9000).get(), result.get(), "never more than the server said");
        for unsaid in [r#"{"tools":[{"ttlMs":7}]}"#, r#"{"ttlMs":-1}"#, r#"{"ttlMs":"5"}"#] {
            assert!(TtlPlace::find(&raw_json(unsaid).unwrap()).is_none(), "{unsaid}");
        }
    }
}
