use super::*;
use crate::{CacheScope, raw_json};

const HINTS: CacheHints = CacheHints { ttl_ms: 60_000, scope: CacheScope::Public };

fn modern(text: &str, hints: Option<CacheHints>) -> String {
    result_to_modern(raw_json(text).unwrap(), hints, None).get().to_owned()
}

#[test]
fn what_is_missing_is_added_and_what_is_there_stays() {
    assert_eq!(modern("{}", None), r#"{"resultType":"complete"}"#);
    assert_eq!(
        modern(r#"{"tools":[ ]}"#, Some(HINTS)),
        r#"{"tools":[ ],"resultType":"complete","ttlMs":60000,"cacheScope":"public"}"#
    );
    let whole = r#"{ "resultType":"complete","ttlMs":1,"cacheScope":"private"}"#;
    assert_eq!(modern(whole, Some(HINTS)), whole);
    assert_eq!(
        modern(r#"{"resultType":"complete","ttlMs":1}"#, Some(HINTS)),
        r#"{"resultType":"complete","ttlMs":1,"cacheScope":"public"}"#
    );
}

#[test]
fn results_that_ask_for_input_get_no_caching_hints() {
    let asking = r#"{"resultType":"input_required","requestState":"s"}"#;
    assert_eq!(modern(asking, Some(HINTS)), asking);
}

#[test]
fn the_server_is_named_unless_it_named_itself() {
    let info = raw_json(r#"{"name":"ours"}"#).unwrap();
    let named = result_to_modern(raw_json(r#"{"_meta":{"k":1}}"#).unwrap(), None, Some(&info));
    assert!(named.get().contains(r#""_meta":{"k":1,"io.modelcontextprotocol/serverInfo":{"name":"ours"}}"#));
    let theirs =
        r#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"theirs"}}}"#;
    assert_eq!(result_to_modern(raw_json(theirs).unwrap(), None, Some(&info)).get(), theirs);
}
