//! What can be said of any result without knowing its method.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{object, text};

/// True for a tool result that reports a failure of the tool, `isError`.
#[must_use]
pub fn is_error(result: &RawValue) -> bool {
    object::member_text(result.get(), "isError") == Some("true")
}

/// The `resultType`; "complete" when absent, as 2026-07-28 (basic, ResultType) demands.
#[must_use]
pub fn result_type(result: &RawValue) -> Cow<'_, str> {
    let found = object::member_text(result.get(), "resultType").and_then(text::unescape);
    found.unwrap_or(Cow::Borrowed("complete"))
}
