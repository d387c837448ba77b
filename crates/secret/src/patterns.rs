//! All forms of many texts, searched for at once.
//!
//! What most texts hold is no beginning of a pattern, and that is seen many bytes at a time. Where beginnings stand close
//! together each of them costs more than bytes cost the automaton, which takes as long for one byte as for any other: so it
//! takes over for a while. Nobody who writes an answer can make the search slower than the automaton.

mod beginnings;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind};

use self::beginnings::Beginnings;
use crate::form::Form;

/// Up to so many bytes of patterns the automaton is a full table: the fastest kind, at about a kilobyte of memory for each
/// byte. Above it is a compact one.
const TABLE_PATTERN_BYTES_MAX: usize = 16 * 1024;

/// How many beginnings of patterns, one after the other, must come to fewer than so many bytes each before the automaton takes
/// over, and for how many bytes it does.
const CROWD: (usize, usize) = (16, 24);
const CROWDED_BYTES: usize = 4096;

/// Forms of texts. The texts are known by their number.
pub(crate) struct Patterns {
    automaton: AhoCorasick,
    entries: Vec<Entry>,
    /// The same forms in order, each with its number; of equal ones the first number stands last.
    sorted: Vec<(Box<[u8]>, usize)>,
    /// `None` where this processor, or so many patterns, have no quick search for it.
    beginnings: Option<Beginnings>,
    longest: usize,
}

/// What a pattern is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Number of the text.
    pub(crate) subject: usize,
    /// Its form.
    pub(crate) form: Form,
}

/// Where a pattern stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) pattern: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

// === impl Patterns ===

impl Patterns {
    /// All forms of some texts.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut entries = Vec::new();
        let mut forms: Vec<Box<[u8]>> = Vec::new();
        for (subject, text) in texts.into_iter().enumerate() {
            for (form, written) in Form::all(text).into_iter().filter(|(_, written)| !written.is_empty()) {
                entries.push(Entry { subject, form });
                forms.push(written.into_boxed_slice());
            }
        }
        let bytes: usize = forms.iter().map(|form| form.len()).sum();
        let kind = (bytes <= TABLE_PATTERN_BYTES_MAX).then_some(AhoCorasickKind::DFA);
        let longest = forms.iter().map(|form| form.len()).max().unwrap_or_default();
        let mut sorted: Vec<_> = forms.iter().cloned().enumerate().map(|(n, form)| (form, n)).collect();
        sorted.sort_unstable_by(|(a, n), (b, m)| a.cmp(b).then(m.cmp(n)));
        let beginnings = Beginnings::new(sorted.iter().map(|(form, _)| form.as_ref()));
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest).kind(kind);
        // What it would look for first are the same beginnings, however close together they stand.
        let built = builder.prefilter(beginnings.is_none()).build(&forms);
        // Fails past 2^31 states, which the number of placeholders and the length of values keep far away.
        let automaton = built.unwrap_or_else(|e| unreachable!("a search automaton: {e}"));
        Self { automaton, entries, sorted, beginnings, longest }
    }

    pub(crate) fn entry(&self, pattern: usize) -> Entry {
        self.entries[pattern]
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Length of the longest pattern.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The first pattern at or after a place; of those that begin together, the longest.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<Found> {
        let Some(beginnings) = &self.beginnings else { return self.automatic(text, from, text.len()) };
        let mut at = from.min(text.len());
        let (mut crowd, mut since) = (0, at);
        while let Some(start) = beginnings.find(text, at) {
            if let Some(found) = self.beginning(beginnings, text, start) {
                return Some(found);
            }
            at = start + 1;
            crowd += 1;
            if crowd < CROWD.0 {
                continue;
            }
            if at - since < CROWD.0 * CROWD.1 {
                let end = at + CROWDED_BYTES;
                let found = self.automatic(text, at, end + self.longest);
                // What begins past the end may be cut.
                if let Some(found) = found.filter(|found| found.start < end) {
                    return Some(found);
                }
                at = end.min(text.len());
            }
            (crowd, since) = (0, at);
        }
        None
    }

    /// The same by the automaton alone, up to another place.
    fn automatic(&self, text: &[u8], from: usize, to: usize) -> Option<Found> {
        let range = from.min(text.len())..to.min(text.len());
        let found = self.automaton.find(Input::new(text).range(range).anchored(Anchored::No))?;
        Some(Found { pattern: found.pattern().as_usize(), start: found.start(), end: found.end() })
    }

    /// The longest pattern that begins right there.
    fn beginning(&self, beginnings: &Beginnings, text: &[u8], start: usize) -> Option<Found> {
        let rest = &text[start..];
        // A longer one stands behind those that it begins with.
        let alike = self.sorted[beginnings.alike(rest)].iter().rev();
        let (form, pattern) = alike.into_iter().find(|(form, _)| rest.starts_with(form))?;
        Some(Found { pattern: *pattern, start, end: start + form.len() })
    }

    /// The first place at or after another from which the rest of the text is the beginning of a longer pattern.
    pub(crate) fn partial(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from.max(text.len().saturating_sub(self.longest.saturating_sub(1)));
        if let Some(beginnings) = &self.beginnings {
            while let Some(start) = beginnings.find(text, at) {
                if self.begins_longer(&text[start..]) {
                    return Some(start);
                }
                at = start + 1;
            }
            at = at.max(text.len().saturating_sub(beginnings.length() - 1));
        }
        (at..text.len()).find(|start| self.begins_longer(&text[*start..]))
    }

    /// All patterns that a text begins stand together in the order, behind those that are smaller than it.
    fn begins_longer(&self, text: &[u8]) -> bool {
        let at = self.sorted.partition_point(|(form, _)| form.as_ref() <= text);
        self.sorted.get(at).is_some_and(|(form, _)| form.starts_with(text))
    }
}

impl std::fmt::Debug for Patterns {
    /// Without the patterns: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patterns").field("count", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
