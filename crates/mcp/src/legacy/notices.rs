//! Small messages of the legacy era: cancellation (which stdio of the modern era shares), log level, resource
//! subscriptions.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{Id, LogLevel, Notification, Object, Raw, RpcError, codes, object, raw, text};

/// `notifications/cancelled` for a request that is no longer wanted.
#[must_use]
pub fn cancelled(id: &Id, reason: Option<&str>) -> Notification {
    let mut params = Object::empty();
    params.put("requestId", id.as_json().to_owned());
    if let Some(reason) = reason {
        params.set_str("reason", reason);
    }
    Notification { method: "notifications/cancelled".into(), params: Some(params.to_raw()) }
}

/// The request that a `notifications/cancelled` names, and why. `None` when it names none: such a notification is
/// ignored (cancellation, Error Handling).
#[must_use]
pub fn read_cancelled(params: Option<&RawValue>) -> Option<(Id, Option<Cow<'_, str>>)> {
    let params = params?.get();
    let id = Id::from_checked(object::member_text(params, "requestId")?)?;
    Some((id, object::member_text(params, "reason").and_then(text::unescape)))
}

/// The level of `logging/setLevel`.
///
/// # Errors
/// -32602 when it is missing or unknown.
pub fn read_level(params: Option<&RawValue>) -> Result<LogLevel, RpcError> {
    LogLevel::of_message(params).ok_or_else(|| invalid("params.level must be a log level"))
}

/// The params of `logging/setLevel`.
#[must_use]
pub fn set_level_params(level: LogLevel) -> Raw {
    raw::checked(format!("{{\"level\":\"{}\"}}", level.as_str()))
}

/// The resource of `resources/subscribe`, `resources/unsubscribe` or `notifications/resources/updated`.
///
/// # Errors
/// -32602 when it is missing.
pub fn read_uri(params: Option<&RawValue>) -> Result<Cow<'_, str>, RpcError> {
    let uri = params.and_then(|p| object::member_text(p.get(), "uri")).and_then(text::unescape);
    uri.ok_or_else(|| invalid("params.uri must be a string"))
}

/// The params of `resources/subscribe` and `resources/unsubscribe`.
#[must_use]
pub fn subscribe_params(uri: &str) -> Raw {
    raw::checked(format!("{{\"uri\":{}}}", text::quoted(uri)))
}

fn invalid(message: &str) -> RpcError {
    RpcError { code: codes::INVALID_PARAMS, message: message.into(), data: None }
}
