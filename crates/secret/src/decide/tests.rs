//! The table of violations: one fact changed at a time.

use cella_contract::{Contract, SecretTerms};

use super::*;
use crate::Placeholder;

fn terms(text: &str) -> SecretTerms {
    Contract::parse("c", &crate::granted::granted(&format!("[secrets.K]\n{text}")))
        .unwrap_or_else(|e| panic!("{e}"))
        .secrets
        .remove("K")
        .unwrap()
}

fn binding(text: &str) -> Binding {
    let terms = terms(text);
    let format = terms.format.clone().unwrap_or_default();
    let placeholder = Placeholder::generate(&format, &[9; 600]).expect("bytes");
    Binding::new("K", &terms, placeholder, b"the-real-value-of-it").expect("bound")
}

const TERMS: &str = "hosts = [\"api.example.com\"]\nmethods = [\"GET\"]\npaths = [\"/repos/**\"]\nin = [\"header:authorization\", \"json:a.*.b\"]\n";

fn facts() -> Facts {
    Facts {
        sni: Some("api.example.com".into()),
        address_vetted: true,
        certificate_valid: true,
        authority: "api.example.com".into(),
        method: "GET".into(),
        path: "/repos/a".into(),
    }
}

fn header() -> Place {
    Place::Header("authorization".into())
}

#[test]
fn a_request_that_fits_in_everything_is_permitted() {
    let binding = binding(TERMS);
    let json = Place::Json(vec!["a".into(), "7".into(), "b".into()]);
    for (facts, place) in [
        (facts(), header()),
        (facts(), json),
        (Facts { authority: "API.example.com:443".into(), ..facts() }, header()),
        (Facts { sni: Some("Api.Example.Com".into()), ..facts() }, header()),
        (Facts { path: "/x/../repos/%61".into(), ..facts() }, header()),
    ] {
        assert_eq!(decide(&binding, &facts, &place).map(|p| p.value()), Ok(&b"the-real-value-of-it"[..]));
    }
}

#[test]
fn every_mismatch_is_its_own_violation() {
    let binding = binding(TERMS);
    let other = || Some("evil.example".to_owned());
    for (facts, place, code, says) in [
        (Facts { sni: None, ..facts() }, header(), "CE2331", "TLS"),
        (
            Facts { sni: other(), ..facts() },
            header(),
            "CE2331",
            "bound to api.example.com, not to evil.example",
        ),
        (Facts { address_vetted: false, ..facts() }, header(), "CE2332", "not vetted"),
        (Facts { certificate_valid: false, ..facts() }, header(), "CE2333", "certificate"),
        (
            Facts { authority: "evil.example".into(), ..facts() },
            header(),
            "CE2334",
            "addressed to evil.example",
        ),
        (Facts { authority: "u@api.example.com".into(), ..facts() }, header(), "CE2334", "addressed to"),
        (Facts { authority: "api.example.com.".into(), ..facts() }, header(), "CE2334", "addressed to"),
        (Facts { authority: "api.example.com:x".into(), ..facts() }, header(), "CE2334", "addressed to"),
        (Facts { authority: String::new(), ..facts() }, header(), "CE2334", "addressed to"),
        (Facts { method: "POST".into(), ..facts() }, header(), "CE2335", "bound to GET, not to POST"),
        (Facts { method: "get".into(), ..facts() }, header(), "CE2335", "not to get"),
        (Facts { path: "/user".into(), ..facts() }, header(), "CE2336", "paths /repos/**, not to /user"),
        (Facts { path: "/repos/../user".into(), ..facts() }, header(), "CE2336", "not to /user"),
        (Facts { path: "/repos/%2e%2e/user".into(), ..facts() }, header(), "CE2337", "encoded dot"),
        (Facts { path: "/repos/..%2fuser".into(), ..facts() }, header(), "CE2337", "encoded slash"),
        (facts(), Place::Header("x-key".into()), "CE2338", "not in the header x-key"),
        (facts(), Place::Basic, "CE2338", "Basic"),
        (facts(), Place::Query("k".into()), "CE2338", "query parameter k"),
        (facts(), Place::Form("k".into()), "CE2338", "form field k"),
        (facts(), Place::Json(vec!["a".into(), "b".into()]), "CE2338", "JSON field a.b"),
        (facts(), Place::SigV4, "CE2338", "signature"),
        (facts(), Place::Elsewhere("the path"), "CE2338", "not in the path"),
    ] {
        let violation = decide(&binding, &facts, &place).expect_err("a violation");
        assert_eq!(violation.code(), code, "{violation}");
        assert_eq!(violation.secret(), Some("K"));
        let shown = format!("{violation} {violation:?}");
        assert!(violation.to_string().contains(says) && !shown.contains("the-real-value"), "{shown}");
    }
}

#[test]
fn a_secret_without_hosts_is_of_use_nowhere_and_one_without_rules_in_headers() {
    let nowhere = binding("from = \"env:K\"\n");
    assert_eq!(decide(&nowhere, &facts(), &header()).expect_err("a violation").code(), "CE2331");
    let plain = binding("hosts = [\"api.example.com\"]\n");
    let odd = Facts { path: "/a//%2f".into(), method: "PUT".into(), ..facts() };
    assert!(decide(&plain, &odd, &header()).is_ok() && decide(&plain, &odd, &Place::Basic).is_ok());
    assert!(decide(&plain, &odd, &Place::Query("k".into())).is_err());
}

#[test]
fn two_stars_in_a_json_path_lead_everywhere_below() {
    let below = binding("hosts = [\"api.example.com\"]\nin = [\"json:a.**\"]\n");
    let json = |path: &[&str]| Place::Json(path.iter().map(|s| (*s).to_owned()).collect());
    for (path, fits) in [(&["a"][..], true), (&["a", "b", "c"], true), (&["b", "a"], false), (&[], false)] {
        assert_eq!(decide(&below, &facts(), &json(path)).is_ok(), fits, "{path:?}");
    }
}

#[test]
fn an_excerpt_is_short_and_has_no_control_characters() {
    assert_eq!(excerpt("a\r\nb"), "a\u{fffd}\u{fffd}b");
    assert!(excerpt(&"\u{e9}".repeat(500)).len() <= EXCERPT_BYTES_MAX + 3);
}
