//! What changes in an answer on its way from one server to a client of many: task ids carry their server, and linked
//! resources are remembered, so that the next request about them finds its way.

use cella_mcp::{Array, Notification, Object, Raw, member};
use cella_transport::{Answer, Step};
use serde_json::value::RawValue;

use super::links::Links;
use crate::uris::qualified;

/// Names a task in `_meta` (2025-11-25, tasks).
const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// A step as a client of many servers must see it.
pub(super) fn outgoing(server: &str, links: &Links, step: Step) -> Step {
    match step {
        Step::Done(Answer { era, outcome: Ok(result) }) => {
            if result.get().contains("\"resource_link\"") {
                remember(server, links, &result);
            }
            Step::Done(Answer { era, outcome: Ok(tasks(server, result)) })
        }
        Step::Notify(Notification { method, params: Some(params) }) => {
            Step::Notify(Notification { method, params: Some(tasks(server, params)) })
        }
        other => other,
    }
}

/// Ids of tasks, wherever a result or notification names one.
fn tasks(server: &str, body: Raw) -> Raw {
    // nearly no body has one, and a plain search costs far less than a parse
    if !body.get().contains("\"taskId\"") {
        return body;
    }
    let changed = Object::parse(&body).and_then(|mut object| {
        rename(&mut object, server);
        object.edit_object("task", |task| rename(task, server));
        object.edit_object("_meta", |meta| meta.edit_object(RELATED_TASK, |related| rename(related, server)));
        object.is_changed().then(|| object.to_raw())
    });
    changed.unwrap_or(body)
}

fn rename(object: &mut Object<'_>, server: &str) {
    let named = object.get_str("taskId").map(|id| qualified(server, &id));
    if let Some(id) = named {
        object.set_str("taskId", &id);
    }
}

fn remember(server: &str, links: &Links, result: &RawValue) {
    let Some(content) = member(result, "content").and_then(Array::parse) else { return };
    for block in content.raws().filter_map(Object::parse) {
        if block.get_str("type").as_deref() == Some("resource_link")
            && let Some(uri) = block.get_str("uri")
        {
            links.remember(&uri, server);
        }
    }
}

#[cfg(test)]
mod tests {
    use cella_mcp::{Revision, raw_json};

    use super::*;

    fn through(json: &str, links: &Links) -> String {
        let answer = Answer { era: Revision::ALL[4].era(), outcome: Ok(raw_json(json).unwrap()) };
        match outgoing("a", links, Step::Done(answer)) {
            Step::Done(Answer { outcome: Ok(raw), .. }) => raw.get().to_owned(),
            _ => panic!("no result"),
        }
    }

    #[test]
    fn task_ids_carry_their_server_and_nothing_else_changes() {
        let links = Links::default();
        assert_eq!(
            through(r#"{"resultType":"task", "taskId":"t1","n":1.0}"#, &links),
            r#"{"resultType":"task","taskId":"cella+a:t1","n":1.0}"#
        );
        assert_eq!(through(r#"{"task":{"taskId":"t1"}}"#, &links), r#"{"task":{"taskId":"cella+a:t1"}}"#);
        let untouched = r#"{ "structuredContent":{"taskId":"mine"} }"#;
        assert_eq!(through(untouched, &links), untouched);
    }

    #[test]
    fn linked_resources_are_remembered() {
        let links = Links::default();
        let json = r#"{"content":[{"type":"resource_link","uri":"x:1"},{"type":"text","text":"x:2"}]}"#;
        assert_eq!(through(json, &links), json);
        assert_eq!(links.owner("x:1").as_deref(), Some("a"));
        assert_eq!(links.owner("x:2"), None);
    }
}
