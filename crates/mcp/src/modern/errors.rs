//! Refusals of the modern era: each a JSON-RPC error with its HTTP status.

use serde_json::value::RawValue;

use crate::{Array, Id, Object, Raw, Response, Revision, RpcError, codes, object, raw, text};

/// A request that is refused before anything is done.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The HTTP status that goes with it.
    pub status: u16,
    /// What the client is told.
    pub error: RpcError,
}

// === impl Rejection ===

impl Rejection {
    /// A refusal without data.
    #[must_use]
    pub fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self { status, error: RpcError { code, message: message.into(), data: None } }
    }

    /// The answer to the request with this id.
    #[must_use]
    pub fn into_response(self, id: Option<Id>) -> Response {
        Response { id, outcome: Err(self.error) }
    }
}

/// -32022: the revision is not spoken here. Lists every other revision of the endpoint, newest first: a client that
/// also speaks an older era can only fall back when it is told.
#[must_use]
pub fn unsupported_version(requested: &str, supported: &[Revision]) -> Rejection {
    let mut data = String::from("{\"supported\":[");
    let offered = supported.iter().rev().map(|r| r.as_str()).filter(|r| *r != requested);
    for (n, revision) in offered.enumerate() {
        data.push_str(if n > 0 { ",\"" } else { "\"" });
        data.push_str(revision);
        data.push('"');
    }
    data.push_str("],\"requested\":");
    text::push_string(&mut data, requested);
    data.push('}');
    let mut rejection =
        Rejection::new(400, codes::UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version");
    rejection.error.data = Some(raw::checked(data));
    rejection
}

/// -32021: the client has not declared a capability that is needed, as a `ClientCapabilities` object.
#[must_use]
pub fn missing_capability(required: &RawValue) -> Rejection {
    let names: Vec<_> = object_keys(required);
    let message =
        format!("The client has not declared the capability {} that this request needs", names.join(", "));
    let mut rejection = Rejection::new(400, codes::MISSING_CLIENT_CAPABILITY, message);
    rejection.error.data = Some(raw::checked(format!("{{\"requiredCapabilities\":{}}}", required.get())));
    rejection
}

fn object_keys(object: &RawValue) -> Vec<String> {
    Object::parse(object).map(|o| o.iter().map(|(key, _)| key.to_owned()).collect()).unwrap_or_default()
}

/// -32601 with status 404: the method does not exist, or not any more.
#[must_use]
pub fn unknown_method(method: &str) -> Rejection {
    let shown: String = method.chars().take(64).collect();
    Rejection::new(404, codes::METHOD_NOT_FOUND, format!("Method not found: {shown}"))
}

/// True for an error that only a modern server sends: the peer must not be spoken to in the legacy era.
#[must_use]
pub const fn is_modern_error(code: i64) -> bool {
    matches!(
        code,
        codes::HEADER_MISMATCH | codes::MISSING_CLIENT_CAPABILITY | codes::UNSUPPORTED_PROTOCOL_VERSION
    )
}

/// The revisions that a -32022 error offers and Cella speaks, in the server's order.
#[must_use]
pub fn supported_revisions(error: &RpcError) -> Vec<Revision> {
    let listed = error.data.as_ref().and_then(|data| object::member_text(data.get(), "supported"));
    let listed = listed.and_then(Array::over);
    listed.map(|list| list.strings().filter_map(|s| Revision::parse(&s)).collect()).unwrap_or_default()
}

/// An error of a server as a modern client may see it: codes of earlier revisions and codes that the specification
/// reserves for other meanings are replaced (2026-07-28, basic, Error Codes). Message and data stay.
///
/// -32021 stays: it names a capability of the client, whoever asks for it.
#[must_use]
pub fn error_to_modern(mut error: RpcError) -> RpcError {
    error.code = match error.code {
        codes::LEGACY_RESOURCE_NOT_FOUND => codes::INVALID_PARAMS,
        codes::LEGACY_URL_ELICITATION_REQUIRED => codes::INTERNAL_ERROR,
        codes::MISSING_CLIENT_CAPABILITY => codes::MISSING_CLIENT_CAPABILITY,
        -32099..=-32020 => codes::INTERNAL_ERROR,
        code => code,
    };
    error
}

/// An error of a modern server as a modern client of Cella may see it. -32020 and -32022 speak of the request on this hop,
/// which Cella wrote: to the client they would say that its own headers or revision are wrong. They become -32603, with
/// the server's error as `data`. The rest as in [`error_to_modern`].
#[must_use]
pub fn error_of_next_hop(error: RpcError) -> RpcError {
    if !matches!(error.code, codes::HEADER_MISMATCH | codes::UNSUPPORTED_PROTOCOL_VERSION) {
        return error_to_modern(error);
    }
    let mut said = Object::empty();
    said.put("code", error.code.to_string());
    said.set_str("message", &error.message);
    if let Some(data) = &error.data {
        said.set("data", data);
    }
    let mut data = Object::empty();
    data.set("serverError", &said.to_raw());
    RpcError {
        code: codes::INTERNAL_ERROR,
        message: "the server did not accept the form in which the request was passed on to it".into(),
        data: Some(data.to_raw()),
    }
}

/// The URL elicitations that a -32042 error of 2025-11-25 demands, as params of `elicitation/create`. When they are
/// answered the request may be sent again. Empty for other errors.
#[must_use]
pub fn url_elicitations(error: &RpcError) -> Vec<Raw> {
    if error.code != codes::LEGACY_URL_ELICITATION_REQUIRED {
        return Vec::new();
    }
    let listed = error.data.as_ref().and_then(|data| object::member_text(data.get(), "elicitations"));
    let listed = listed.and_then(Array::over);
    listed
        .map(|list| list.iter().filter(|e| e.starts_with('{')).map(raw::copied).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
