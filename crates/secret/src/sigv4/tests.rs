//! Requests that botocore signed with placeholders, and the signatures that it made with the values.

use cella_contract::Contract;
use http::HeaderName;
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::{Placeholder, PlaceholderIndex, Rewriter};

const TERMS: &str = "
[secrets.ID]
hosts = [\"*.amazonaws.com\"]
in = [\"sigv4\"]
pair = \"KEY\"
format = \"akia\"
[secrets.KEY]
hosts = [\"*.amazonaws.com\"]
in = [\"sigv4\"]
format = \"aws-secret\"
[secrets.TOKEN]
hosts = [\"*.amazonaws.com\"]
in = [\"header:x-amz-security-token\"]
";

struct House {
    bindings: Vec<Binding>,
}

impl House {
    /// The pair of the vectors, and a session token.
    fn new(vectors: &Value) -> Self {
        let contract =
            Contract::parse("c", &crate::granted::granted(TERMS)).unwrap_or_else(|e| panic!("{e}"));
        let pair = |at: usize, n: usize| vectors["ids"][at][n].as_str().expect("a text").to_owned();
        let token = |key: &str| {
            let cases = vectors["cases"].as_array().expect("cases").iter();
            cases.filter_map(|c| c[key]["x-amz-security-token"].as_str()).next().expect("a token").to_owned()
        };
        let all = [
            ("ID", pair(0, 0), pair(1, 0)),
            ("KEY", pair(0, 1), pair(1, 1)),
            ("TOKEN", token("placeholder"), token("value")),
        ];
        let bind = |(name, placeholder, value): (&str, String, String)| {
            let placeholder = Placeholder::fixed(&placeholder);
            Binding::new(name, &contract.secrets[name], placeholder, value.as_bytes()).expect("bound")
        };
        Self { bindings: all.into_iter().map(bind).collect() }
    }

    fn rewriter(&self, case: &Case) -> Rewriter {
        let all = self.bindings.iter().map(|b| ("a", b.name(), b.placeholder()));
        let facts = Facts {
            sni: Some(case.host.clone()),
            address_vetted: true,
            certificate_valid: true,
            authority: case.host.clone(),
            method: case.method.clone(),
            path: case.target.split('?').next().unwrap_or_default().to_owned(),
        };
        Rewriter::new(PlaceholderIndex::new(all), "a".into(), self.bindings.clone().into(), facts)
    }
}

#[derive(Clone)]
struct Case {
    name: String,
    method: String,
    target: String,
    host: String,
    body: [u8; 32],
    placeholder: HeaderMap,
    value: HeaderMap,
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/sigv4/vectors.json")).expect("JSON")
}

fn cases(vectors: &Value) -> Vec<Case> {
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    let headers = |v: &Value| -> HeaderMap {
        let pair = |(k, v): (&String, &Value)| {
            (HeaderName::try_from(k).expect("a name"), HeaderValue::try_from(text(v)).expect("a value"))
        };
        v.as_object().expect("headers").iter().map(pair).collect()
    };
    let case = |c: &Value| Case {
        name: text(&c["name"]),
        method: text(&c["method"]),
        target: text(&c["target"]),
        host: text(&c["placeholder"]["host"]),
        body: Sha256::digest(text(&c["body"])).into(),
        placeholder: headers(&c["placeholder"]),
        value: headers(&c["value"]),
    };
    vectors["cases"].as_array().expect("cases").iter().map(case).collect()
}

/// The headers that would be sent.
fn sent(house: &House, case: &Case) -> Result<HeaderMap, Violation> {
    let mut headers = case.placeholder.clone();
    house.rewriter(case).head(&case.target, &mut headers, Some(case.body))?;
    Ok(headers)
}

#[test]
fn what_is_signed_anew_is_what_botocore_signs_with_the_values() {
    let vectors = vectors();
    let house = House::new(&vectors);
    let cases = cases(&vectors);
    assert!(cases.len() >= 10);
    for case in cases {
        let got = sent(&house, &case).unwrap_or_else(|violation| panic!("{}: {violation}", case.name));
        assert_eq!(got, case.value, "{}", case.name);
        assert!(got["authorization"].is_sensitive());
    }
}

#[test]
fn a_request_that_was_changed_after_signing_is_refused() {
    let vectors = vectors();
    let house = House::new(&vectors);
    for case in cases(&vectors) {
        let mut changes = vec![
            Case { target: format!("{}&x=1", case.target.replace('/', "/x")), ..case.clone() },
            Case { method: "DELETE".into(), ..case.clone() },
        ];
        if !case.placeholder.contains_key("x-amz-content-sha256") {
            changes.push(Case { body: [7; 32], ..case.clone() });
        }
        for changed in changes {
            let why = sent(&house, &changed).expect_err("a violation");
            let mismatch = matches!(&why, Violation::SigV4 { why: SigV4Refusal::Mismatch, .. });
            assert!(mismatch && why.code() == "CE2343", "{}: {why}", case.name);
        }
    }
}

fn with(name: &'static str, value: &str) -> impl Fn(&mut Case) {
    let value = HeaderValue::from_str(value).expect("a value");
    move |case| drop(case.placeholder.insert(name, value.clone()))
}

fn in_authorization(from: &'static str, to: &'static str) -> impl Fn(&mut Case) {
    move |case| {
        let value = case.placeholder["authorization"].to_str().expect("a text").replace(from, to);
        case.placeholder.insert("authorization", HeaderValue::try_from(value).expect("a value"));
    }
}

type Change = Box<dyn Fn(&mut Case)>;

#[test]
fn every_refusal_says_why() {
    let vectors = vectors();
    let house = House::new(&vectors);
    let plain = cases(&vectors).remove(0);
    let changes: Vec<(Change, &str, &str)> = vec![
        (
            Box::new(with("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")),
            "CE2344",
            "chunk by chunk",
        ),
        (Box::new(with("x-amz-content-sha256", "nonsense")), "CE2343", "x-amz-content-sha256"),
        (Box::new(with("x-amz-meta-more", "1")), "CE2343", "does not cover the header x-amz-meta-more"),
        (Box::new(with("x-amz-date", "20261201T000000Z")), "CE2343", "x-amz-date"),
        (Box::new(in_authorization("host;", "host;lacking;")), "CE2343", "lacking"),
        (
            Box::new(in_authorization("host;x-amz-date", "x-amz-date")),
            "CE2343",
            "does not cover the header host",
        ),
        (Box::new(|case: &mut Case| case.target.push_str("&X-Amz-Signature=0")), "CE2344", "in the query"),
    ];
    for (change, code, says) in changes {
        let mut case = plain.clone();
        change(&mut case);
        let why = sent(&house, &case).expect_err(says);
        assert!(why.code() == code && why.to_string().contains(says), "{why}");
        assert!(!why.to_string().contains("AKIAIOSFODNN7EXAMPLE"));
    }
}

#[test]
fn a_malformed_header_is_not_taken_for_a_signature_of_ours() {
    let vectors = vectors();
    let house = House::new(&vectors);
    let plain = cases(&vectors).remove(0);
    for (from, to) in [
        ("Credential=", "Credential=x/"),
        ("aws4_request", "aws5_request"),
        ("Signature=", "Signature=zz"),
        ("Signature=", "Signature=0, Signature="),
        ("host;x-amz-date", "x-amz-date;host"),
        ("host;x-amz-date", "host;host;x-amz-date"),
        ("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "),
    ] {
        let mut case = plain.clone();
        in_authorization(from, to)(&mut case);
        // What is left is a placeholder in a header, where this secret must not stand.
        assert_eq!(sent(&house, &case).map_err(|why| why.code()).err(), Some("CE2338"), "{from} {to}");
    }
}

#[test]
fn an_id_is_of_no_use_elsewhere() {
    let vectors = vectors();
    let house = House::new(&vectors);
    let plain = cases(&vectors).remove(0);
    let evil = Case { host: "evil.example".into(), ..plain.clone() };
    assert_eq!(sent(&house, &evil).map_err(|why| why.code()).err(), Some("CE2331"));
    let alone = House { bindings: house.bindings[..1].to_vec() };
    assert!(sent(&alone, &plain).expect_err("refused").to_string().contains("not bound"));
}

#[test]
fn the_digest_of_a_body_is_asked_for_where_it_is_not_declared() {
    let vectors = vectors();
    let house = House::new(&vectors);
    let mut asked = 0;
    for case in cases(&vectors) {
        let needs = house.rewriter(&case).signs(&case.placeholder).expect("signed").expect("a pair");
        if needs == Payload::Body {
            asked += 1;
            let mut headers = case.placeholder.clone();
            let why = house.rewriter(&case).head(&case.target, &mut headers, None).expect_err("refused");
            assert!(why.to_string().contains("digest of its body"));
        }
    }
    assert!(asked > 0 && asked < cases(&vectors).len());
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(text in "AWS4-HMAC-SHA256 [ -~]{0,120}", target in "/[ -~]{0,40}") {
        let vectors = vectors();
        let house = House::new(&vectors);
        let mut case = cases(&vectors).remove(0);
        case.placeholder.insert("authorization", HeaderValue::try_from(text).expect("a value"));
        case.target = target;
        let _either = sent(&house, &case);
    }
}
