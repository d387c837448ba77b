//! From what a provider sent instead of an answer to a class of failure.

use std::time::SystemTime;

use cella_dialogue::{Failure, FailureClass};
use http::HeaderMap;
use serde_json::Value;

/// Longest text of a provider's own error that is kept in a failure, in bytes. The whole of it is in the raw answer.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// A failure that the provider did not put into words.
pub(crate) fn failure(class: FailureClass, message: impl Into<String>) -> Failure {
    Failure { class, status: None, retry_after_ms: None, message: clipped(message.into()) }
}

/// An error response: by its status, and more exactly by the error that its body names.
pub(crate) fn of_response(status: u16, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Failure {
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let error = parsed.as_ref().map(|body| body.get("error").unwrap_or(body));
    let class = error.and_then(class_of_error).unwrap_or_else(|| class_of_status(status));
    let said = error.and_then(message_of);
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned());
    Failure {
        class,
        status: Some(status),
        retry_after_ms: retry_after(headers, now),
        message: clipped(format!("{status}: {}", said.trim())),
    }
}

/// An error in the middle of a stream.
pub(crate) fn of_error(error: &Value) -> Failure {
    let class = class_of_error(error).unwrap_or(FailureClass::Server);
    failure(class, message_of(error).unwrap_or_else(|| error.to_string()))
}

fn message_of(error: &Value) -> Option<String> {
    let text = error.get("message").or(Some(error)).and_then(Value::as_str)?;
    Some(text.to_owned())
}

/// The words by which OpenAI (`code`, `type`) and Anthropic (`type`) name errors, and those of compatible servers.
fn class_of_error(error: &Value) -> Option<FailureClass> {
    let field = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    for word in [field("code"), field("type")] {
        let class = match word {
            "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" => FailureClass::Quota,
            "rate_limit_exceeded" | "rate_limit_error" | "requests" | "tokens" => FailureClass::RateLimited,
            "overloaded_error" | "server_overloaded" | "slow_down" => FailureClass::Overloaded,
            "invalid_api_key" | "authentication_error" | "permission_error" | "invalid_authentication" => {
                FailureClass::Auth
            }
            "model_not_found" | "not_found_error" => FailureClass::NoSuchModel,
            "context_length_exceeded" | "string_above_max_length" | "request_too_large" => {
                FailureClass::TooLong
            }
            "server_error" | "api_error" | "internal_server_error" => FailureClass::Server,
            "timeout_error" => FailureClass::Stalled,
            _ => continue,
        };
        return Some(class);
    }
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    if message.contains("prompt is too long") || message.contains("maximum context length") {
        return Some(FailureClass::TooLong);
    }
    (field("type") == "invalid_request_error").then_some(FailureClass::BadRequest)
}

const fn class_of_status(status: u16) -> FailureClass {
    match status {
        401 | 403 => FailureClass::Auth,
        402 => FailureClass::Quota,
        404 => FailureClass::NoSuchModel,
        408 => FailureClass::Stalled,
        413 => FailureClass::TooLong,
        429 => FailureClass::RateLimited,
        503 | 529 => FailureClass::Overloaded,
        500..=599 => FailureClass::Server,
        _ => FailureClass::BadRequest,
    }
}

/// `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return (ms >= 0.0).then_some(ms as u64);
    }
    let after = text("retry-after")?;
    if let Ok(seconds) = after.parse::<f64>() {
        return (seconds >= 0.0).then_some((seconds * 1_000.0) as u64);
    }
    let date = httpdate::parse_http_date(after).ok()?;
    let wait = date.duration_since(now).unwrap_or_default();
    u64::try_from(wait.as_millis()).ok()
}

fn clipped(text: String) -> String {
    if text.len() <= MESSAGE_BYTES_MAX {
        return text;
    }
    format!("{}…", &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)])
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn class(status: u16, body: &str) -> FailureClass {
        of_response(status, &HeaderMap::new(), body.as_bytes(), UNIX_EPOCH).class
    }

    #[test]
    fn what_a_provider_says_decides_before_its_status() {
        use FailureClass as F;
        let table: [(u16, &str, F); 14] = [
            (
                429,
                r#"{"error":{"code":"insufficient_quota","type":"insufficient_quota","message":"m"}}"#,
                F::Quota,
            ),
            (
                429,
                r#"{"error":{"code":"rate_limit_exceeded","type":"requests","message":"m"}}"#,
                F::RateLimited,
            ),
            (429, "", F::RateLimited),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}"#,
                F::TooLong,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 1 > 0"}}"#,
                F::TooLong,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}"#,
                F::BadRequest,
            ),
            (401, r#"{"error":{"code":"invalid_api_key"}}"#, F::Auth),
            (403, r#"{"type":"error","error":{"type":"permission_error"}}"#, F::Auth),
            (404, r#"{"error":{"code":"model_not_found"}}"#, F::NoSuchModel),
            (
                404,
                r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#,
                F::NoSuchModel,
            ),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                F::Overloaded,
            ),
            (500, "<html>", F::Server),
            (503, "", F::Overloaded),
            (418, "", F::BadRequest),
        ];
        for (status, body, expected) in table {
            assert_eq!(class(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn waits_are_read_in_each_of_their_forms() {
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a value"));
            of_response(429, &headers, b"", UNIX_EPOCH + Duration::from_secs(784_111_770)).retry_after_ms
        };
        assert_eq!(wait("retry-after", "7"), Some(7_000));
        assert_eq!(wait("retry-after", "0.5"), Some(500));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(7_000));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        assert_eq!(wait("retry-after-ms", "250"), Some(250));
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "-1"), None);
    }
}
