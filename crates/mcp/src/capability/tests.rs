use super::*;
use crate::raw_json;

#[test]
fn an_aggregate_offers_what_any_server_offers() {
    let servers = [
        r#"{"tools":{},"resources":{"subscribe":true},"tasks":{"list":{}},"experimental":{"x":{}}}"#,
        r#"{"tools":{"listChanged":true},"completions":{},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a"]},"com.example/x":{}}}"#,
        r#"{"resources":{"subscribe":false},"extensions":{"io.modelcontextprotocol/ui":{}},"logging":null}"#,
    ]
    .map(|s| raw_json(s).unwrap());
    let merged = merge_server_capabilities(servers.iter().map(|s| &**s));
    assert_eq!(
        merged.get(),
        r#"{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"completions":{},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a"]}}}"#
    );
    assert!(offers(&merged, "tools") && !offers(&merged, "prompts"));
    assert_eq!(merge_server_capabilities([]).get(), "{}");
}

#[test]
fn towards_legacy_servers_everything_is_declared_that_can_be_asked() {
    let own = own_client_capabilities();
    let ask = |method, params: &str| crate::has_capability(&own, method, Some(&raw_json(params).unwrap()));
    assert!(ask(crate::ask::ELICIT, "{}") && ask(crate::ask::ELICIT, r#"{"mode":"url"}"#));
    assert!(ask(crate::ask::SAMPLE, r#"{"tools":[]}"#) && ask(crate::ask::ROOTS, "{}"));
    for id in CARRIED_EXTENSIONS {
        assert!(own.get().contains(&format!("\"{id}\":{{")), "{id} is carried and not declared");
    }
}

#[test]
fn an_extension_that_cella_does_not_carry_is_not_passed_on_for_a_server() {
    let server =
        raw_json(r#"{"tools":{},"extensions":{"com.example/x":{},"io.modelcontextprotocol/ui":{}}}"#);
    let carried = carried_by_both(&server.unwrap());
    assert_eq!(carried.get(), r#"{"tools":{},"extensions":{"io.modelcontextprotocol/ui":{}}}"#);
    let only = raw_json(r#"{"tools":{ },"extensions":{"com.example/x":{}}}"#).unwrap();
    assert_eq!(carried_by_both(&only).get(), r#"{"tools":{ }}"#);
}

#[test]
fn tasks_of_one_era_are_not_offered_in_the_other() {
    let both = raw_json(
        r#"{"tasks":{"list":{}},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{}}}"#,
    )
    .unwrap();
    assert_eq!(
        capabilities_in(Era::Legacy, &both).get(),
        r#"{"tasks":{"list":{}},"extensions":{"io.modelcontextprotocol/ui":{}}}"#
    );
    assert_eq!(
        capabilities_in(Era::Modern, &both).get(),
        r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{}}}"#
    );
}

#[test]
fn changes_of_roots_are_not_promised_since_nobody_forwards_them() {
    assert!(!own_client_capabilities().get().contains("listChanged"));
}
