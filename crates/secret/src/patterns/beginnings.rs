//! The first bytes of patterns, looked for many bytes of text at a time.

use std::ops::Range;

use aho_corasick::{
    Span,
    packed::{Config, MatchKind, Searcher},
};

/// Bytes of a beginning. Fewer stand in ordinary texts, more are no quicker.
const BEGINNING_BYTES: usize = 4;

/// Beginnings of patterns, all equally long.
pub(super) struct Beginnings {
    searcher: Searcher,
    length: usize,
    /// That of each pattern, as a number, in the order of the patterns.
    keys: Vec<u32>,
}

// === impl Beginnings ===

impl Beginnings {
    /// Those of some patterns in their order, none of them empty; `None` where there is no quick search for them.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Self> {
        let length = patterns.clone().map(<[u8]>::len).min()?.min(BEGINNING_BYTES);
        let all = patterns.map(|pattern| &pattern[..length]);
        let keys = all.clone().map(key).collect();
        let mut distinct: Vec<&[u8]> = all.collect();
        distinct.dedup();
        let mut config = Config::new();
        let searcher = config.match_kind(MatchKind::LeftmostFirst).builder().extend(distinct).build()?;
        Some(Self { searcher, length, keys })
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The patterns, by their place in the order, whose beginning a text has.
    pub(super) fn alike(&self, text: &[u8]) -> Range<usize> {
        let Some(key) = text.get(..self.length).map(key) else { return 0..0 };
        let first = self.keys.partition_point(|other| *other < key);
        let count = self.keys[first..].iter().take_while(|other| **other == key).count();
        first..first + count
    }

    /// The first one at or after a place.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let span = Span { start: from.min(text.len()), end: text.len() };
        Some(self.searcher.find_in(text, span)?.start())
    }
}

/// Bytes as a number that has their order.
fn key(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |key, byte| key << 8 | u32::from(*byte))
}
