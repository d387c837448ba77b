//! How fast is an answer scrubbed? Prints megabytes of decoded answer per second on one core:
//!
//!     cargo xtask bench scrub
//!
//! No framework: one figure for each kind of answer, the best of some rounds, as a busy machine only ever makes it worse.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::{hint::black_box, io::Write as _, time::Instant};

use cella_contract::{Format, SecretTerms};
use cella_secret::{Binding, Placeholder, Scrubber};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};

/// Bytes of an answer.
const ANSWER_BYTES: usize = 32 << 20;
/// As hyper hands them over.
const CHUNK_BYTES: usize = 16 << 10;
const ROUNDS: usize = 5;

fn main() {
    let scrubber = scrubber();
    // kinds of answers with this in their names; `--bench` is cargo's
    let wanted = std::env::args().skip(1).find(|arg| arg != "--bench");
    println!("{:<28} {:>12} {:>12}", "answer", "identity", "gzip");
    for (name, text) in [
        ("plain text", text()),
        ("JSON with some escapes", json()),
        ("percent and JSON only", escapes()),
        ("all but a value, escaped", almost(&value(0), "%")),
        ("all but a value", almost(&value(0), "")),
        ("beginnings of values", beginnings()),
        (
            "beginnings, some escaped",
            words(|_, n| {
                format!("{}%41", value((n >> 40) as usize % 5)[..8 + (n >> 60) as usize % 4].escape_ascii())
            }),
        ),
    ] {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&text).expect("memory");
        let gzip = encoder.finish().expect("memory");
        let identity = megabytes(&scrubber, "identity", &text, text.len());
        let gzip = megabytes(&scrubber, "gzip", &gzip, text.len());
        println!("{name:<28} {identity:>7.0} MB/s {gzip:>7.0} MB/s");
    }
}

/// Five secrets of usual lengths: about sixty patterns.
fn scrubber() -> Scrubber {
    let bindings: Vec<Binding> = (0..5)
        .map(|n| {
            let random: Vec<u8> = (0..=255).map(|k: u8| k.wrapping_mul(7).wrapping_add(n as u8)).collect();
            let placeholder = Placeholder::generate(&Format::default(), &random).expect("bytes");
            Binding::new(&format!("K{n}"), &SecretTerms::default(), placeholder, &value(n)).expect("bound")
        })
        .collect();
    Scrubber::new(&bindings)
}

fn value(n: usize) -> Vec<u8> {
    (0..40).map(|k| b'!' + ((k * 31 + n * 17) % 90) as u8).collect()
}

fn megabytes(scrubber: &Scrubber, coding: &'static str, answer: &[u8], decoded: usize) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        let mut body = scrubber.answer(&mut headers).expect("a body");
        let mut out = Vec::new();
        let mut length = 0;
        let begun = Instant::now();
        for chunk in answer.chunks(CHUNK_BYTES) {
            body.push(chunk, &mut out).expect("scrubbed");
            length += out.len();
            black_box(&out);
            out.clear();
        }
        let hits = body.finish(&mut out).expect("scrubbed");
        best = best.min(begun.elapsed().as_secs_f64());
        assert!(length + out.len() == decoded && hits == 0, "nothing is in it");
    }
    decoded as f64 / 1e6 / best
}

/// Words, from a generator that is the same each time.
fn words(line: impl Fn(&str, u64) -> String) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "issue",
        "pull",
        "request",
        "the",
        "of",
        "repository",
        "commit",
        "tree",
        "blob",
        "a",
        "merge",
        "branch",
    ];
    let (mut out, mut state) = (Vec::with_capacity(ANSWER_BYTES), 7_u64);
    while out.len() < ANSWER_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend(line(WORDS[(state >> 33) as usize % WORDS.len()], state).into_bytes());
    }
    out
}

fn text() -> Vec<u8> {
    words(|word, n| if n >> 60 == 0 { format!("{word} {n:x}.\n") } else { format!("{word} ") })
}

fn json() -> Vec<u8> {
    words(|word, n| {
        format!(
            "{{\"id\":{},\"body\":\"the {word} of\\n\\\"{word}\\\" and more\",\"url\":\"https://a.example/{word}\"}},",
            n >> 40
        )
    })
}

fn escapes() -> Vec<u8> {
    words(|_, n| format!("%{:02x}\\u00{:02x}", n >> 56, n >> 48 & 0x7f))
}

/// A value but for its last character, again and again, perhaps with each character as an escape.
fn almost(value: &[u8], open: &str) -> Vec<u8> {
    let part = &value[..value.len() - 1];
    words(|_, _| {
        part.iter()
            .map(|b| if open.is_empty() { char::from(*b).to_string() } else { format!("{open}{b:02x}") })
            .collect()
    })
}

/// The first characters of values, which a search must look at one by one.
fn beginnings() -> Vec<u8> {
    words(|_, n| {
        String::from_utf8_lossy(&value((n >> 40) as usize % 5)[..4 + (n >> 60) as usize % 4]).into_owned()
    })
}
