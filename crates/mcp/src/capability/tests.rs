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
}

#[test]
fn changes_of_roots_are_not_promised_since_nobody_forwards_them() {
    assert!(!own_client_capabilities().get().contains("listChanged"));
}
