//! What travels in `_meta` in both eras: progress tokens and trace context.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{Object, Raw, object, raw, text};

/// The member of `params` and of results that holds metadata.
pub const META: &str = "_meta";
pub(crate) const PROGRESS_TOKEN: &str = "progressToken";
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";
const RUN: &str = "io.cella/run";
/// Bytes of a run's name. Stops a client from storing data with us under names; past it the request is refused.
pub const RUN_BYTES_MAX: usize = 128;

/// A request names its run in a way that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRun;

/// Trace context as a request carries it (SEP-414, W3C Trace Context and Baggage).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext<'a> {
    /// Well-formed; a request with a malformed one has no trace context.
    pub traceparent: Cow<'a, str>,
    /// As it came.
    pub tracestate: Option<Cow<'a, str>>,
    /// As it came.
    pub baggage: Option<Cow<'a, str>>,
}

/// The progress token of a request, `params._meta.progressToken`: a string or a number.
#[must_use]
pub fn progress_token(params: Option<&RawValue>) -> Option<&RawValue> {
    let meta = object::member_text(params?.get(), META)?;
    object::member_text(meta, PROGRESS_TOKEN).filter(|t| is_token(t)).map(raw::borrowed)
}

/// `params` with this progress token.
#[must_use]
pub fn with_progress_token(params: Option<&RawValue>, token: &RawValue) -> Raw {
    let mut object = Object::parse_or_empty(params);
    object.edit_object(META, |meta| meta.set(PROGRESS_TOKEN, token));
    object.to_raw()
}

/// `params` without a progress token. `None` when there was none and nothing need be copied.
#[must_use]
pub fn without_progress_token(params: Option<&RawValue>) -> Option<Raw> {
    progress_token(params)?;
    let mut object = Object::parse_or_empty(params);
    object.edit_object_or_remove(META, |meta| {
        meta.remove(PROGRESS_TOKEN);
    });
    Some(object.to_raw())
}

/// The token that a `notifications/progress` names, `params.progressToken`.
#[must_use]
pub fn progress_of(params: Option<&RawValue>) -> Option<&RawValue> {
    object::member_text(params?.get(), PROGRESS_TOKEN).filter(|t| is_token(t)).map(raw::borrowed)
}

/// The params of a `notifications/progress`, with another token.
#[must_use]
pub fn with_progress_of(params: Option<&RawValue>, token: &RawValue) -> Raw {
    let mut object = Object::parse_or_empty(params);
    object.set(PROGRESS_TOKEN, token);
    object.to_raw()
}

/// The run that a request belongs to, `params._meta["io.cella/run"]`: a name that the client gave it, 1 to
/// [`RUN_BYTES_MAX`] visible ASCII characters.
///
/// # Errors
/// [`BadRun`] when there is such a key with anything else.
pub fn run_of(params: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, BadRun> {
    let meta = params.and_then(|params| object::member_text(params.get(), META));
    let Some(run) = meta.and_then(|meta| object::member_text(meta, RUN)) else { return Ok(None) };
    match text::unescape(run) {
        Some(name)
            if (1..=RUN_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Ok(Some(name))
        }
        _ => Err(BadRun),
    }
}

/// The trace context of a request. `None` without a well-formed `traceparent`; the rest means nothing then (W3C Trace
/// Context section 2.2).
#[must_use]
pub fn trace_context(params: Option<&RawValue>) -> Option<TraceContext<'_>> {
    let meta = object::member_text(params?.get(), META)?;
    let read = |key| object::member_text(meta, key).and_then(text::unescape);
    let traceparent = read(TRACEPARENT).filter(|t| is_traceparent(t))?;
    Some(TraceContext { traceparent, tracestate: read(TRACESTATE), baggage: read(BAGGAGE) })
}

/// `params` with this `traceparent` in place of any other; `tracestate` and `baggage` stay, unless the old
/// `traceparent` was malformed, in which case `tracestate` belongs to no trace and is dropped.
#[must_use]
pub fn with_traceparent(params: Option<&RawValue>, traceparent: &str) -> Raw {
    let mut object = Object::parse_or_empty(params);
    object.edit_object(META, |meta| {
        if !meta.get_str(TRACEPARENT).is_some_and(|old| is_traceparent(&old)) {
            meta.remove(TRACESTATE);
        }
        meta.set_str(TRACEPARENT, traceparent);
    });
    object.to_raw()
}

pub(crate) fn is_token(json: &str) -> bool {
    json.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
}

/// W3C Trace Context section 3.2: `version-traceid-parentid-flags`, lower-case hexadecimal, no id all zero.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    let hex = |part: Option<&str>, length: usize| {
        part.is_some_and(|p| p.len() == length && p.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    let not_zero = |part: Option<&str>| part.is_some_and(|p| p.bytes().any(|b| b != b'0'));
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next(), parts.next(), parts.next(), parts.next());
    // A later version may add parts, version 00 has exactly four.
    let ends = version != Some("00") || parts.next().is_none();
    hex(version, 2)
        && version != Some("ff")
        && hex(trace, 32)
        && not_zero(trace)
        && hex(parent, 16)
        && not_zero(parent)
        && hex(flags, 2)
        && ends
}

#[cfg(test)]
mod tests;
