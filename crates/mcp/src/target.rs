//! What a request is aimed at: the tool, prompt, resource or task it names, and how to name another.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{Object, Raw, object, text};

/// What kind of thing a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// `tools/call`
    Tool,
    /// `prompts/get`, and `completion/complete` for a prompt
    Prompt,
    /// `resources/read`, `resources/subscribe`, `resources/unsubscribe`
    Resource,
    /// `completion/complete` for a resource template
    ResourceTemplate,
    /// `tasks/get`, `tasks/update`, `tasks/cancel` (extension), `tasks/result` (2025-11-25)
    Task,
}

/// The thing a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its kind.
    pub kind: TargetKind,
    /// Tool or prompt name, resource URI, URI template or task id.
    pub name: Cow<'a, str>,
}

/// Where the name stands in `params`.
#[derive(Clone, Copy)]
enum Place {
    Member(&'static str),
    InRef,
}

/// What the request is aimed at; `None` when the method has no target or `params` does not name one with a string.
#[must_use]
pub fn call_target<'a>(method: &str, params: Option<&'a RawValue>) -> Option<Target<'a>> {
    let params = params?.get();
    let (kind, place) = place(method)?;
    match place {
        Place::Member(key) => Some(Target { kind, name: text::unescape(object::member_text(params, key)?)? }),
        Place::InRef => {
            let reference = object::member_text(params, "ref")?;
            let (kind, key) = reference_key(reference)?;
            Some(Target { kind, name: text::unescape(object::member_text(reference, key)?)? })
        }
    }
}

/// `params` with another target; everything else keeps its bytes. Methods without a target are copied.
#[must_use]
pub fn with_target(method: &str, params: Option<&RawValue>, name: &str) -> Raw {
    let mut object = Object::parse_or_empty(params);
    match place(method) {
        Some((_, Place::Member(key))) => object.set_str(key, name),
        Some((_, Place::InRef)) => {
            let key = object.get("ref").and_then(reference_key).map(|(_, key)| key);
            if let Some(key) = key {
                object.edit_object("ref", |reference| reference.set_str(key, name));
            }
        }
        None => {}
    }
    object.to_raw()
}

/// The member of `params` that `Mcp-Name` mirrors for this method (2026-07-28 transports; SEP-2663 for tasks).
pub(crate) fn named_by(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

fn place(method: &str) -> Option<(TargetKind, Place)> {
    Some(match method {
        "tools/call" => (TargetKind::Tool, Place::Member("name")),
        "prompts/get" => (TargetKind::Prompt, Place::Member("name")),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            (TargetKind::Resource, Place::Member("uri"))
        }
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => {
            (TargetKind::Task, Place::Member("taskId"))
        }
        "completion/complete" => (TargetKind::Prompt, Place::InRef),
        _ => return None,
    })
}

fn reference_key(reference: &str) -> Option<(TargetKind, &'static str)> {
    match text::unescape(object::member_text(reference, "type")?)?.as_ref() {
        "ref/prompt" => Some((TargetKind::Prompt, "name")),
        "ref/resource" => Some((TargetKind::ResourceTemplate, "uri")),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
