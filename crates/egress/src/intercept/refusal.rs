//! What the program in the cell is told when a request goes nowhere: a code and a sentence, for it and for the model that
//! reads its error. Nothing in it is a secret: denials never hold values, and of other cells nothing is said.

use bytes::Bytes;
use cella_secret::Violation;
use http::{HeaderValue, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};

use super::{exchange::Stop, upstream::Body};
use crate::{denial::Denial, record::NO_ANSWER};

/// The answer to a request that goes nowhere.
pub(super) fn refusal(stop: &Stop, version: Version) -> Response<Body> {
    let (status, code, message) = match stop {
        Stop::Denied(denial) | Stop::Known(denial) => (status(denial), denial.code(), message(denial)),
        Stop::Failed(error) => (StatusCode::BAD_GATEWAY, NO_ANSWER, format!("no answer: {error}")),
    };
    let text = format!(
        "{{\"error\":{{\"code\":\"{code}\",\"message\":\"{}\",\"from\":\"cella\"}}}}\n",
        escaped(&message)
    );
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if version != Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

fn status(denial: &Denial) -> StatusCode {
    match denial {
        Denial::Host { .. } | Denial::NoHost { .. } => StatusCode::MISDIRECTED_REQUEST,
        Denial::Body { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Denial::NoValue { .. } | Denial::NoRecord => StatusCode::SERVICE_UNAVAILABLE,
        Denial::ServerTls { .. } | Denial::Answer { .. } => StatusCode::BAD_GATEWAY,
        _ => StatusCode::FORBIDDEN,
    }
}

fn message(denial: &Denial) -> String {
    match denial {
        Denial::Secret(Violation::Foreign { .. }) => "a placeholder that is not this cell's".to_owned(),
        Denial::NoValue { secret, .. } => format!("the value of the secret `{secret}` cannot be had"),
        other => other.to_string(),
    }
}

/// Fit for a JSON string.
fn escaped(text: &str) -> String {
    let one = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}
