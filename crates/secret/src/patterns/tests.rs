//! The quick search, against the automaton and against looking at every place.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// With beginnings that are each other's, and one text that is another's beginning.
const TEXTS: [&[u8]; 5] =
    [b"aaaabaaaab", b"aaaabaaaabaaaab", b"baaaabaaaa", b"s3cr\"t\\val/ue %41", b"aaaabaaaab"];

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(TEXTS));

fn text() -> impl Strategy<Value = Vec<u8>> {
    let forms: Vec<Vec<u8>> = PATTERNS.sorted.iter().map(|(form, _)| form.to_vec()).collect();
    let part = (proptest::sample::select(forms), 0..40_usize).prop_map(|(mut form, n)| {
        form.truncate(n);
        form
    });
    let noise = proptest::collection::vec(any::<u8>(), 0..60);
    proptest::collection::vec(prop_oneof![6 => part, 1 => noise], 0..120).prop_map(|pieces| pieces.concat())
}

/// The longest that begins first, by looking at every place.
fn plainly(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let longest = |at: usize| {
        let fitting = PATTERNS.sorted.iter().filter(|(form, _)| text[at..].starts_with(form));
        fitting.map(|(form, _)| at + form.len()).max()
    };
    (from..text.len()).find_map(|at| Some((at, longest(at)?)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_quick_search_finds_what_the_automaton_finds(text in text(), from in 0..400_usize) {
        let from = from.min(text.len());
        let all = |found: Option<Found>| found.map(|f| (f.pattern, f.start, f.end));
        let quick = all(PATTERNS.find(&text, from));
        prop_assert_eq!(quick, all(PATTERNS.automatic(&text, from, text.len())));
        prop_assert_eq!(quick.map(|(_, start, end)| (start, end)), plainly(&text, from));
    }

    #[test]
    fn a_beginning_at_the_end_of_a_text_is_the_first(text in text(), from in 0..400_usize) {
        let from = from.min(text.len());
        let begins = |at: &usize| {
            PATTERNS.sorted.iter().any(|(form, _)| form.len() > text.len() - at && form.starts_with(&text[*at..]))
        };
        prop_assert_eq!(PATTERNS.partial(&text, from), (from..text.len()).find(begins));
    }
}

#[test]
fn beginnings_that_stand_close_together_hide_no_pattern() {
    let part = &TEXTS[1][..9];
    for before in [0, 10, 100, 454, 455, 456, 457, 600, 2000] {
        let text = [part.repeat(before), TEXTS[3].to_vec(), part.repeat(3)].concat();
        let found = PATTERNS.find(&text, 0).expect("found");
        assert_eq!((found.start, found.end), (9 * before, 9 * before + TEXTS[3].len()), "{before}");
    }
}
