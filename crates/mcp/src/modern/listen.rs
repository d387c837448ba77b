//! `subscriptions/listen`: one stream of changes per request (2026-07-28, basic/patterns/subscriptions).

use serde_json::value::RawValue;

use super::request::{SERVER_INFO, SUBSCRIPTION_ID};
use crate::{Array, Id, META, Notification, Object, Raw, RpcError, codes, object, raw, text};

/// The first message on every stream.
pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// What a client wants to hear of, or what a server grants of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenFilter {
    /// Changes of the tool list.
    pub tools: bool,
    /// Changes of the prompt list.
    pub prompts: bool,
    /// Changes of the resource list.
    pub resources: bool,
    /// Updates of these resources.
    pub uris: Vec<String>,
    /// States of these tasks (tasks extension).
    pub task_ids: Vec<String>,
}

// === impl ListenFilter ===

impl ListenFilter {
    /// True when nothing is wanted or granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads a filter object, in a request or in an acknowledgement.
    fn read(filter: &str) -> Option<Self> {
        let filter = Object::over(filter)?;
        let wants = |key| filter.get_bool(key).unwrap_or(false);
        let names = |key: &str| -> Vec<String> {
            let list = filter.get(key).and_then(Array::over);
            list.map(|l| l.strings().map(std::borrow::Cow::into_owned).collect()).unwrap_or_default()
        };
        Some(Self {
            tools: wants("toolsListChanged"),
            prompts: wants("promptsListChanged"),
            resources: wants("resourcesListChanged"),
            uris: names("resourceSubscriptions"),
            task_ids: names("taskIds"),
        })
    }

    fn to_text(&self) -> String {
        let mut out = Object::empty();
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        for (key, _) in flags.into_iter().filter(|(_, wanted)| *wanted) {
            out.set_bool(key, true);
        }
        for (key, names) in [("resourceSubscriptions", &self.uris), ("taskIds", &self.task_ids)] {
            if !names.is_empty() {
                let quoted: Vec<_> = names.iter().map(|n| text::quoted(n)).collect();
                out.put(key, format!("[{}]", quoted.join(",")));
            }
        }
        out.to_text()
    }
}

/// The filter of a listen request or of an acknowledgement.
///
/// # Errors
/// -32602 when `params.notifications` is missing or no object.
pub fn read_filter(params: Option<&RawValue>) -> Result<ListenFilter, RpcError> {
    let filter = params.and_then(|p| object::member_text(p.get(), "notifications"));
    filter.and_then(ListenFilter::read).ok_or_else(|| RpcError {
        code: codes::INVALID_PARAMS,
        message: "params.notifications must be an object".into(),
        data: None,
    })
}

/// The params of a listen request; the request metadata is still to be added.
#[must_use]
pub fn listen_params(filter: &ListenFilter) -> Raw {
    raw::checked(format!("{{\"notifications\":{}}}", filter.to_text()))
}

/// The acknowledgement of the listen request `id`, with what was granted.
#[must_use]
pub fn acknowledged(id: &Id, granted: &ListenFilter) -> Notification {
    let params = with_subscription_id(Some(&listen_params(granted)), id);
    Notification { method: ACKNOWLEDGED.into(), params: Some(params) }
}

/// The params of a notification, marked as belonging to the listen request `id`. A mark that is there is replaced.
#[must_use]
pub fn with_subscription_id(params: Option<&RawValue>, id: &Id) -> Raw {
    let mut object = Object::parse_or_empty(params);
    object.edit_object(META, |meta| meta.put(SUBSCRIPTION_ID, id.as_json().to_owned()));
    object.to_raw()
}

/// The listen request a notification (its params) or a closing result belongs to.
#[must_use]
pub fn subscription_id(body: Option<&RawValue>) -> Option<Id> {
    let meta = object::member_text(body?.get(), META)?;
    Id::from_checked(object::member_text(meta, SUBSCRIPTION_ID)?)
}

/// The result that ends a listen request gracefully.
#[must_use]
pub fn listen_result(id: &Id, server_info: Option<&RawValue>) -> Raw {
    let mut object = Object::empty();
    object.set_str("resultType", "complete");
    object.edit_object(META, |meta| {
        meta.put(SUBSCRIPTION_ID, id.as_json().to_owned());
        if let Some(info) = server_info {
            meta.set(SERVER_INFO, info);
        }
    });
    object.to_raw()
}

#[cfg(test)]
mod tests;
