//! What every modern request says of itself in `params._meta` (2026-07-28, basic, Per-request protocol fields).

use serde_json::value::RawValue;

use super::errors::{Rejection, unsupported_version};
use crate::{Era, LogLevel, META, Object, Raw, Revision, codes, meta, object, raw, text, walk};

/// `_meta` key: the revision of the request. Required.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` key: the client's capabilities for this request. Required.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` key: the client's name and version, for display only.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// `_meta` key: the least level of log messages wanted for this request; absent means none.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` key of notifications: the listen request they belong to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// `_meta` key of results: the server's name and version, for display only.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// The metadata of one request.
#[derive(Clone, Debug)]
pub struct RequestMeta {
    /// The revision it is written in; always a modern one.
    pub revision: Revision,
    /// The client's `ClientCapabilities` object. Holds for this request and no other.
    pub capabilities: Raw,
    /// The client's `Implementation` object, if it is one.
    pub client_info: Option<Raw>,
    /// The least level of log messages; `None` means none may be sent.
    pub log_level: Option<LogLevel>,
    /// Under which progress may be reported.
    pub progress_token: Option<Raw>,
}

/// True when `params._meta` names a protocol version: the sender speaks the modern era, whatever else is wrong.
#[must_use]
pub fn is_modern_request(params: Option<&RawValue>) -> bool {
    meta_text(params).is_some_and(|meta| object::member_text(meta, PROTOCOL_VERSION).is_some())
}

fn meta_text(params: Option<&RawValue>) -> Option<&str> {
    object::member_text(params?.get(), META).filter(|meta| meta.starts_with('{'))
}

// === impl RequestMeta ===

impl RequestMeta {
    /// Reads the metadata of a request. `supported` are the revisions of the endpoint, of both eras.
    ///
    /// # Errors
    /// Status 400 with -32602 when a required field is missing or malformed, with -32022 when the revision is not a
    /// supported modern one.
    pub fn read(params: Option<&RawValue>, supported: &[Revision]) -> Result<Self, Rejection> {
        let meta = meta_text(params).ok_or_else(|| malformed("params._meta is missing or no object"))?;
        let mut found = Found::default();
        for member in walk::members(meta).into_iter().flatten() {
            found.take(&text::unescape_lossy(member.key), member.value);
        }
        let version = found
            .version
            .and_then(text::unescape)
            .ok_or_else(|| malformed("params._meta lacks io.modelcontextprotocol/protocolVersion"))?;
        let revision = Revision::parse(&version)
            .filter(|r| r.era() == Era::Modern && supported.contains(r))
            .ok_or_else(|| unsupported_version(&version, supported))?;
        let is_object = |json: &&str| json.starts_with('{');
        let capabilities = found
            .capabilities
            .filter(is_object)
            .ok_or_else(|| malformed("params._meta lacks io.modelcontextprotocol/clientCapabilities"))?;
        let log_level = found
            .log_level
            .map(|level| text::unescape(level).and_then(|l| l.parse().ok()))
            .map(|level| level.ok_or_else(|| malformed("io.modelcontextprotocol/logLevel names no level")))
            .transpose()?;
        Ok(Self {
            revision,
            capabilities: raw::copied(capabilities),
            client_info: found.client_info.filter(is_object).map(raw::copied),
            log_level,
            progress_token: found.progress_token.filter(|t| meta::is_token(t)).map(raw::copied),
        })
    }
}

/// The members that matter, as JSON text.
#[derive(Default)]
struct Found<'a> {
    version: Option<&'a str>,
    capabilities: Option<&'a str>,
    client_info: Option<&'a str>,
    log_level: Option<&'a str>,
    progress_token: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn take(&mut self, key: &str, value: &'a str) {
        match key {
            PROTOCOL_VERSION => self.version = Some(value),
            CLIENT_CAPABILITIES => self.capabilities = Some(value),
            CLIENT_INFO => self.client_info = Some(value),
            LOG_LEVEL => self.log_level = Some(value),
            meta::PROGRESS_TOKEN => self.progress_token = Some(value),
            _ => {}
        }
    }
}

fn malformed(message: &str) -> Rejection {
    Rejection::new(400, codes::INVALID_PARAMS, message)
}

/// `params` with the metadata a modern server demands; metadata that is there already is replaced, except that a log
/// level is only set when given.
#[must_use]
pub fn with_request_meta(
    params: Option<&RawValue>,
    revision: Revision,
    capabilities: &RawValue,
    client_info: Option<&RawValue>,
    log_level: Option<LogLevel>,
) -> Raw {
    let mut object = Object::parse_or_empty(params);
    object.edit_object(META, |meta| {
        meta.set_str(PROTOCOL_VERSION, revision.as_str());
        if let Some(info) = client_info {
            meta.set(CLIENT_INFO, info);
        }
        meta.set(CLIENT_CAPABILITIES, capabilities);
        if let Some(level) = log_level {
            meta.set_str(LOG_LEVEL, level.as_str());
        }
    });
    object.to_raw()
}

/// `params` without what only the modern era knows: the request metadata, `inputResponses` and `requestState`. Progress
/// token, trace context and unknown `_meta` keys stay; a `_meta` left empty goes. `None` when there are no params.
#[must_use]
pub fn strip_request_meta(params: Option<&RawValue>) -> Option<Raw> {
    let mut object = Object::parse(params?)?;
    object.edit_object_or_remove(META, |meta| {
        for key in [PROTOCOL_VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, LOG_LEVEL] {
            meta.remove(key);
        }
    });
    object.remove("inputResponses");
    object.remove("requestState");
    Some(object.to_raw())
}

#[cfg(test)]
mod tests;
