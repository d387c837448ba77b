//! Requests of a cell, and what becomes of them.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cella_contract::{Contract, Format};
use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::Placeholder;

const VALUE: &str = "real \"value\" & +/\\ of K";
const TERMS: &str = "hosts = [\"api.example.com\"]\nin = [\"header\", \"basic\", \"query:key\", \"form:key\", \"json:auth.token\", \"json:list.*\"]\n";

fn placeholder(seed: u8) -> Placeholder {
    let random: Vec<u8> = (0..200_u8).map(|n| n.wrapping_mul(7).wrapping_add(seed)).collect();
    Placeholder::generate(&Format::default(), &random).expect("bytes")
}

/// A rewriter of the cell `a`, whose secret K has placeholder 1; placeholder 2 is of the cell `b`.
fn rewriter(terms: &str, value: &str, sni: &str) -> Rewriter {
    let contract = Contract::parse("c", &crate::granted::granted(&format!("[secrets.K]\n{terms}")))
        .unwrap_or_else(|e| panic!("{e}"));
    let binding = Binding::new("K", &contract.secrets["K"], placeholder(1), value.as_bytes()).expect("bound");
    let index = PlaceholderIndex::new([("a", "K", &placeholder(1)), ("b", "K", &placeholder(2))]);
    let facts = Facts {
        sni: Some(sni.into()),
        address_vetted: true,
        certificate_valid: true,
        authority: sni.into(),
        method: "POST".into(),
        path: "/x".into(),
    };
    Rewriter::new(index, "a".into(), [binding].into(), facts)
}

/// Made once: an automaton takes longer than a case.
static USUAL: LazyLock<Rewriter> = LazyLock::new(|| rewriter(TERMS, VALUE, "api.example.com"));

fn usual() -> Rewriter {
    USUAL.clone()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(k, v)| (http::HeaderName::from_static(k), HeaderValue::from_str(v).expect("a value")))
        .collect()
}

fn header_of(rewriter: &Rewriter, name: &'static str, value: &str) -> Result<String, Violation> {
    let mut headers = headers(&[(name, value)]);
    rewriter.head("/x", &mut headers, None)?;
    Ok(headers[name].to_str().expect("a text").to_owned())
}

fn body_in(rewriter: &Rewriter, kind: &str, chunks: &[&[u8]]) -> Result<(String, Vec<Use>), Violation> {
    let mut body = rewriter.body(&headers(&[("content-type", kind)]))?;
    let mut out = Vec::new();
    for chunk in chunks {
        body.push(chunk, &mut out)?;
    }
    let uses = body.finish(&mut out)?;
    Ok((String::from_utf8(out).expect("UTF-8"), uses))
}

fn body_of(kind: &str, text: &str) -> Result<String, Violation> {
    body_in(&usual(), kind, &[text.as_bytes()]).map(|(text, _)| text)
}

#[test]
fn a_placeholder_in_a_header_becomes_the_value() {
    let p = placeholder(1);
    assert_eq!(header_of(&usual(), "authorization", &format!("Bearer {p}")), Ok(format!("Bearer {VALUE}")));
    assert_eq!(header_of(&usual(), "x-api-key", p.as_str()), Ok(VALUE.into()));
    assert_eq!(
        header_of(&usual(), "cookie", &format!("a=1; t={p}; u={p}")),
        Ok(format!("a=1; t={VALUE}; u={VALUE}"))
    );
    assert_eq!(header_of(&usual(), "x-other", "nothing in it %41"), Ok("nothing in it %41".into()));
    let mut map = headers(&[("x-api-key", p.as_str())]);
    let head = usual().head("/x", &mut map, None).expect("rewritten");
    assert_eq!(head.uses, [Use { secret: "K".into(), place: "the header x-api-key".into() }]);
    assert!(map["x-api-key"].is_sensitive());
}

#[test]
fn basic_authentication_is_decoded_and_encoded_again() {
    let p = placeholder(1);
    for (user, password) in [(p.as_str(), "x"), ("user", p.as_str()), ("u", &format!("pre{p}post"))] {
        let sent = format!("basic {}", STANDARD.encode(format!("{user}:{password}")));
        let got = header_of(&usual(), "authorization", &sent).expect("rewritten");
        let wanted = format!("{user}:{password}").replace(p.as_str(), VALUE);
        assert_eq!(got, format!("basic {}", STANDARD.encode(wanted)));
    }
    let plain = format!("Basic {}", STANDARD.encode("user:password"));
    assert_eq!(header_of(&usual(), "authorization", &plain), Ok(plain));
    let colon = rewriter(TERMS, "a value:with a colon", "api.example.com");
    let user = format!("Basic {}", STANDARD.encode(format!("{p}:x")));
    assert_eq!(header_of(&colon, "authorization", &user).map_err(|v| v.code()), Err("CE2342"));
    let password = format!("Basic {}", STANDARD.encode(format!("x:{p}")));
    assert!(header_of(&colon, "authorization", &password).is_ok());
}

#[test]
fn a_parameter_of_the_query_is_replaced_and_the_rest_stays_as_it_was() {
    let p = placeholder(1);
    let target = |target: &str| usual().head(target, &mut HeaderMap::new(), None).map(|head| head.target);
    let written = "real%20%22value%22%20%26%20%2B%2F%5C%20of%20K";
    let first = p.as_str().replacen('c', "%63", 1);
    assert_eq!(target(&format!("/x?a=%2f&key={p}&&b")), Ok(format!("/x?a=%2f&key={written}&&b")));
    assert_eq!(target(&format!("/x?%6bey={first}")), Ok(format!("/x?%6bey={written}")));
    for wrong in [
        format!("/{p}"),
        format!("/x?k={p}"),
        format!("/x?{p}"),
        format!("/x?{p}=1"),
        format!("/x/{first}?key"),
    ] {
        assert_eq!(target(&wrong).map_err(|v| v.code()), Err("CE2338"), "{wrong}");
    }
}

#[test]
fn a_string_at_the_declared_path_of_a_json_body_is_replaced() {
    let p = placeholder(1);
    let value = r#"real \"value\" & +/\\ of K"#;
    let escaped = p.as_str().replacen('c', "\\u0063", 1);
    for text in [p.as_str(), &escaped] {
        let body = format!(
            r#"{{"x": "{{", "auth": {{"token": "Bearer {text}", "n": 1.50}}, "list": [1, "{text}"]}}"#
        );
        assert_eq!(body_of("application/json; charset=UTF-8", &body), Ok(body.replace(text, value)));
    }
    for wrong in [
        format!(r#"{{"token": "{p}"}}"#),
        format!(r#"{{"{p}": 1}}"#),
        format!(r#"{{"auth": {{"token": {p}}}}}"#),
        format!(r#"{{"auth": {{"token": ["{p}"]}}}}"#),
        format!("{p}"),
    ] {
        assert_eq!(body_of("application/json", &wrong).map_err(|v| v.code()), Err("CE2338"), "{wrong}");
    }
    let right = format!(r#"{{"auth": {{"token": "{p}"}}}}"#);
    for kind in ["text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded"] {
        assert_eq!(body_of(kind, &right).map_err(|v| v.code()), Err("CE2338"), "{kind}");
    }
}

#[test]
fn a_field_of_a_form_is_replaced() {
    let p = placeholder(1);
    let kind = "application/x-www-form-urlencoded";
    let written = "real+%22value%22+%26+%2B%2F%5C+of+K";
    assert_eq!(body_of(kind, &format!("a=b&key={p}&c=d")), Ok(format!("a=b&key={written}&c=d")));
    for wrong in [format!("k={p}"), format!("{p}=1"), format!("key{p}")] {
        assert_eq!(body_of(kind, &wrong).map_err(|v| v.code()), Err("CE2338"), "{wrong}");
    }
}

#[test]
fn a_placeholder_in_another_form_is_found_and_stops_the_request() {
    let p = placeholder(1);
    let hex: String = p.as_str().bytes().map(|b| format!("{b:02X}")).collect();
    let percent: String = p.as_str().bytes().map(|b| format!("%{b:02x}")).collect();
    let base64 = |before: &str| STANDARD.encode(format!("{before}{p}y"));
    for written in [hex, percent, base64(""), base64("x"), base64("xx")] {
        assert_eq!(
            header_of(&usual(), "x-api-key", &written).map_err(|v| v.code()),
            Err("CE2340"),
            "{written}"
        );
        let json = format!(r#"{{"auth": {{"token": "{written}"}}}}"#);
        assert_eq!(body_of("application/json", &json).map_err(|v| v.code()), Err("CE2340"), "{written}");
        assert_eq!(body_of("text/plain", &written).map_err(|v| v.code()), Err("CE2338"), "{written}");
    }
}

#[test]
fn a_placeholder_anywhere_else_stops_the_request() {
    let p = placeholder(1);
    let basic = format!("Basic {}", STANDARD.encode(format!("u:{p}")));
    for (name, value) in [
        ("host", p.as_str()),
        ("content-type", p.as_str()),
        ("proxy-authorization", &basic),
        ("x-other", &basic),
    ] {
        assert_eq!(header_of(&usual(), name, value).map_err(|v| v.code()), Err("CE2338"), "{name}");
    }
    let mut named = HeaderMap::new();
    let hex: String = p.as_str().bytes().map(|b| format!("{b:02x}")).collect();
    named.insert(http::HeaderName::try_from(hex).expect("a name"), HeaderValue::from_static("x"));
    assert_eq!(usual().head("/x", &mut named, None).map_err(|v| v.code()), Err("CE2338"));
    assert_eq!(usual().trailers(&headers(&[("x", p.as_str())])).map_err(|v| v.code()), Err("CE2338"));
    assert_eq!(usual().trailers(&headers(&[("x", "y")])), Ok(()));
}

#[test]
fn towards_another_host_and_for_another_cell_nothing_is_replaced() {
    let (own, foreign) = (placeholder(1), placeholder(2));
    let elsewhere = rewriter(TERMS, VALUE, "evil.example");
    assert_eq!(header_of(&elsewhere, "authorization", own.as_str()).map_err(|v| v.code()), Err("CE2331"));
    assert_eq!(
        body_in(&elsewhere, "text/plain", &[own.as_str().as_bytes()]).map_err(|v| v.code()),
        Err("CE2331")
    );
    let violation = header_of(&usual(), "authorization", foreign.as_str()).expect_err("a violation");
    assert_eq!((violation.code(), violation.secret()), ("CE2339", None));
    assert!(!violation.to_string().contains(foreign.as_str()));
}

#[test]
fn a_compressed_body_stops_only_where_secrets_are_bound() {
    let gzip = headers(&[("content-encoding", "gzip")]);
    assert_eq!(usual().body(&gzip).map_err(|v| v.code()).err(), Some("CE2341"));
    assert!(rewriter(TERMS, VALUE, "other.example").body(&gzip).is_ok());
    assert!(usual().body(&headers(&[("content-encoding", "identity")])).is_ok());
}

#[test]
fn the_length_is_said_to_change_only_where_it_can() {
    let changes = |kind: &str, sni: &str| {
        let body = rewriter(TERMS, VALUE, sni).body(&headers(&[("content-type", kind)]));
        body.expect("a body").changes_length()
    };
    assert!(
        changes("application/json", "api.example.com") && changes("application/x+json", "api.example.com")
    );
    assert!(!changes("text/plain", "api.example.com") && !changes("application/json", "other.example"));
}

#[test]
fn only_codings_that_can_be_looked_into_are_asked_for() {
    for (asked, sent) in [
        ("gzip, deflate, br, zstd", "gzip, deflate, br"),
        ("GZIP;q=0.5, *;q=0.1", "GZIP;q=0.5"),
        ("identity", "identity"),
        ("zstd", "identity"),
    ] {
        assert_eq!(header_of(&usual(), "accept-encoding", asked).as_deref(), Ok(sent));
        let unbound = rewriter(TERMS, VALUE, "other.example");
        assert_eq!(header_of(&unbound, "accept-encoding", asked).as_deref(), Ok(asked));
    }
}

#[test]
fn a_value_that_a_place_cannot_hold_is_not_put_there() {
    let broken = rewriter(TERMS, "two lines\nof a value", "api.example.com");
    let p = placeholder(1);
    assert_eq!(header_of(&broken, "x-api-key", p.as_str()).map_err(|v| v.code()), Err("CE2342"));
    let json = format!(r#"{{"auth":{{"token":"{p}"}}}}"#);
    let (text, _) = body_in(&broken, "application/json", &[json.as_bytes()]).expect("rewritten");
    assert_eq!(text, r#"{"auth":{"token":"two lines\nof a value"}}"#);
}

proptest! {
    #[test]
    fn a_body_means_the_same_however_it_is_cut(
        at in 0..5_usize, cuts in proptest::collection::vec(1..20_usize, 1..5),
    ) {
        let p = placeholder(1);
        let bodies = [
            format!(r#"{{"auth":{{"token":"{p}"}},"list":["{p}","\\\u0063{}"]}}"#, &p.as_str()[1..]),
            format!(r#"{{"auth":{{"token":"{p}"}},"other":"{p}"}}"#),
            format!(r#"{{"auth":{{"token":"cel_x{p}cel_%41\u00"}}}}"#),
            format!(r#"{{"auth":{{"token":"{}"}}}}"#, STANDARD.encode(p.as_str())),
            format!(r#"{{"auth":{{"token":"{}"}}}}"#, placeholder(2)),
        ];
        let body = bodies[at].as_bytes();
        let whole = body_in(&usual(), "application/json", &[body]);
        let (mut rest, mut chunks) = (body, Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(whole, body_in(&usual(), "application/json", &chunks));
    }

    #[test]
    fn nothing_that_a_cell_sends_makes_it_panic(
        target in "/[ -~]{0,60}", value in "[ -~]{0,80}", body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut map = headers(&[("authorization", value.as_str()), ("content-type", "application/json")]);
        let _either = usual().head(&target, &mut map, None);
        for kind in ["application/json", "application/x-www-form-urlencoded", "x"] {
            let mut out = Vec::new();
            let mut rewriter = usual().body(&headers(&[("content-type", kind)])).expect("a body");
            rewriter.push(&body, &mut out).expect("nothing in it");
            rewriter.finish(&mut out).expect("nothing in it");
            prop_assert_eq!(&out, &body);
        }
    }
}
