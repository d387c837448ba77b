use super::*;
use crate::raw_json;

fn error(code: i64) -> RpcError {
    RpcError { code, message: "m".into(), data: Some(raw_json("{\"k\":1}").unwrap()) }
}

#[test]
fn modern_clients_never_see_codes_with_another_meaning() {
    for (from, to) in [
        (-32002, -32602),
        (-32042, -32603),
        (-32020, -32603),
        (-32021, -32021),
        (-32022, -32603),
        (-32099, -32603),
        (-32000, -32000),
        (-32001, -32001),
        (-32601, -32601),
        (7, 7),
    ] {
        let mapped = error_to_modern(error(from));
        assert_eq!((mapped.code, mapped.message.as_str()), (to, "m"), "{from}");
        assert_eq!(mapped.data.unwrap().get(), "{\"k\":1}");
    }
}

#[test]
fn what_a_server_says_of_our_own_request_is_not_said_of_the_clients() {
    for code in [-32020, -32022] {
        let mapped = error_of_next_hop(error(code));
        assert_eq!(mapped.code, -32603);
        let said = format!("{{\"serverError\":{{\"code\":{code},\"message\":\"m\",\"data\":{{\"k\":1}}}}}}");
        assert_eq!(mapped.data.unwrap().get(), said);
    }
    for (from, to) in
        [(-32002, -32602), (-32021, -32021), (-32042, -32603), (-32050, -32603), (-32000, -32000)]
    {
        let mapped = error_of_next_hop(error(from));
        assert_eq!((mapped.code, mapped.message.as_str()), (to, "m"), "{from}");
        assert_eq!(mapped.data.unwrap().get(), "{\"k\":1}");
    }
}

#[test]
fn a_missing_capability_is_named_as_an_object() {
    let rejection = missing_capability(&raw_json(r#"{"sampling":{}}"#).unwrap());
    assert_eq!((rejection.status, rejection.error.code), (400, -32021));
    assert_eq!(rejection.error.data.unwrap().get(), r#"{"requiredCapabilities":{"sampling":{}}}"#);
    assert!(rejection.error.message.contains("sampling"));
}

#[test]
fn unknown_methods_are_not_found() {
    let rejection = unknown_method("ping");
    assert_eq!((rejection.status, rejection.error.code), (404, -32601));
    assert!(unknown_method(&"x".repeat(10_000)).error.message.len() < 200);
    let response = unknown_method("x").into_response(Some(Id::number(3)));
    assert_eq!(response.id, Some(Id::number(3)));
}

#[test]
fn offered_revisions_are_read_from_the_error() {
    let mut error = unsupported_version("x\"y", &Revision::ALL).error;
    assert!(is_modern_error(error.code) && !is_modern_error(-32601));
    assert_eq!(supported_revisions(&error).first(), Some(&Revision::V2026_07_28));
    assert_eq!(supported_revisions(&error).len(), 5);
    error.data = None;
    assert!(supported_revisions(&error).is_empty());
}

#[test]
fn url_elicitations_of_an_error_are_questions() {
    let data = r#"{"elicitations":[{"mode":"url","url":"https://a","elicitationId":"1","message":"m"},5]}"#;
    let mut error = RpcError { code: -32042, message: "m".into(), data: Some(raw_json(data).unwrap()) };
    let asked = url_elicitations(&error);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].get().contains("https://a"));
    error.code = -32603;
    assert!(url_elicitations(&error).is_empty());
}
