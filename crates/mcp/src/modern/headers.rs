//! Headers that mirror the body, checked on the way in and made on the way out (2026-07-28, transports/streamable-http,
//! Request Metadata and Server Validation).

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use super::{errors::Rejection, request::PROTOCOL_VERSION};
use crate::{HeaderParams, META, Request, codes, object, target, text};

/// The header that mirrors the request's revision.
pub const HEADER_VERSION: &str = "mcp-protocol-version";
/// The header that mirrors `method`.
pub const HEADER_METHOD: &str = "mcp-method";
/// The header that mirrors `params.name`, `params.uri` or `params.taskId`.
pub const HEADER_NAME: &str = "mcp-name";
const PARAM_PREFIX: &str = "mcp-param-";
const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";
/// The largest integer that every reader of JSON keeps exact, 2^53 - 1 (streamable-http, Schema Extension).
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Checks the mirrored headers of a request against its body. `get` returns all values of a header, by lower-case name.
///
/// `params` are the mirrored parameters of the tool that is called; `Mcp-Param-*` headers that are not among them are
/// ignored, since an intermediary must forward what it does not know.
///
/// # Errors
/// Status 400 with -32020: a required header is missing, repeated, malformed, or says something else than the body.
pub fn check_headers<'h, I>(
    get: impl Fn(&str) -> I,
    request: &Request,
    params: Option<&HeaderParams>,
) -> Result<(), Rejection>
where
    I: IntoIterator<Item = &'h [u8]>,
{
    let body = request.params.as_deref();
    let version = one(&get, HEADER_VERSION)?.ok_or_else(|| mismatch("MCP-Protocol-Version is missing"))?;
    if let Some(expected) = body_version(body)
        && expected != version
    {
        return Err(differs("MCP-Protocol-Version", version, &expected));
    }
    let method = one(&get, HEADER_METHOD)?.ok_or_else(|| mismatch("Mcp-Method is missing"))?;
    if method != &*request.method {
        return Err(differs("Mcp-Method", method, &request.method));
    }
    let name = target::named_by(&request.method)
        .and_then(|key| object::member_text(body?.get(), key))
        .and_then(text::unescape);
    if let Some(expected) = name {
        let found = one(&get, HEADER_NAME)?.ok_or_else(|| mismatch("Mcp-Name is missing"))?;
        let found = decode_value(found).ok_or_else(|| mismatch("Mcp-Name has invalid base64"))?;
        if found != expected {
            return Err(differs("Mcp-Name", &found, &expected));
        }
    }
    if let (Some(params), "tools/call") = (params, &*request.method) {
        check_params(&get, body, params)?;
    }
    Ok(())
}

fn check_params<'h, I>(
    get: &impl Fn(&str) -> I,
    body: Option<&RawValue>,
    params: &HeaderParams,
) -> Result<(), Rejection>
where
    I: IntoIterator<Item = &'h [u8]>,
{
    let arguments = body.and_then(|b| object::member(b, "arguments"));
    for (param, value) in params.values(arguments) {
        let name = format!("{PARAM_PREFIX}{}", param.header.to_ascii_lowercase());
        let shown = format!("Mcp-Param-{}", param.header);
        let found = one(get, &name)?;
        let (value, found) = match (value, found) {
            (None, None) => continue,
            (None, Some(_)) => {
                return Err(mismatch(format!("{shown} mirrors an argument that is not there")));
            }
            (Some(_), None) => return Err(mismatch(format!("{shown} is missing"))),
            (Some(value), Some(found)) => (value.get(), found),
        };
        let found = decode_value(found).ok_or_else(|| mismatch(format!("{shown} has invalid base64")))?;
        if !same_value(&found, value) {
            return Err(mismatch(format!("{shown} does not match the argument in the body")));
        }
    }
    Ok(())
}

/// The headers a client must send with a request: names in lower case, values encoded.
#[must_use]
pub fn request_headers(request: &Request, params: Option<&HeaderParams>) -> Vec<(Cow<'static, str>, String)> {
    let body = request.params.as_deref();
    let mut headers = Vec::with_capacity(4);
    if let Some(version) = body_version(body) {
        headers.push((Cow::Borrowed(HEADER_VERSION), version.into_owned()));
    }
    headers.push((Cow::Borrowed(HEADER_METHOD), encode_value(&request.method).into_owned()));
    let name = target::named_by(&request.method)
        .and_then(|key| object::member_text(body?.get(), key))
        .and_then(text::unescape);
    if let Some(name) = name {
        headers.push((Cow::Borrowed(HEADER_NAME), encode_value(&name).into_owned()));
    }
    if let (Some(params), "tools/call") = (params, &*request.method) {
        let arguments = body.and_then(|b| object::member(b, "arguments"));
        for (param, value) in params.values(arguments) {
            let Some(value) = value.and_then(|v| plain_value(v.get())) else { continue };
            let name = format!("{PARAM_PREFIX}{}", param.header.to_ascii_lowercase());
            headers.push((Cow::Owned(name), encode_value(&value).into_owned()));
        }
    }
    headers
}

/// A value as it may stand in a header: as it is when that is safe, else in the base64 sentinel (Value Encoding).
#[must_use]
pub fn encode_value(value: &str) -> Cow<'_, str> {
    // A tab is legal inside a value, but proxies fold it into a space; encoded it arrives as it went.
    let visible = value.bytes().all(|b| matches!(b, b' '..=b'~'));
    let padded = value.starts_with(' ') || value.ends_with(' ');
    if visible && !padded && sentinel(value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{SENTINEL_START}{}{SENTINEL_END}", STANDARD.encode(value)))
}

/// The value a header stands for. `None` when it is a sentinel whose content is not strict base64 of UTF-8.
#[must_use]
pub fn decode_value(header: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = sentinel(header) else { return Some(Cow::Borrowed(header)) };
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned)
}

fn sentinel(value: &str) -> Option<&str> {
    value.strip_prefix(SENTINEL_START)?.strip_suffix(SENTINEL_END)
}

fn body_version(params: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let meta = object::member_text(params?.get(), META)?;
    text::unescape(object::member_text(meta, PROTOCOL_VERSION)?)
}

/// The only value of a header, white space around it cut off. Two values are refused even when they are equal: which
/// of them another reader takes is not ours to guess.
fn one<'h, I>(get: &impl Fn(&str) -> I, name: &str) -> Result<Option<&'h str>, Rejection>
where
    I: IntoIterator<Item = &'h [u8]>,
{
    let mut values = get(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(mismatch(format!("{name} is there twice")));
    }
    let valid = value.iter().all(|b| matches!(b, b'\t' | b' '..=b'~'));
    let value = std::str::from_utf8(value).ok().filter(|_| valid);
    let value = value.ok_or_else(|| mismatch(format!("{name} has invalid characters")))?;
    Ok(Some(value.trim_matches([' ', '\t'])))
}

/// A primitive argument as text; `None` for objects, arrays and `null`, which no header can mirror.
fn plain_value(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first()? {
        b'"' => text::unescape(json),
        b'{' | b'[' | b'n' => None,
        b't' | b'f' => Some(Cow::Borrowed(json)),
        _ => Some(decimal(json)),
    }
}

/// A JSON number without exponent or zero fraction where that is exact: `42.0` and `4.2e1` are `42` in a header.
fn decimal(json: &str) -> Cow<'_, str> {
    let plain = json.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    match json.parse::<f64>() {
        Ok(n) if !plain && n.fract() == 0.0 && n.abs() <= SAFE_INTEGER_MAX => Cow::Owned(format!("{n:.0}")),
        _ => Cow::Borrowed(json),
    }
}

fn same_value(header: &str, json: &str) -> bool {
    let Some(expected) = plain_value(json) else { return false };
    if header == expected {
        return true;
    }
    let number = |s: &str| s.parse::<f64>().ok().filter(|n| n.abs() <= SAFE_INTEGER_MAX);
    let numeric = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    numeric && number(header).is_some_and(|n| number(json) == Some(n))
}

fn differs(name: &str, header: &str, body: &str) -> Rejection {
    let cut = |s: &str| s.chars().take(128).collect::<String>();
    mismatch(format!("{name} header value '{}' does not match body value '{}'", cut(header), cut(body)))
}

fn mismatch(what: impl AsRef<str>) -> Rejection {
    Rejection::new(400, codes::HEADER_MISMATCH, format!("Header mismatch: {}", what.as_ref()))
}

#[cfg(test)]
mod tests;
