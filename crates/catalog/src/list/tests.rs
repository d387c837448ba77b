use cella_mcp::{Revision, raw_json};

use super::*;

fn era() -> Era {
    Revision::ALL[4].era()
}

fn tools(pages: &[(Option<&str>, &str)]) -> ServerList {
    let pages = pages.iter().map(|(c, json)| (c.map(Into::into), raw_json(*json).unwrap(), era()));
    ServerList::read(ListKind::Tools, pages).unwrap()
}

#[test]
fn pages_are_kept_as_they_came() {
    let first = r#"{ "tools" : [ {"name":"b","n":1.0} ], "nextCursor":"", "vendor":1e400 }"#;
    let list = tools(&[(None, first), (Some(""), r#"{"tools":[{"name":"a"}]}"#)]);
    assert_eq!(list.page(None).unwrap().result.get(), first);
    assert_eq!(list.page(Some("")).unwrap().result.get(), r#"{"tools":[{"name":"a"}]}"#);
    assert!(list.page(Some("x")).is_none());
    assert_eq!(list.items.iter().map(|i| &*i.key).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(list.item("a").unwrap().raw.get(), r#"{"name":"a"}"#);
}

#[test]
fn a_tool_with_an_invalid_header_mark_is_left_out_and_the_rest_stays() {
    let json = r#"{"tools":[
        {"name":"good","inputSchema":{"type":"object","properties":{"v":{"type":"string","x-mcp-header":"V"}}}},
        {"name":"bad","inputSchema":{"type":"object","properties":{"v":{"type":"number","x-mcp-header":"V"}}}}
    ],"x":1}"#;
    let list = tools(&[(None, json)]);
    assert_eq!(list.items.len(), 1);
    assert_eq!(list.items[0].header_params.as_ref().unwrap().params.len(), 1);
    assert_eq!(&*list.left_out[0].key, "bad");
    let page = list.page(None).unwrap().result.get();
    assert!(page.contains("good") && !page.contains("bad") && page.contains("\"x\":1"), "{page}");
}

#[test]
fn what_has_no_name_or_comes_twice_is_left_out_and_said() {
    let list = tools(&[(None, r#"{"tools":[{"name":"a","n":1},{"name":"a","n":2},{"title":"x"},7]}"#)]);
    assert_eq!(list.items.len(), 1);
    assert_eq!(list.items[0].raw.get(), r#"{"name":"a","n":1}"#);
    assert_eq!(list.left_out.len(), 2);
}

#[test]
fn hints_are_those_of_the_strictest_page() {
    let all = tools(&[
        (None, r#"{"tools":[],"ttlMs":9000,"cacheScope":"public"}"#),
        (Some("2"), r#"{"tools":[],"ttlMs":50,"cacheScope":"public"}"#),
    ]);
    assert_eq!((all.ttl, all.private), (Some(Duration::from_millis(50)), false));
    let some = tools(&[
        (None, r#"{"tools":[],"ttlMs":9000,"cacheScope":"public"}"#),
        (Some("2"), r#"{"tools":[]}"#),
    ]);
    assert_eq!((some.ttl, some.private), (None, true));
    let third = tools(&[
        (None, r#"{"tools":[]}"#),
        (Some("2"), r#"{"tools":[],"ttlMs":9000,"cacheScope":"public"}"#),
    ]);
    assert_eq!((third.ttl, third.private), (None, true));
}

#[test]
fn a_result_without_the_array_is_no_list() {
    for json in ["{}", "[]", r#"{"tools":{}}"#, "7"] {
        assert!(ServerList::read(ListKind::Tools, [(None, raw_json(json).unwrap(), era())]).is_err());
    }
}
