//! A stream cut into what passes and what was found in it, the same however the stream comes in.
//!
//! Found is the leftmost, then the longest, as it stands or seen through escapes. What might be the beginning of something
//! is held back until more comes; nothing else is, so that an event stream is not delayed.

use std::sync::Arc;

use crate::{
    fold::{Escapes, Folded},
    form::Form,
    patterns::{Found, Patterns},
};

/// A search through one stream.
pub(crate) struct Sieve {
    patterns: Arc<Patterns>,
    /// What was not handed on, and before it the beginning of an escape of which only a part was.
    held: Vec<u8>,
    /// How much of `held` was handed on.
    done: usize,
    /// Memory for the next chunk's unfolding.
    folded: Folded,
}

/// A piece of the stream; together they are all of it.
pub(crate) enum Piece<'a> {
    /// Nothing is in it.
    Plain(&'a [u8]),
    /// A text that is looked for.
    Hit(Hit<'a>),
}

/// Something found.
#[derive(Clone, Copy)]
pub(crate) struct Hit<'a> {
    /// Number of its pattern.
    pub(crate) pattern: usize,
    /// Number of the text.
    pub(crate) subject: usize,
    /// The form it has.
    pub(crate) form: Form,
    /// Escapes it is written with.
    pub(crate) escapes: Escapes,
    /// As it stands in the stream.
    pub(crate) written: &'a [u8],
}

// === impl Sieve ===

impl Sieve {
    pub(crate) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, held: Vec::new(), done: 0, folded: Folded::default() }
    }

    /// Takes a chunk in. `end`: it is the last.
    pub(crate) fn push<E>(
        &mut self,
        chunk: &[u8],
        end: bool,
        mut sink: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { patterns, held, done, folded } = self;
        let fresh = held.is_empty();
        if !fresh {
            held.extend_from_slice(chunk);
        }
        let text = if fresh { chunk } else { held.as_slice() };
        folded.fill(text, patterns.longest(), end);
        let mut scan = Scan { patterns, text, folded, plain: None, seen: None };
        let mut at = *done;
        let mut horizon = scan.horizon(at, end);
        while let Some(found) = scan.next(at).filter(|found| found.found.start < horizon) {
            let Found { pattern, start, end: after } = found.found;
            if start > at {
                sink(Piece::Plain(&text[at..start]))?;
            }
            let entry = patterns.entry(pattern);
            let written = &text[start..after];
            let (subject, form) = (entry.subject, entry.form);
            sink(Piece::Hit(Hit { pattern, subject, form, escapes: found.escapes, written }))?;
            at = after;
            if horizon < at {
                horizon = scan.horizon(at, end);
            }
        }
        if horizon > at {
            sink(Piece::Plain(&text[at..horizon]))?;
            at = horizon;
        }
        let keep = folded.boundary(text, at);
        *done = at - keep;
        if fresh {
            held.extend_from_slice(&chunk[keep..]);
        } else {
            held.drain(..keep);
        }
        Ok(())
    }

    /// All of a text that is complete.
    pub(crate) fn whole<E>(
        patterns: &Arc<Patterns>,
        text: &[u8],
        sink: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        Self::new(Arc::clone(patterns)).push(text, true, sink)
    }
}

impl std::fmt::Debug for Sieve {
    /// Without what is held: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sieve").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

/// The next find of each way to look, kept while it lies ahead, so that no byte is searched twice for many finds.
struct Scan<'a> {
    patterns: &'a Patterns,
    text: &'a [u8],
    folded: &'a Folded,
    plain: Option<Option<Found>>,
    seen: Option<Option<Seen>>,
}

/// A find, in places of the text.
#[derive(Clone, Copy, Debug)]
struct Seen {
    found: Found,
    escapes: Escapes,
}

// === impl Scan ===

impl Scan<'_> {
    /// Up to where the text is decided: before anything that more text could make longer or complete.
    fn horizon(&self, from: usize, end: bool) -> usize {
        if end {
            return self.text.len();
        }
        let plain = self.patterns.partial(self.text, from);
        let seen = self.folded.last(self.text).and_then(|region| {
            let byte = self.patterns.partial(region.bytes, region.byte_at(from))?;
            Some(region.start_of(byte))
        });
        let first = [plain, seen, self.folded.open].into_iter().flatten().min();
        first.unwrap_or(self.text.len()).max(from)
    }

    /// The leftmost find from a place on, the longest of those that begin there.
    fn next(&mut self, from: usize) -> Option<Seen> {
        if self.plain.is_none_or(|found| found.is_some_and(|found| found.start < from)) {
            self.plain = Some(self.patterns.find(self.text, from));
        }
        if self.seen.is_none_or(|seen| seen.is_some_and(|seen| seen.found.start < from)) {
            self.seen = Some(self.through(from));
        }
        let plain = self.plain.flatten().map(|found| Seen { found, escapes: Escapes::default() });
        let seen = self.seen.flatten();
        [plain, seen].into_iter().flatten().min_by_key(|s| (s.found.start, std::cmp::Reverse(s.found.end)))
    }

    /// The leftmost find seen through escapes.
    fn through(&self, from: usize) -> Option<Seen> {
        self.folded.regions(self.text, from).find_map(|region| {
            let found = self.patterns.find(region.bytes, region.byte_at(from))?;
            let (start, end) = (region.start_of(found.start), region.end_of(found.end - 1));
            let escapes = region.kinds(start, end);
            Some(Seen { found: Found { pattern: found.pattern, start, end }, escapes })
        })
    }
}

#[cfg(test)]
mod tests;
