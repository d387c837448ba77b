//! `initialize`, from both sides (basic/lifecycle of each revision).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    Era, Object, Raw, Revision, RpcError, ServerFacts, capability::capabilities_in, codes,
    facts::UnreadableFacts, raw,
};

/// What a client said in `initialize`.
#[derive(Clone, Debug)]
pub struct Initialize {
    /// The date it asked for.
    pub requested: Box<str>,
    /// What it gets.
    pub revision: Revision,
    /// Its `ClientCapabilities` object; empty when it sent none.
    pub capabilities: Raw,
    /// Its `Implementation` object, for display only.
    pub client_info: Option<Raw>,
}

/// The revision a server answers with: the requested one if it is of this era and known, else the newest of the era
/// (basic/lifecycle, Version Negotiation).
#[must_use]
pub fn negotiate(requested: &str) -> Revision {
    Revision::parse(requested).filter(|r| r.era() == Era::Legacy).unwrap_or(Revision::NEWEST_LEGACY)
}

/// Reads the params of `initialize`.
///
/// # Errors
/// -32602 when `protocolVersion` is missing.
pub fn read_initialize(params: Option<&RawValue>) -> Result<Initialize, RpcError> {
    let object = Object::parse_or_empty(params);
    let requested = object.get_str("protocolVersion").ok_or_else(|| RpcError {
        code: codes::INVALID_PARAMS,
        message: "initialize needs params.protocolVersion".into(),
        data: None,
    })?;
    let part = |key| object.get(key).filter(|v| v.starts_with('{')).map(raw::copied);
    Ok(Initialize {
        revision: negotiate(&requested),
        requested: requested.as_ref().into(),
        capabilities: part("capabilities").unwrap_or_else(|| raw::copied("{}")),
        client_info: part("clientInfo"),
    })
}

/// The result of `initialize`. `serverInfo` is mandatory here, so a server that gave none is called "unknown".
#[must_use]
pub fn initialize_result(facts: &ServerFacts, negotiated: Revision) -> Raw {
    let mut object = Object::empty();
    object.set_str("protocolVersion", negotiated.as_str());
    object.set("capabilities", &capabilities_in(Era::Legacy, &facts.capabilities));
    match &facts.info {
        Some(info) => object.set("serverInfo", info),
        None => object.put("serverInfo", "{\"name\":\"unknown\",\"version\":\"unknown\"}".into()),
    }
    if let Some(instructions) = &facts.instructions {
        object.set_str("instructions", instructions);
    }
    object.to_raw()
}

/// The params of `initialize`.
#[must_use]
pub fn initialize_request(revision: Revision, capabilities: &RawValue, client_info: &RawValue) -> Raw {
    let mut object = Object::empty();
    object.set_str("protocolVersion", revision.as_str());
    object.set("capabilities", &capabilities_in(Era::Legacy, capabilities));
    object.set("clientInfo", client_info);
    object.to_raw()
}

/// Reads the result of `initialize`. The single revision of the facts is the negotiated one.
///
/// # Errors
/// [`UnreadableFacts`] when a required member is missing, or when the server chose a revision that Cella does not speak:
/// the client should then disconnect.
pub fn read_initialize_result(result: &RawValue) -> Result<ServerFacts, UnreadableFacts> {
    let object = Object::parse(result).ok_or(UnreadableFacts { member: "result" })?;
    let version = object.get_str("protocolVersion").and_then(|v| Revision::parse(&v));
    let part = |key| object.get(key).filter(|v| v.starts_with('{')).map(raw::copied);
    Ok(ServerFacts {
        revisions: vec![
            version
                .filter(|r| r.era() == Era::Legacy)
                .ok_or(UnreadableFacts { member: "a known protocolVersion" })?,
        ],
        capabilities: part("capabilities").ok_or(UnreadableFacts { member: "capabilities" })?,
        info: part("serverInfo"),
        instructions: object.get_str("instructions").map(Cow::into_owned),
    })
}

#[cfg(test)]
mod tests;
