use super::*;
use crate::raw_json;

fn params(meta: &str) -> Raw {
    raw_json(format!(r#"{{"name":"x","_meta":{meta}}}"#)).unwrap()
}

fn refused(meta: &str) -> (u16, i64) {
    let rejection = RequestMeta::read(Some(&params(meta)), &Revision::ALL).unwrap_err();
    (rejection.status, rejection.error.code)
}

#[test]
fn the_metadata_of_a_request_is_read() {
    let params = params(
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"x":1.0},
        "io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/logLevel":"warning","progressToken":7}"#,
    );
    let meta = RequestMeta::read(Some(&params), &Revision::ALL).unwrap();
    assert_eq!(meta.revision, Revision::V2026_07_28);
    assert_eq!(meta.capabilities.get(), r#"{"x":1.0}"#);
    assert_eq!(meta.client_info.unwrap().get(), r#"{"name":"c"}"#);
    assert_eq!(meta.log_level, Some(LogLevel::Warning));
    assert_eq!(meta.progress_token.unwrap().get(), "7");
}

#[test]
fn missing_or_malformed_metadata_is_an_invalid_request_with_status_400() {
    assert!(RequestMeta::read(None, &Revision::ALL).is_err());
    let no_meta = raw_json("{}").unwrap();
    assert_eq!(RequestMeta::read(Some(&no_meta), &Revision::ALL).unwrap_err().error.code, -32602);
    for meta in [
        "{}",
        "null",
        r#"{"io.modelcontextprotocol/clientCapabilities":{}}"#,
        r#"{"io.modelcontextprotocol/protocolVersion":5,"io.modelcontextprotocol/clientCapabilities":{}}"#,
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"loud"}"#,
    ] {
        assert_eq!(refused(meta), (400, -32602), "{meta}");
    }
}

#[test]
fn a_revision_that_is_not_spoken_is_refused_with_those_that_are() {
    for requested in ["1900-01-01", "2025-11-25"] {
        let meta = format!(
            r#"{{"io.modelcontextprotocol/protocolVersion":"{requested}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
        );
        assert_eq!(refused(&meta), (400, -32022), "{requested}");
    }
    let data = unsupported_version("1900-01-01", &Revision::ALL[3..]).error.data.unwrap();
    assert_eq!(data.get(), r#"{"supported":["2026-07-28","2025-11-25"],"requested":"1900-01-01"}"#);
}

#[test]
fn metadata_is_added_for_a_modern_server_and_taken_away_for_a_legacy_one() {
    let source = params(r#"{"progressToken":"t","com.example/x":[1]}"#);
    let capabilities = raw_json("{}").unwrap();
    let info = raw_json(r#"{"name":"c"}"#).unwrap();
    let revision = Revision::V2026_07_28;
    let added = with_request_meta(Some(&source), revision, &capabilities, Some(&info), Some(LogLevel::Info));
    assert!(is_modern_request(Some(&added)) && !is_modern_request(Some(&source)));
    let meta = RequestMeta::read(Some(&added), &Revision::ALL).unwrap();
    assert_eq!((meta.log_level, meta.progress_token.unwrap().get()), (Some(LogLevel::Info), "\"t\""));
    assert_eq!(strip_request_meta(Some(&added)).unwrap().get(), source.get());
    let alone = with_request_meta(None, revision, &capabilities, None, None);
    assert_eq!(strip_request_meta(Some(&alone)).unwrap().get(), "{}");
    assert!(strip_request_meta(None).is_none());
}
