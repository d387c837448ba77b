//! Any request of a cell is rewritten or refused, its body the same in two pieces as in one; a value comes out only where a
//! placeholder went in.
#![no_main]

use std::sync::LazyLock;

use cella_contract::{Contract, Format};
use cella_secret::{Binding, Facts, Placeholder, PlaceholderIndex, Rewriter};
use http::{HeaderMap, HeaderValue, header};

const KINDS: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "text/plain"];
const TERMS: &str = "[secrets.K]\nhosts = [\"a.example\"]\nin = [\"header\", \"basic\", \"query\", \"form\", \"json:**\"]\n";
const VALUE: &[u8] = b"the value of the secret";

static REWRITER: LazyLock<Rewriter> = LazyLock::new(|| {
    let contract = Contract::parse("c", TERMS).expect("a contract");
    // Twelve equal characters: short enough for the fuzzer to find.
    let format = Format::parse("x{alnum:13}").expect("a format");
    let placeholder = Placeholder::generate(&format, &[1; 200]).expect("bytes");
    let binding = Binding::new("K", &contract.secrets["K"], placeholder, VALUE).expect("bound");
    let index = PlaceholderIndex::new([("cell", "K", binding.placeholder())]);
    let facts = Facts {
        sni: Some("a.example".into()),
        address_vetted: true,
        certificate_valid: true,
        authority: "a.example".into(),
        method: "POST".into(),
        path: "/".into(),
    };
    Rewriter::new(index, "cell".into(), [binding].into(), facts)
});

libfuzzer_sys::fuzz_target!(|input: (&str, &[u8], u8, usize, &[u8])| {
    let (target, value, kind, cut, body) = input;
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(header::AUTHORIZATION, value);
    }
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let _either = REWRITER.head(target, &mut headers, None);
    let (first, second) = body.split_at(cut % (body.len() + 1));
    let whole = rewritten(&headers, &[body]);
    assert_eq!(whole, rewritten(&headers, &[first, second]));
    if let Some((out, 0)) = whole {
        assert_eq!(out, body);
    }
});

fn rewritten(headers: &HeaderMap, chunks: &[&[u8]]) -> Option<(Vec<u8>, usize)> {
    let mut body = REWRITER.body(headers).ok()?;
    let mut out = Vec::new();
    for chunk in chunks {
        body.push(chunk, &mut out).ok()?;
    }
    let uses = body.finish(&mut out).ok()?;
    Some((out, uses.len()))
}
