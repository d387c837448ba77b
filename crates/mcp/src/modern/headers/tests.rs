use super::*;
use crate::{Id, Raw, raw_json};

type Sent<'a> = &'a [(&'a str, &'a [u8])];

fn request(method: &str, params: &str) -> Request {
    Request { id: Id::number(1), method: method.into(), params: Some(raw_json(params).unwrap()) }
}

fn call(arguments: &str) -> Request {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    request("tools/call", &format!(r#"{{"name":"foo","arguments":{arguments},{meta}}}"#))
}

fn schema(properties: &str) -> Raw {
    raw_json(format!(r#"{{"type":"object","properties":{{{properties}}}}}"#)).unwrap()
}

fn region() -> HeaderParams {
    let schema = schema(
        r#""region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"}"#,
    );
    HeaderParams::from_schema(&schema).unwrap().unwrap()
}

fn checked(
    request: &Request,
    params: Option<&HeaderParams>,
    sent: Sent<'_>,
) -> Result<(), (u16, i64, String)> {
    let get =
        |wanted: &str| -> Vec<&[u8]> { sent.iter().filter(|(n, _)| *n == wanted).map(|(_, v)| *v).collect() };
    check_headers(get, request, params).map_err(|r| (r.status, r.error.code, r.error.message))
}

const VERSION: (&str, &[u8]) = (HEADER_VERSION, b"2026-07-28");
const METHOD: (&str, &[u8]) = (HEADER_METHOD, b"tools/call");
const NAME: (&str, &[u8]) = (HEADER_NAME, b"foo");

#[test]
fn headers_that_mirror_the_body_are_accepted() {
    assert_eq!(checked(&call("{}"), None, &[VERSION, METHOD, NAME]), Ok(()));
    assert_eq!(checked(&call("{}"), None, &[VERSION, METHOD, (HEADER_NAME, b" \tfoo  ")]), Ok(()));
    assert_eq!(checked(&call("{}"), None, &[VERSION, METHOD, (HEADER_NAME, b"=?base64?Zm9v?=")]), Ok(()));
    let unknown: (&str, &[u8]) = ("mcp-param-unknown", b"\xff");
    assert_eq!(checked(&call("{}"), None, &[VERSION, METHOD, NAME, unknown]), Ok(()));
    let list = request("tools/list", "{}");
    assert_eq!(checked(&list, None, &[VERSION, (HEADER_METHOD, b"tools/list")]), Ok(()));
}

#[test]
fn a_missing_repeated_or_different_header_is_a_mismatch_with_status_400() {
    let wrong: &[(Sent<'_>, &str)] = &[
        (&[METHOD, NAME], "MCP-Protocol-Version is missing"),
        (&[VERSION, NAME], "Mcp-Method is missing"),
        (&[VERSION, METHOD], "Mcp-Name is missing"),
        (&[VERSION, METHOD, NAME, NAME], "mcp-name is there twice"),
        (&[VERSION, VERSION, METHOD, NAME], "mcp-protocol-version is there twice"),
        (&[(HEADER_VERSION, b"2025-11-25"), METHOD, NAME], "MCP-Protocol-Version header value '2025-11-25'"),
        (&[VERSION, (HEADER_METHOD, b"TOOLS/CALL"), NAME], "Mcp-Method header value 'TOOLS/CALL'"),
        (
            &[VERSION, METHOD, (HEADER_NAME, b"bar")],
            "Mcp-Name header value 'bar' does not match body value 'foo'",
        ),
        (&[VERSION, METHOD, (HEADER_NAME, b"f\xc3\xb6")], "mcp-name has invalid characters"),
        (&[VERSION, METHOD, (HEADER_NAME, b"=?base64?Zm9?=")], "Mcp-Name has invalid base64"),
        (&[VERSION, METHOD, (HEADER_NAME, b"=?BASE64?Zm9v?=")], "Mcp-Name header value '=?BASE64?Zm9v?='"),
    ];
    for (sent, message) in wrong {
        let (status, code, found) = checked(&call("{}"), None, sent).unwrap_err();
        assert_eq!((status, code), (400, -32020), "{message}");
        assert!(found.starts_with(&format!("Header mismatch: {message}")), "{found}");
    }
}

#[test]
fn a_name_that_hides_behind_an_escape_is_compared_by_meaning() {
    let hidden = request("tools/call", r#"{"n\u0061me":"b\u0061r"}"#);
    assert_eq!(checked(&hidden, None, &[VERSION, METHOD, (HEADER_NAME, b"bar")]), Ok(()));
    assert!(checked(&hidden, None, &[VERSION, METHOD, NAME]).is_err());
}

#[test]
fn each_named_method_mirrors_its_own_member() {
    for (method, key) in [
        ("prompts/get", "name"),
        ("resources/read", "uri"),
        ("tasks/get", "taskId"),
        ("tasks/update", "taskId"),
        ("tasks/cancel", "taskId"),
    ] {
        let request = request(method, &format!(r#"{{"{key}":"x"}}"#));
        let method = (HEADER_METHOD, method.as_bytes());
        assert_eq!(checked(&request, None, &[VERSION, method, (HEADER_NAME, b"x")]), Ok(()));
        assert!(checked(&request, None, &[VERSION, method]).is_err());
    }
}

#[test]
fn parameters_are_compared_by_value_and_only_when_they_are_there() {
    let params = region();
    let with = |arguments: &str, extra: Sent<'_>| {
        checked(&call(arguments), Some(&params), &[&[VERSION, METHOD, NAME], extra].concat())
    };
    let region = |value: &'static [u8]| ("mcp-param-region", value);
    let n = |value: &'static [u8]| ("mcp-param-n", value);
    assert_eq!(with("{}", &[]), Ok(()));
    assert_eq!(with(r#"{"region":null}"#, &[]), Ok(()));
    assert_eq!(with(r#"{"region":"Hello"}"#, &[region(b"=?base64?SGVsbG8=?=")]), Ok(()));
    assert_eq!(with(r#"{"region":"SGVsbG8="}"#, &[region(b"SGVsbG8=")]), Ok(()));
    assert_eq!(with(r#"{"region":"=?base64?SGVsbG8="}"#, &[region(b"=?base64?SGVsbG8=")]), Ok(()));
    assert_eq!(with(r#"{"region":""}"#, &[region(b"")]), Ok(()));
    for same in [&b"42"[..], b"42.0", b"4.2e1"] {
        assert_eq!(
            checked(&call(r#"{"n":42}"#), Some(&params), &[VERSION, METHOD, NAME, ("mcp-param-n", same)]),
            Ok(())
        );
    }
    assert_eq!(with(r#"{"n":42.0}"#, &[n(b"42")]), Ok(()));
    assert_eq!(with(r#"{"n":9007199254740993}"#, &[n(b"9007199254740993")]), Ok(()));
    for (arguments, sent) in [
        (r#"{"region":"x"}"#, &[][..]),
        ("{}", &[region(b"x")]),
        (r#"{"region":null}"#, &[region(b"null")]),
        (r#"{"region":"Hello"}"#, &[region(b"=?base64?SGVsbG8?=")]),
        (r#"{"region":"Hello"}"#, &[region(b"=?base64?SGVs!!!bG8=?=")]),
        (r#"{"region":"x"}"#, &[region(b"x"), region(b"x")]),
        (r#"{"region":["x"]}"#, &[region(b"x")]),
        (r#"{"n":42}"#, &[n(b"43")]),
        (r#"{"n":9007199254740993}"#, &[n(b"9007199254740992")]),
        (r#"{"n":"42"}"#, &[n(b"42.0")]),
    ] {
        assert_eq!(with(arguments, sent).unwrap_err().1, -32020, "{arguments}");
    }
}

#[test]
fn a_client_sends_what_a_server_checks() {
    let properties = r#""o":{"type":"object","properties":{"deep":{"type":["string","null"],"x-mcp-header":"Deep"}}},
        "b":{"type":"boolean","x-mcp-header":"B"},"n":{"type":"integer","x-mcp-header":"N"},"z":{"type":"string","x-mcp-header":"Z"}"#;
    let params = HeaderParams::from_schema(&schema(properties)).unwrap().unwrap();
    let request = call(r#"{"o":{"deep":" pad "},"b":false,"n":42.0,"z":null}"#);
    let sent = request_headers(&request, Some(&params));
    let flat: Vec<_> = sent.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    assert_eq!(
        flat,
        [
            "mcp-protocol-version: 2026-07-28",
            "mcp-method: tools/call",
            "mcp-name: foo",
            "mcp-param-deep: =?base64?IHBhZCA=?=",
            "mcp-param-b: false",
            "mcp-param-n: 42",
        ]
    );
    let get = |wanted: &str| -> Vec<&[u8]> {
        sent.iter().filter(|(n, _)| n == wanted).map(|(_, v)| v.as_bytes()).collect()
    };
    assert!(check_headers(get, &request, Some(&params)).is_ok());
}

#[test]
fn values_are_encoded_as_the_table_of_the_specification_says() {
    for (value, header) in [
        ("us-west1", "us-west1"),
        ("us west 1", "us west 1"),
        ("", ""),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        (" us-west1", "=?base64?IHVzLXdlc3Qx?="),
        ("us-west1 ", "=?base64?dXMtd2VzdDEg?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("line1\r\nline2", "=?base64?bGluZTENCmxpbmUy?="),
        ("\tindented", "=?base64?CWluZGVudGVk?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("日本語", "=?base64?5pel5pys6Kqe?="),
    ] {
        assert_eq!(encode_value(value), header);
        assert_eq!(decode_value(header).unwrap(), value);
    }
    for bad in
        ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "=?base64?/w==?=", "=?base64?SGVsbG8=\u{a0}?="]
    {
        assert_eq!(decode_value(bad), None, "{bad}");
    }
}
