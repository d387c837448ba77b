use super::*;
use crate::raw_json;

#[test]
fn each_method_names_its_target_and_can_name_another() {
    for (method, params, kind, name) in [
        ("tools/call", r#"{"name":"a","arguments":{"name":"x"}}"#, TargetKind::Tool, "a"),
        ("prompts/get", r#"{"name":"p"}"#, TargetKind::Prompt, "p"),
        ("resources/read", r#"{"uri":"x:y"}"#, TargetKind::Resource, "x:y"),
        ("resources/subscribe", r#"{"uri":"x:y"}"#, TargetKind::Resource, "x:y"),
        ("tasks/get", r#"{"taskId":"t"}"#, TargetKind::Task, "t"),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{}}"#,
            TargetKind::Prompt,
            "p",
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"x:{a}"}}"#,
            TargetKind::ResourceTemplate,
            "x:{a}",
        ),
    ] {
        let params = raw_json(params).unwrap();
        let target = call_target(method, Some(&params)).unwrap();
        assert_eq!((target.kind, &*target.name), (kind, name), "{method}");
        let other = with_target(method, Some(&params), "other\"");
        assert_eq!(call_target(method, Some(&other)).unwrap().name, "other\"", "{method}");
        assert_eq!(with_target(method, Some(&other), name).get(), params.get(), "{method}");
    }
}

#[test]
fn requests_without_a_readable_target_have_none() {
    for (method, params) in [
        ("tools/list", r#"{"name":"a"}"#),
        ("tools/call", "{}"),
        ("tools/call", r#"{"name":5}"#),
        ("tools/call", r#"{"name":"\ud800"}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/other","name":"x"}}"#),
        ("completion/complete", r#"{"ref":"ref/prompt"}"#),
    ] {
        let params = raw_json(params).unwrap();
        assert_eq!(call_target(method, Some(&params)), None, "{method} {params}");
    }
    assert_eq!(call_target("tools/call", None), None);
}
