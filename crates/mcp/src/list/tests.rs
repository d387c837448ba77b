use super::*;
use crate::raw_json;

#[test]
fn a_page_is_read_with_its_cursor_and_hints() {
    let result = raw_json(r#"{"tools":[{"name":"a","x":1.0},{"title":"no name"},5,{"name":"b"}],"nextCursor":"","ttlMs":60000,"cacheScope":"public"}"#).unwrap();
    let page = ListPage::parse(ListKind::Tools, &result).unwrap();
    assert_eq!(page.items.iter().map(|i| &*i.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((page.unreadable, page.next_cursor.as_deref()), (2, Some("")), "an empty cursor is a cursor");
    assert_eq!(page.hints, Some(CacheHints { ttl_ms: 60_000, scope: CacheScope::Public }));
    assert_eq!(page.items[0].raw.get(), r#"{"name":"a","x":1.0}"#);
}

#[test]
fn a_result_without_the_array_is_no_list() {
    for text in ["{}", r#"{"tools":{}}"#, r#"{"prompts":[]}"#] {
        assert_eq!(ListPage::parse(ListKind::Tools, &raw_json(text).unwrap()).unwrap_err().member, "tools");
    }
}

#[test]
fn each_kind_names_its_items_by_its_own_member() {
    for kind in ListKind::ALL {
        let item = raw_json(format!(r#"{{"first": 1,"{}":"old" ,"name2":"n"}}"#, kind.key())).unwrap();
        let item = ListItem::read(kind, &item).unwrap();
        assert_eq!(&*item.name, "old");
        let renamed = item.renamed(kind, "ns__old");
        assert_eq!(renamed.raw.get(), format!(r#"{{"first": 1,"{}":"ns__old","name2":"n"}}"#, kind.key()));
        assert_eq!(ListKind::of_method(kind.method()), Some(kind));
    }
}

#[test]
fn lists_are_written_as_each_era_wants_them() {
    let items = [raw_json(r#"{"name":"a"}"#).unwrap(), raw_json(r#"{ "name":"b" }"#).unwrap()];
    let build = |era, hints| {
        build_list(ListKind::Prompts, items.iter().map(|i| &**i), Some("c\""), era, hints).get().to_owned()
    };
    assert_eq!(
        build(Era::Legacy, Some(CacheHints::NONE)),
        r#"{"prompts":[{"name":"a"},{ "name":"b" }],"nextCursor":"c\""}"#
    );
    assert_eq!(
        build(Era::Modern, None),
        r#"{"resultType":"complete","prompts":[{"name":"a"},{ "name":"b" }],"nextCursor":"c\"","ttlMs":0,"cacheScope":"private"}"#
    );
    let none = build_list(ListKind::Tools, [], None, Era::Legacy, None);
    assert_eq!(none.get(), r#"{"tools":[]}"#);
}

#[test]
fn hints_of_a_merged_list_are_the_stricter_ones() {
    let hints = |ttl_ms, scope| CacheHints { ttl_ms, scope };
    let merged = hints(5, CacheScope::Public).and(hints(9, CacheScope::Private));
    assert_eq!(merged, hints(5, CacheScope::Private));
    let read = |text: &str| CacheHints::read(&raw_json(text).unwrap());
    assert_eq!(read("{}"), None);
    assert_eq!(read(r#"{"ttlMs":-5,"cacheScope":"public"}"#), Some(hints(0, CacheScope::Public)));
    assert_eq!(read(r#"{"ttlMs":7,"cacheScope":""}"#), Some(hints(7, CacheScope::Private)));
}

#[test]
fn cursors_are_set_and_removed() {
    let params = raw_json(r#"{"x":1}"#).unwrap();
    let with = with_cursor(Some(&params), Some("c"));
    assert_eq!(cursor(Some(&with)).as_deref(), Some("c"));
    assert_eq!(with_cursor(Some(&with), None).get(), params.get());
    assert_eq!(cursor(None), None);
}
