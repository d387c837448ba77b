//! Input by retry: a server answers with what it needs, the client sends the request again with the answers
//! (2026-07-28, basic/patterns/mrtr).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{Object, Raw, object, raw, text, walk};

const INPUT_REQUESTS: &str = "inputRequests";
const INPUT_RESPONSES: &str = "inputResponses";
const REQUEST_STATE: &str = "requestState";

/// One thing a server asks for.
#[derive(Clone, Debug)]
pub struct InputRequest {
    /// Chosen by the server; the answer stands under the same key.
    pub key: Box<str>,
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: Box<str>,
    /// As the server wrote them.
    pub params: Option<Raw>,
}

/// An `input_required` result.
#[derive(Clone, Debug)]
pub struct InputRequired {
    /// What is asked; may be empty when the server only wants the request again.
    pub requests: Vec<InputRequest>,
    /// Opaque; goes back exactly as it came, and only when it came.
    pub request_state: Option<String>,
}

/// An `input_required` result that asks these questions: key, method, params. At least one question or the state must
/// be given (mrtr, Server Requirements).
#[must_use]
pub fn input_required(asks: &[(&str, &str, Option<&RawValue>)], request_state: Option<&str>) -> Raw {
    let mut out = Object::empty();
    out.set_str("resultType", "input_required");
    if !asks.is_empty() {
        out.edit_object(INPUT_REQUESTS, |requests| {
            for (key, method, params) in asks {
                requests.edit_object(key, |request| {
                    request.set_str("method", method);
                    if let Some(params) = params {
                        request.set("params", params);
                    }
                });
            }
        });
    }
    if let Some(state) = request_state {
        out.set_str(REQUEST_STATE, state);
    }
    out.to_raw()
}

/// Reads an `input_required` result; `None` for any other. Questions without a method are left out.
#[must_use]
pub fn read_input_required(result: &RawValue) -> Option<InputRequired> {
    if crate::result_type(result) != "input_required" {
        return None;
    }
    let asked = object::member_text(result.get(), INPUT_REQUESTS).and_then(walk::members);
    let requests = asked.into_iter().flatten().filter_map(|m| {
        Some(InputRequest {
            key: text::unescape_lossy(m.key).into(),
            method: text::unescape(object::member_text(m.value, "method")?)?.into(),
            params: object::member_text(m.value, "params").filter(|p| p.starts_with('{')).map(raw::copied),
        })
    });
    let state = object::member_text(result.get(), REQUEST_STATE).and_then(text::unescape);
    Some(InputRequired { requests: requests.collect(), request_state: state.map(Cow::into_owned) })
}

/// The answers a retry carries, by key, in the client's order.
#[must_use]
pub fn input_responses(params: Option<&RawValue>) -> Vec<(Box<str>, Raw)> {
    let given = params.and_then(|p| object::member_text(p.get(), INPUT_RESPONSES)).and_then(walk::members);
    given.into_iter().flatten().map(|m| (text::unescape_lossy(m.key).into(), raw::copied(m.value))).collect()
}

/// The state a retry carries.
#[must_use]
pub fn request_state(params: Option<&RawValue>) -> Option<Cow<'_, str>> {
    object::member_text(params?.get(), REQUEST_STATE).and_then(text::unescape)
}

/// `params` as the retry that answers these questions. Answers or a state of an earlier round are replaced, and without
/// a state none is sent, as the client must not invent one.
#[must_use]
pub fn with_input_responses(
    params: Option<&RawValue>,
    responses: &[(&str, &RawValue)],
    request_state: Option<&str>,
) -> Raw {
    let mut object = Object::parse_or_empty(params);
    object.remove(INPUT_RESPONSES);
    if !responses.is_empty() {
        object.edit_object(INPUT_RESPONSES, |all| {
            for (key, response) in responses {
                all.set(key, response);
            }
        });
    }
    match request_state {
        Some(state) => object.set_str(REQUEST_STATE, state),
        None => drop(object.remove(REQUEST_STATE)),
    }
    object.to_raw()
}

/// `params` as they were before any retry. `None` when there are none.
#[must_use]
pub fn without_input_responses(params: Option<&RawValue>) -> Option<Raw> {
    let mut object = Object::parse(params?)?;
    object.remove(INPUT_RESPONSES);
    object.remove(REQUEST_STATE);
    Some(object.to_raw())
}

#[cfg(test)]
mod tests;
