//! An answer in any coding is scrubbed to the same in two pieces as in one, no value is left in it in plain sight, and no
//! answer breaks a decoder.
#![no_main]

use std::sync::LazyLock;

use cella_contract::{Format, SecretTerms};
use cella_secret::{Binding, Placeholder, Scrubber};
use http::{HeaderMap, HeaderValue, header};

const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];
/// Short, and full of characters that are escaped, so that the fuzzer finds its forms.
const VALUE: &[u8] = b"a\"b\\c%41/+ z";

static SCRUBBER: LazyLock<Scrubber> = LazyLock::new(|| {
    let placeholder = Placeholder::generate(&Format::default(), &[1; 200]).expect("bytes");
    let binding = Binding::new("K", &SecretTerms::default(), placeholder, VALUE).expect("bound");
    Scrubber::new([&binding])
});

libfuzzer_sys::fuzz_target!(|input: (u8, usize, &[u8])| {
    let (coding, cut, answer) = input;
    let coding = CODINGS[usize::from(coding) % CODINGS.len()];
    let (first, second) = answer.split_at(cut % (answer.len() + 1));
    let whole = scrubbed(coding, &[answer]);
    assert_eq!(whole, scrubbed(coding, &[first, second]));
    if let Some(out) = whole {
        assert!(!out.windows(VALUE.len()).any(|part| part == VALUE));
    }
});

fn scrubbed(coding: &'static str, chunks: &[&[u8]]) -> Option<Vec<u8>> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    let mut body = SCRUBBER.answer(&mut headers).ok()?;
    let mut out = Vec::new();
    for chunk in chunks {
        body.push(chunk, &mut out).ok()?;
    }
    body.finish(&mut out).ok()?;
    Some(out)
}
