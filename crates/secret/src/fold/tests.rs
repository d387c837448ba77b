//! Escapes and their places, against the same written plainly.

use proptest::prelude::*;

use super::{oracle, *};

/// Unfolds a text that is whole, or goes on.
fn unfolded(text: &[u8], around: usize, end: bool) -> Folded {
    let mut folded = Folded::default();
    // what another text has left is no part of this one
    folded.fill(b"%41\\n and something else that was here before%42", 3, true);
    folded.fill(text, around, end);
    folded
}

#[test]
fn escapes_are_seen_through_and_their_places_kept() {
    let text = b"ab%41\\u0042c\\n%zz\\u00e9!";
    let folded = unfolded(text, 4, true);
    let region = folded.region(text, 0);
    assert_eq!(region.bytes, "abABc\n%zz\u{e9}!".as_bytes());
    assert_eq!((region.start_of(2), region.end_of(2)), (2, 5));
    assert_eq!((region.start_of(3), region.end_of(3)), (5, 11));
    assert_eq!((region.start_of(4), region.end_of(4)), (11, 12));
    let boundaries = (folded.boundary(text, 3), folded.boundary(text, 5));
    assert_eq!((region.byte_at(3), boundaries), (3, (2, 5)));
    assert_eq!(region.kinds(0, 5), Escapes { percent: true, json: false });
    assert_eq!(json_text(b"a\\ud83d\\ude00%41"), "a\u{1f600}%41".as_bytes());
    assert_eq!(percent_text(b"%e2%82%ac\\n"), "\u{20ac}\\n".as_bytes());
}

#[test]
fn an_escape_that_may_go_on_is_left_open_until_the_end() {
    for text in ["x%", "x%4", "x\\", "x\\u", "x\\u004", "x\\ud83d", "x\\ud83d\\u"] {
        assert_eq!(unfolded(text.as_bytes(), 9, false).open, Some(1), "{text}");
        assert_eq!(unfolded(text.as_bytes(), 9, true).open, None, "{text}");
    }
    assert_eq!(unfolded(b"x%g", 9, false).open, None);
}

#[test]
fn far_escapes_have_their_own_regions() {
    let text = [&b"%41"[..], &[b'-'; 50], b"%42", &[b'-'; 50]].concat();
    let folded = unfolded(&text, 5, true);
    let bytes: Vec<&[u8]> = folded.regions(&text, 0).map(|region| region.bytes).collect();
    assert_eq!(bytes, [&b"A-----"[..], b"-----B-----"]);
    assert!(folded.last(&text).is_none());
}

/// Escapes, halves of them, what looks like one, and what stands for itself, short and long.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let signs = proptest::sample::select(vec![
        "%41",
        "%4",
        "%",
        "%zz",
        "\\n",
        "\\\\",
        "\\q",
        "\\",
        "\\u0041",
        "\\u20ac",
        "\\u00",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\ud83d\\u00zz",
    ]);
    let run = (0..3_usize, 0..50_usize).prop_map(|(long, n)| vec![b'-'; n * [1, 1, 6][long]]);
    let piece = prop_oneof![4 => signs.prop_map(|sign| sign.as_bytes().to_vec()), 1 => run];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_byte_and_place_is_where_the_plain_way_has_it(text in text(), around in 0..80_usize, end: bool) {
        let (folded, plain) = (unfolded(&text, around, end), oracle::Folded::new(&text, around, end));
        let regions: Vec<Region<'_>> = (0..folded.stretches.len()).map(|at| folded.region(&text, at)).collect();
        prop_assert_eq!((folded.open, regions.len()), (plain.open, plain.regions.len()));
        prop_assert_eq!(folded.last(&text).is_some(), plain.regions.last().is_some_and(|region| region.last));
        for place in 0..=text.len() {
            prop_assert_eq!(folded.boundary(&text, place), plain.boundary(place), "boundary of {}", place);
        }
        for (region, plain) in regions.iter().zip(&plain.regions) {
            prop_assert_eq!(region.bytes, &plain.bytes);
            for byte in 0..region.bytes.len() {
                let (start, after) = (region.start_of(byte), region.end_of(byte));
                prop_assert_eq!((start, after), (plain.start_of(byte), plain.end_of(byte)), "of {}", byte);
                let near = region.end_of((byte + 30).min(region.bytes.len() - 1));
                prop_assert_eq!(region.kinds(start, near), plain.kinds(start, near));
            }
            for place in 0..=text.len() {
                prop_assert_eq!(region.byte_at(place), plain.byte_at(place), "byte at {}", place);
            }
        }
    }

    #[test]
    fn a_stretch_is_looked_for_from_where_it_still_matters(text in text(), from in 0..300_usize) {
        let folded = unfolded(&text, 9, true);
        let ends = folded.stretches.iter().map(|stretch| stretch.end).filter(|end| *end > from);
        prop_assert!(ends.eq(folded.regions(&text, from).map(|region| region.end)));
    }
}
