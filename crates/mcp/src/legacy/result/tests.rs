use super::*;
use crate::raw_json;

fn legacy(text: &str) -> String {
    result_to_legacy(raw_json(text).unwrap()).get().to_owned()
}

#[test]
fn what_only_the_modern_era_knows_is_dropped() {
    assert_eq!(
        legacy(
            r#"{"resultType":"complete","tools":[ ],"ttlMs":5,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#
        ),
        r#"{"tools":[ ]}"#
    );
    assert_eq!(
        legacy(r#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":1,"k":2}}"#),
        r#"{"_meta":{"k":2}}"#
    );
}

#[test]
fn structured_content_and_output_schemas_of_other_types_than_objects_are_dropped() {
    assert_eq!(legacy(r#"{"content":[],"structuredContent":[1]}"#), r#"{"content":[]}"#);
    let object = r#"{"content":[],"structuredContent":{"a":1.0}}"#;
    assert_eq!(legacy(object), object);
    assert_eq!(
        legacy(
            r#"{"tools":[{"name":"a","outputSchema":{"type":"array"},"x":1.0}, {"name":"b"},{"name":"c","outputSchema":{"type":"object"}},{"name":"d","outputSchema":{"$ref":"x"}}]}"#
        ),
        r#"{"tools":[{"name":"a","x":1.0},{"name":"b"},{"name":"c","outputSchema":{"type":"object"}},{"name":"d"}]}"#
    );
    let fine = r#"{"tools":[ {"name":"c","outputSchema":{"type":"object"}} ]}"#;
    assert_eq!(legacy(fine), fine);
    assert!(item_to_legacy(&raw_json(r#"{"name":"a","outputSchema":{"type":"object"}}"#).unwrap()).is_none());
}

#[test]
fn url_questions_get_the_id_that_the_era_demands() {
    let asked = |method: &str, params: &str| {
        ask_to_legacy(method, raw_json(params).ok(), "e-1").unwrap().get().to_owned()
    };
    assert_eq!(
        asked(ask::ELICIT, r#"{"mode":"url","url":"u"}"#),
        r#"{"mode":"url","url":"u","elicitationId":"e-1"}"#
    );
    for same in [r#"{"mode":"url","elicitationId":"theirs"}"#, r#"{"mode":"form"}"#, "{ }"] {
        assert_eq!(asked(ask::ELICIT, same), same);
    }
    assert_eq!(asked(ask::SAMPLE, r#"{"mode":"url"}"#), r#"{"mode":"url"}"#);
    assert!(ask_to_legacy(ask::ROOTS, None, "e-1").is_none());
}

#[test]
fn the_lifetime_of_a_task_and_foreign_members_stay() {
    let task = r#"{"taskId":"t","ttlMs":60000}"#;
    assert_eq!(legacy(task), task);
    let plain = r#"{ "content":[],"_meta":{} }"#;
    assert_eq!(legacy(plain), plain);
}

#[test]
fn a_missing_resource_has_its_own_code() {
    let error = |data: Option<&str>| RpcError {
        code: -32602,
        message: "m".into(),
        data: data.map(|d| raw_json(d).unwrap()),
    };
    let uri = Some(r#"{"uri":"x:y"}"#);
    assert_eq!(error_to_legacy("resources/read", error(uri)).code, -32002);
    assert_eq!(error_to_legacy("resources/read", error(None)).code, -32602);
    assert_eq!(error_to_legacy("tools/call", error(uri)).code, -32602);
}

#[test]
fn small_messages_make_the_round() {
    use crate::{
        Id, LogLevel,
        legacy::{cancelled, read_cancelled, read_level, read_uri, set_level_params, subscribe_params},
    };
    let notice = cancelled(&Id::string("a"), Some("why"));
    let (id, reason) = read_cancelled(notice.params.as_deref()).unwrap();
    assert_eq!((id, reason.as_deref()), (Id::string("a"), Some("why")));
    assert!(read_cancelled(None).is_none());
    assert!(read_cancelled(Some(&raw_json(r#"{"requestId":null}"#).unwrap())).is_none());
    assert_eq!(read_level(Some(&set_level_params(LogLevel::Alert))).unwrap(), LogLevel::Alert);
    assert_eq!(read_level(None).unwrap_err().code, -32602);
    assert_eq!(read_uri(Some(&subscribe_params("a:\"b"))).unwrap(), "a:\"b");
    assert_eq!(read_uri(None).unwrap_err().code, -32602);
}
