use super::*;
use crate::Raw;

fn parse(text: &str) -> Result<Message, DecodeError> {
    Message::parse(text.as_bytes(), &Limits::CLIENT)
}

fn line(message: &Message) -> String {
    String::from_utf8(message.to_line()).unwrap()
}

fn refused(text: &str) -> (i64, Option<String>) {
    let error = parse(text).expect_err(text);
    (error.code(), error.id.map(|id| id.to_string()))
}

#[test]
fn every_byte_of_params_and_id_comes_back() {
    let call = r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"tools/call","params":{"b":1.0,"a":0.10000000000000000001,"z": [ 1 ,2 ],"u":"\u2028\ud83d\ude00\/"}}"#;
    assert_eq!(line(&parse(call).unwrap()).trim_end(), call);
}

#[test]
fn envelope_members_may_come_in_any_order_with_space_and_escapes() {
    let text = "  { \"params\" : {} , \"\\u006dethod\" : \"tools\\/list\" , \"id\" : \"a\" , \"jsonrpc\":\"2.0\" }\r\n";
    let Message::Request(request) = parse(text).unwrap() else { panic!("a request") };
    assert_eq!((&*request.method, request.id.as_json()), ("tools/list", "\"a\""));
}

#[test]
fn line_breaks_between_tokens_do_not_reach_the_wire() {
    let text = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\n  \"a\": \"x\\ny\"\r\n}}";
    let line = line(&parse(text).unwrap());
    assert_eq!(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{  \"a\": \"x\\ny\"}}\n");
}

#[test]
fn text_that_is_not_json_is_a_parse_error_without_id() {
    for text in
        ["", " ", "{", "{\"jsonrpc\":\"2.0\",\"id\":1,}", "nul", "{} {}", "[", "{\"a\":01}", "\u{feff}{}"]
    {
        assert_eq!(refused(text), (-32700, None), "{text:?}");
    }
    let bytes = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}";
    assert_eq!(Message::parse(bytes, &Limits::CLIENT).unwrap_err().code(), -32700);
}

#[test]
fn json_that_is_no_message_is_an_invalid_request_with_its_id() {
    for text in [
        r#"{"id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":5}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":1.5,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#,
    ] {
        assert_eq!(refused(text), (-32600, Some("7".into())), "{text}");
    }
    for text in ["1", "\"x\"", "null", r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#] {
        assert_eq!(refused(text), (-32600, None), "{text}");
    }
}

#[test]
fn ids_are_strings_or_integers() {
    for id in ["1.0", "1e3", "true", "{}", "[1]", r#""\ud800""#] {
        assert_eq!(
            refused(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)),
            (-32600, None),
            "{id}"
        );
    }
    for id in ["0", "-1", "\"\"", "\"\\u0031\"", "9007199254740993"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(line(&parse(&text).unwrap()).trim_end(), text);
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_wherever_it_hides() {
    for text in [
        r#"{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"a","\u006dethod":"b"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"name":"x","name":"y"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"l":[{"n\u0061me":1,"name":2}]}}"#,
    ] {
        assert_eq!(refused(text), (-32600, Some("7".into())), "{text}");
    }
    let many: Vec<_> = (0..40).map(|n| format!("\"k{}\":{n}", n % 39)).collect();
    let text = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"a","params":{{{}}}}}"#, many.join(","));
    assert_eq!(refused(&text), (-32600, Some("7".into())));
    assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#), (-32600, None));
}

#[test]
fn server_results_may_repeat_keys_below_the_envelope() {
    let text = br#"{"jsonrpc":"2.0","id":7,"result":{"a":1,"a":2}}"#;
    assert!(Message::parse(text, &Limits::SERVER).is_ok());
    assert!(Message::parse(text, &Limits::CLIENT).is_err());
}

#[test]
fn limits_are_enforced_at_their_edge() {
    let nested = |n: usize| {
        let params = format!("{}1{}", "[".repeat(n), "]".repeat(n));
        parse(&format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"a":{params}}}}}"#))
    };
    assert!(nested(126).is_ok());
    assert_eq!(nested(127).unwrap_err().flaw, Flaw::TooDeep { max: 128 });
    let tight = Limits { bytes: 10, ..Limits::CLIENT };
    assert_eq!(Message::parse(&[b' '; 11], &tight).unwrap_err().flaw, Flaw::TooLarge { max: 10 });
    let tight = Limits { parts: 3, ..Limits::CLIENT };
    let text = br#"{"jsonrpc":"2.0","id":7,"method":"a","params":{}}"#;
    assert_eq!(Message::parse(text, &tight).unwrap_err().flaw, Flaw::TooManyParts { max: 3 });
    let text = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(5000));
    assert_eq!(refused(&text), (-32600, None));
}

#[test]
fn null_params_count_as_absent_and_unknown_envelope_members_are_dropped() {
    let text = r#"{"jsonrpc":"2.0","x":1,"method":"notifications/initialized","params":null}"#;
    let Message::Notification(n) = parse(text).unwrap() else { panic!("a notification") };
    assert!(n.params.is_none());
}

#[test]
fn an_error_without_readable_id_is_a_response_to_nobody() {
    for text in [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x","data":{"k":[1]}}}"#,
    ] {
        let Message::Response(response) = parse(text).unwrap() else { panic!("a response") };
        assert!(response.id.is_none());
        let line = line(&Message::Response(response.clone()));
        assert!(line.starts_with(r#"{"jsonrpc":"2.0","error":{"code":-32700,"#), "{line}");
        assert_eq!(response.outcome.unwrap_err().code, -32700);
    }
}

#[test]
fn batches_are_read_where_the_revision_has_them_and_refused_elsewhere() {
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},5,{"jsonrpc":"2.0","id":2,"method":"initialize"},{"jsonrpc":"2.0","method":"n"}]"#;
    assert_eq!(parse(batch).unwrap_err().flaw, Flaw::Batch);
    let Incoming::Batch(found) = parse_batch(batch.as_bytes(), &Limits::CLIENT).unwrap() else {
        panic!("a batch")
    };
    assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(found[2].as_ref().unwrap_err().id, Some(Id::number(2)));
    let flaw = |text: &str| parse_batch(text.as_bytes(), &Limits::CLIENT).unwrap_err().flaw;
    assert_eq!(flaw(" [ ] "), Flaw::EmptyBatch);
    assert!(matches!(flaw("[1,"), Flaw::Syntax { .. }));
    assert!(matches!(flaw("[1] 2"), Flaw::Syntax { .. }));
    assert_eq!(flaw(&format!("[{}1]", "1,".repeat(128))), Flaw::BatchTooLong { max: 128 });
    assert!(matches!(
        parse_batch(b"{\"jsonrpc\":\"2.0\",\"method\":\"n\"}", &Limits::CLIENT),
        Ok(Incoming::One(_))
    ));
}

#[test]
fn the_quick_way_to_raw_values_is_still_open() {
    let raw: Raw = raw::copied("{\"a\": 1}");
    assert_eq!(raw.get(), "{\"a\": 1}");
    let text = String::from("[1, 2]");
    assert!(std::ptr::eq(raw::borrowed(&text).get(), text.as_str()));
}
