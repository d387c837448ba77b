//! All forms of many texts, searched for at once.

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind};

use crate::form::Form;

/// Up to so many bytes of patterns the automaton is a full table: the fastest kind, at about a kilobyte of memory for each
/// byte. Above it is a compact one.
const TABLE_PATTERN_BYTES_MAX: usize = 16 * 1024;

/// Forms of texts. The texts are known by their number.
pub(crate) struct Patterns {
    automaton: AhoCorasick,
    entries: Vec<Entry>,
    /// The same forms in order, to ask whether a text begins one.
    sorted: Vec<Box<[u8]>>,
    /// Whether any form begins with a byte.
    begins: [bool; 256],
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
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).kind(kind).build(&forms);
        // Fails past 2^31 states, which the number of placeholders and the length of values keep far away.
        let automaton = built.unwrap_or_else(|e| unreachable!("a search automaton: {e}"));
        let mut begins = [false; 256];
        for form in &forms {
            begins[usize::from(form[0])] = true;
        }
        let longest = forms.iter().map(|form| form.len()).max().unwrap_or_default();
        forms.sort_unstable();
        Self { automaton, entries, sorted: forms, begins, longest }
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
        let input = Input::new(text).range(from.min(text.len())..).anchored(Anchored::No);
        let found = self.automaton.find(input)?;
        Some(Found { pattern: found.pattern().as_usize(), start: found.start(), end: found.end() })
    }

    /// The first place at or after another from which the rest of the text is the beginning of a longer pattern.
    pub(crate) fn partial(&self, text: &[u8], from: usize) -> Option<usize> {
        let first = from.max(text.len().saturating_sub(self.longest.saturating_sub(1)));
        (first..text.len()).find(|start| {
            let rest = &text[*start..];
            self.begins[usize::from(rest[0])] && self.begins_longer(rest)
        })
    }

    /// All patterns that a text begins stand together in the order, behind those that are smaller than it.
    fn begins_longer(&self, text: &[u8]) -> bool {
        let at = self.sorted.partition_point(|pattern| pattern.as_ref() <= text);
        self.sorted.get(at).is_some_and(|pattern| pattern.starts_with(text))
    }
}

impl std::fmt::Debug for Patterns {
    /// Without the patterns: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patterns").field("count", &self.entries.len()).finish_non_exhaustive()
    }
}
