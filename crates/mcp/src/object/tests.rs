use super::*;

fn raw(text: &str) -> Raw {
    raw_json(text).unwrap()
}

#[test]
fn an_unchanged_object_is_its_source() {
    let source = raw("{ \"a\" : 1.0 ,\"b\":[ {} ]}");
    assert_eq!(Object::parse(&source).unwrap().to_raw().get(), source.get());
}

#[test]
fn untouched_members_keep_their_bytes_and_their_place() {
    let source = raw(r#"{"z" : 1.00, "name":"x" ,"u":"\u00e9", "big":123456789012345678901234567890}"#);
    let mut object = Object::parse(&source).unwrap();
    object.set_str("name", "a\"b\n\u{1}");
    object.set_i64("new", -1);
    let expected =
        r#"{"z" : 1.00,"name":"a\"b\n\u0001","u":"\u00e9","big":123456789012345678901234567890,"new":-1}"#;
    assert_eq!(object.to_raw().get(), expected);
}

#[test]
fn members_are_found_by_meaning_not_by_spelling() {
    let source = raw(r#"{"n\u0061me":"\ud83d\ude00","t":true,"i":-5,"s":"\ud800"}"#);
    let object = Object::parse(&source).unwrap();
    assert_eq!(object.get_str("name").as_deref(), Some("😀"));
    assert_eq!(
        (object.get_bool("t"), object.get_i64("i"), object.get_str("s")),
        (Some(true), Some(-5), None)
    );
    assert_eq!(member(&source, "name").unwrap().get(), r#""\ud83d\ude00""#);
    assert_eq!((object.get_bool("i"), object.get_i64("t")), (None, None));
}

#[test]
fn of_a_repeated_key_the_last_counts_and_a_change_leaves_one() {
    let source = raw(r#"{"a":1,"b":2,"a":3}"#);
    let mut object = Object::parse(&source).unwrap();
    assert_eq!((object.get_i64("a"), member(&source, "a").map(RawValue::get)), (Some(3), Some("3")));
    object.set_i64("a", 4);
    assert_eq!(object.to_raw().get(), r#"{"b":2,"a":4}"#);
    assert!(object.remove("a") && !object.remove("a"));
    assert!(object.remove("b"));
    assert_eq!(object.to_raw().get(), "{}");
}

#[test]
fn nested_objects_are_edited_created_and_dropped_when_emptied() {
    let source = raw(r#"{"_meta":{"keep": 1,"drop":2},"x":0}"#);
    let mut object = Object::parse(&source).unwrap();
    object.edit_object("_meta", |meta| {
        meta.remove("drop");
    });
    object.edit_object("unchanged", |_| {});
    object.edit_object("fresh", |o| o.set_bool("yes", true));
    assert_eq!(object.to_raw().get(), r#"{"_meta":{"keep": 1},"x":0,"fresh":{"yes":true}}"#);
    object.edit_object_or_remove("_meta", |meta| {
        meta.remove("keep");
    });
    assert_eq!(object.to_raw().get(), r#"{"x":0,"fresh":{"yes":true}}"#);
}

#[test]
fn text_that_is_not_one_json_value_cannot_be_set() {
    let mut object = Object::empty();
    for text in ["", "1,\"admin\":true", "{", "1 2", "nul"] {
        assert_eq!(object.set_json("k", text), Err(NotJson), "{text}");
    }
    assert!(object.set_json("k", "[1]").is_ok());
    assert_eq!(object.to_raw().get(), r#"{"k":[1]}"#);
}

#[test]
fn arrays_give_their_elements_as_they_stand() {
    let source = raw("[ 1 , {\"a\":[ ]},\"x,]\", null ,[]]");
    let array = Array::parse(&source).unwrap();
    assert_eq!(array.iter().collect::<Vec<_>>(), ["1", "{\"a\":[ ]}", "\"x,]\"", "null", "[]"]);
    assert_eq!(array.strings().collect::<Vec<_>>(), ["x,]"]);
    assert_eq!(Array::parse(&raw("[]")).unwrap().iter().count(), 0);
    assert!(Array::parse(&raw("{}")).is_none() && Object::parse(&raw("[]")).is_none());
}
