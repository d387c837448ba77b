//! Answers that repeat a value, in all forms and codings, and what a cell sees of them.

use std::{io::Write as _, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cella_contract::{Format, SecretTerms};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use proptest::prelude::*;

use super::*;
use crate::{Placeholder, form::Form};

const VALUE: &[u8] = b"ghp_real+Value/of \"K\" \\ 0123456789";

fn placeholder() -> Placeholder {
    Placeholder::generate(&Format::default(), &[3; 300]).expect("bytes")
}

/// Made once: an automaton takes longer than most of these tests.
static SCRUBBER: LazyLock<Scrubber> = LazyLock::new(|| {
    let binding = Binding::new("K", &SecretTerms::default(), placeholder(), VALUE).expect("bound");
    Scrubber::new([&binding])
});

fn scrubber() -> Scrubber {
    SCRUBBER.clone()
}

fn headers(coding: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !coding.is_empty() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(coding).expect("a value"));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("7"));
    headers
}

fn scrubbed(coding: &str, chunks: &[&[u8]]) -> Result<(Vec<u8>, u64), ScrubError> {
    let mut headers = headers(coding);
    let mut body = scrubber().answer(&mut headers)?;
    assert!(!headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_LENGTH));
    let mut out = Vec::new();
    for chunk in chunks {
        body.push(chunk, &mut out)?;
    }
    let hits = body.finish(&mut out)?;
    Ok((out, hits))
}

/// The code of the error, without what came out before it.
fn refused(coding: &str, chunk: &[u8]) -> Option<&'static str> {
    scrubbed(coding, &[chunk]).err().map(|error| error.code())
}

fn encoded(coding: &str, text: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).expect("memory");
            encoder.finish().expect("memory")
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).expect("memory");
            encoder.finish().expect("memory")
        }
        "bare" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(text).expect("memory");
            encoder.finish().expect("memory")
        }
        "br" => {
            let mut out = Vec::new();
            let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
            brotli::BrotliCompress(&mut &text[..], &mut out, &params).expect("memory");
            out
        }
        "zstd" => ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest),
        _ => text.to_vec(),
    }
}

const CODINGS: [(&str, &str); 6] =
    [("", ""), ("gzip", "gzip"), ("deflate", "deflate"), ("deflate", "bare"), ("br", "br"), ("zstd", "zstd")];

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[test]
fn every_form_in_every_coding_becomes_the_placeholder_in_the_same_form() {
    for (form, written) in Form::all(VALUE) {
        let text = [b"a page that repeats ", written.as_slice(), b" and goes on"].concat();
        let placeholder = form.write(placeholder().as_str().as_bytes());
        let wanted = [b"a page that repeats ", placeholder.as_slice(), b" and goes on"];
        for (name, coding) in CODINGS {
            let got = scrubbed(name, &[&encoded(coding, &text)]).expect(coding);
            assert_eq!(got, (wanted.concat(), 1), "{form:?} {coding}");
        }
    }
}

#[test]
fn what_a_cell_decodes_after_scrubbing_is_the_placeholder() {
    let echoed = STANDARD.encode([b"user:", VALUE].concat());
    let (out, hits) = scrubbed("", &[echoed.as_bytes()]).expect("scrubbed");
    let start = out.len() / 4 * 4;
    let decoded = STANDARD.decode(&out[..start]).unwrap_or_default();
    assert!(hits == 1 && !contains(&decoded, &VALUE[2..VALUE.len() - 2]));
    assert!(contains(&decoded, &placeholder().as_str().as_bytes()[1..30]));
}

#[test]
fn headers_and_trailers_are_scrubbed() {
    let mut headers = HeaderMap::new();
    let percent = String::from_utf8(Form::Percent.write(VALUE)).expect("ASCII");
    let location = format!("https://x.example/?key={percent}&b=1");
    headers.insert(header::LOCATION, HeaderValue::from_str(&location).expect("a value"));
    headers.insert("x-echo", HeaderValue::from_bytes(VALUE).expect("a value"));
    headers.insert("x-other", HeaderValue::from_static("%41 nothing"));
    assert_eq!(scrubber().headers(&mut headers), 2);
    let p = placeholder();
    assert_eq!(headers[header::LOCATION], format!("https://x.example/?key={p}&b=1"));
    assert_eq!(
        (&headers["x-echo"], &headers["x-other"]),
        (&HeaderValue::from_str(p.as_str()).expect("a value"), &HeaderValue::from_static("%41 nothing"))
    );
}

#[test]
fn a_coding_that_nobody_can_look_into_is_refused() {
    for coding in ["compress", "gzip, br", "gzip, gzip", "aes128gcm"] {
        assert_eq!(
            scrubber().answer(&mut headers(coding)).map_err(|e| e.code()).err(),
            Some("CE2349"),
            "{coding}"
        );
    }
    for coding in ["identity", "", "identity, GZIP"] {
        assert!(scrubber().answer(&mut headers(coding)).is_ok(), "{coding}");
    }
}

#[test]
fn a_broken_or_short_answer_is_an_error() {
    let text = b"a text that is long enough to be cut in two";
    for (name, coding) in CODINGS.into_iter().skip(1) {
        let whole = encoded(coding, text);
        assert_eq!(refused(name, &whole[..whole.len() - 3]), Some("CE2348"), "{coding}");
        assert_eq!(refused(name, &[0xff; 40]), Some("CE2348"), "{coding}");
        assert_eq!(scrubbed(name, &[]), Ok((Vec::new(), 0)), "{coding}");
    }
}

#[test]
fn a_bomb_is_cut_off() {
    let zeros = vec![0; 20 << 20];
    for (name, coding) in [("gzip", "gzip"), ("br", "br")] {
        let bomb = encoded(coding, &zeros);
        assert_eq!(refused(name, &bomb), Some("CE2347"), "{coding}");
    }
    // Twelve bytes for 128 KiB each, again and again.
    let run = |last: u32| ((128 << 10) << 3 | 1 << 1 | last).to_le_bytes();
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    for _ in 0..2000 {
        bomb.extend_from_slice(&run(0)[..3]);
        bomb.push(0);
    }
    assert_eq!(refused("zstd", &bomb), Some("CE2347"));
}

#[test]
fn a_zstd_frame_with_a_large_window_is_refused() {
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x98, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(refused("zstd", &frame), Some("CE2348"));
}

#[test]
fn several_members_of_gzip_and_frames_of_zstd_are_one_answer() {
    for coding in ["gzip", "zstd"] {
        let (first, second) = VALUE.split_at(9);
        let both = [encoded(coding, first), encoded(coding, second)].concat();
        assert_eq!(scrubbed(coding, &[&both]), Ok((placeholder().as_str().into(), 1)), "{coding}");
    }
}

#[test]
fn an_event_stream_is_not_held_back_by_gzip() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut body = scrubber().answer(&mut headers("gzip")).expect("a body");
    for n in 0..3 {
        encoder.write_all(format!("data: {n}\n\n").as_bytes()).expect("memory");
        encoder.flush().expect("memory");
        let mut out = Vec::new();
        body.push(&std::mem::take(encoder.get_mut()), &mut out).expect("scrubbed");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), format!("data: {n}\n\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_cut_of_every_coding_gives_the_same(
        noise in "[a-z%\\\\ ]{0,40}", form in 0..Form::all(VALUE).len(),
        cuts in proptest::collection::vec(1..40_usize, 1..5),
    ) {
        let written = Form::all(VALUE)[form].1.clone();
        let text = [noise.as_bytes(), &written, noise.as_bytes(), &written].concat();
        let whole = scrubbed("", &[&text]).expect("scrubbed");
        prop_assert!(!contains(&whole.0, &written) && whole.1 == 2);
        for (name, coding) in CODINGS {
            let encoded = encoded(coding, &text);
            let (mut rest, mut chunks) = (&encoded[..], Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(&whole, &scrubbed(name, &chunks).expect(coding), "{}", coding);
        }
    }

    #[test]
    fn no_answer_makes_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), coding in 1..6_usize) {
        let (name, coding) = CODINGS[coding];
        let _either = scrubbed(name, &[&bytes]);
        let mut broken = encoded(coding, &bytes);
        if let Some(byte) = broken.get_mut(usize::from(bytes.first().copied().unwrap_or(0)) % 40) {
            *byte ^= bytes.last().copied().unwrap_or(1);
        }
        let _either = scrubbed(name, &[&broken]);
    }
}
