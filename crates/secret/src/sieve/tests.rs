//! However a stream is cut, the same is found in it.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
};

use proptest::prelude::*;

use super::*;

const SECRET: &[u8] = b"s3cr\"t\\val/ue %41+~\xc3\xa9";
const OTHER: &[u8] = b"s3cr\"t\\val";

/// What passes in lower case brackets, what is found by subject in angles.
fn sifted(patterns: &Arc<Patterns>, chunks: &[&[u8]]) -> (Vec<u8>, usize) {
    let mut sieve = Sieve::new(Arc::clone(patterns));
    let (mut out, mut hits) = (Vec::new(), 0);
    let mut sink = |piece: Piece<'_>| {
        match piece {
            Piece::Plain(plain) => out.extend_from_slice(plain),
            Piece::Hit(hit) => {
                hits += 1;
                out.extend(format!("<{}>", hit.subject).into_bytes());
            }
        }
        Ok::<(), Infallible>(())
    };
    for chunk in chunks {
        sieve.push(chunk, false, &mut sink).expect("infallible");
    }
    sieve.push(&[], true, &mut sink).expect("infallible");
    (out, hits)
}

/// Made once: an automaton takes longer than a case.
static BOTH: LazyLock<Arc<Patterns>> = LazyLock::new(|| patterns(&[SECRET, OTHER]));

fn patterns(texts: &[&[u8]]) -> Arc<Patterns> {
    Arc::new(Patterns::new(texts.iter().copied()))
}

fn found(texts: &[&[u8]], stream: &[u8]) -> String {
    String::from_utf8_lossy(&sifted(&patterns(texts), &[stream]).0).into_owned()
}

/// Every character as `\u00XX`, or as `%XX`.
fn escaped(text: &[u8], open: &str) -> Vec<u8> {
    text.iter().flat_map(|b| format!("{open}{b:02x}").into_bytes()).collect()
}

#[test]
fn every_form_is_found() {
    for (form, written) in Form::all(SECRET) {
        let stream = [b"before ", written.as_slice(), b" after"].concat();
        assert_eq!(found(&[SECRET], &stream), "before <0> after", "{form:?}");
    }
    assert_eq!(found(&[SECRET], &escaped(SECRET, "%")), "<0>");
    let ascii = b"only ascii: \"%41\" \\";
    assert_eq!(found(&[ascii], &escaped(ascii, "\\u00")), "<0>");
    assert_eq!(found(&[b"caf\xc3\xa9 au lait"], b"x caf\\u00E9\\u0020au%20lait"), "x <0>");
}

#[test]
fn the_longest_of_two_that_begin_together_is_found() {
    assert_eq!(found(&[OTHER, SECRET], SECRET), "<1>");
    assert_eq!(
        found(&[OTHER, SECRET], &SECRET[..15]),
        format!("<0>{}", String::from_utf8_lossy(&SECRET[10..15]))
    );
}

#[test]
fn nothing_is_held_back_that_cannot_become_a_find() {
    let patterns = patterns(&[b"cel_0123456789"]);
    let mut sieve = Sieve::new(patterns);
    let mut passed = Vec::new();
    for chunk in [&b"data: {}\n\n"[..], b"data: ce", b"ntre\n\n"] {
        let mut now = 0;
        sieve
            .push(chunk, false, |piece| {
                if let Piece::Plain(plain) = piece {
                    now += plain.len();
                }
                Ok::<(), Infallible>(())
            })
            .expect("infallible");
        passed.push(now);
    }
    assert_eq!(passed, [10, 6, 8]);
}

/// Pieces of which streams are made: forms of the secrets, parts of them, escapes, and noise.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let forms: Vec<Vec<u8>> =
        [SECRET, OTHER].iter().flat_map(|s| Form::all(s)).map(|(_, written)| written).collect();
    let whole = proptest::sample::select(forms.clone());
    let part = (proptest::sample::select(forms), 0..40_usize).prop_map(|(mut form, n)| {
        form.truncate(n);
        form
    });
    let mixed = proptest::collection::vec(0..3_u8, SECRET.len()).prop_map(|how| {
        let one = |(b, how): (&u8, u8)| match how {
            0 => format!("%{b:02X}").into_bytes(),
            1 if b.is_ascii() => format!("\\u00{b:02x}").into_bytes(),
            _ => vec![*b],
        };
        SECRET.iter().zip(how).flat_map(one).collect()
    });
    let noise = proptest::sample::select(vec![
        "%", "%4", "%41", "\\", "\\u", "\\u00", "\\\\", "s3cr", "x", "\\ud83d",
    ]);
    prop_oneof![whole, part, mixed, noise.prop_map(|s| s.as_bytes().to_vec())]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(piece(), 0..8).prop_map(|pieces| pieces.concat())
}

/// The stream in pieces whose lengths follow the cuts round and round.
fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut chunks) = (stream, Vec::new());
    for cut in cuts.iter().cycle() {
        if rest.is_empty() || cuts.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*cut).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_cut_gives_the_same(stream in stream(), cuts in proptest::collection::vec(1..30_usize, 1..6)) {
        let patterns = Arc::clone(&BOTH);
        let whole = sifted(&patterns, &[&stream]);
        prop_assert_eq!(&whole, &sifted(&patterns, &cut(&stream, &cuts)));
        prop_assert_eq!(&whole, &sifted(&patterns, &cut(&stream, &[1])));
    }

    #[test]
    fn no_form_is_left(stream in stream()) {
        let patterns = Arc::clone(&BOTH);
        let (out, _) = sifted(&patterns, &[&stream]);
        for (form, written) in Form::all(SECRET).into_iter().chain(Form::all(OTHER)) {
            prop_assert!(memchr::memmem::find(&out, &written).is_none(), "{form:?}");
        }
    }

    #[test]
    fn what_holds_nothing_passes_unchanged(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(sifted(&BOTH, &[&stream]), (stream, 0));
    }
}
