//! The same written plainly, to be compared with: every escape is kept.

use super::{
    Escapes,
    read::{Kind, Read, read},
};

/// A stretch of a text around escapes.
#[derive(Debug, Default)]
pub(crate) struct Region {
    /// First byte in the text.
    start: usize,
    /// The unfolded bytes.
    pub(crate) bytes: Vec<u8>,
    escapes: Vec<Escape>,
    /// True when it reaches the end of the text.
    pub(crate) last: bool,
}

/// An escape and what it stands for.
#[derive(Clone, Copy, Debug)]
struct Escape {
    /// Place and length in the text.
    at: usize,
    len: usize,
    /// Place and length in the unfolded bytes.
    to: usize,
    width: usize,
    kind: Kind,
}

/// A text unfolded around its escapes.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) regions: Vec<Region>,
    /// Where an escape begins whose end has not come.
    pub(crate) open: Option<usize>,
}

// === impl Folded ===

impl Folded {
    /// Unfolds a text that begins with no half escape, with so many bytes around each escape. `end`: nothing follows.
    pub(crate) fn new(text: &[u8], around: usize, end: bool) -> Self {
        let mut folded = Self::default();
        let mut at = 0;
        while let Some(found) = memchr::memchr2(b'%', b'\\', &text[at..]) {
            let place = at + found;
            match read(&text[place..], end) {
                Read::None => at = place + 1,
                Read::Open => {
                    folded.region(text, place, around);
                    folded.open = Some(place);
                    return folded.closed(text, place, around);
                }
                Read::Whole(len, bytes, width, kind) => {
                    folded.region(text, place, around).escape(place, len, &bytes[..width], kind);
                    at = place + len;
                }
            }
        }
        folded.closed(text, text.len(), around)
    }

    /// The region that reaches up to an escape: the last one if it is near, else a new one.
    fn region(&mut self, text: &[u8], escape: usize, around: usize) -> &mut Region {
        // Twice, so that regions never overlap: each find that holds an escape is in exactly one.
        let near = self.regions.last().is_some_and(|region| region.reached() + 2 * around >= escape);
        if !near {
            if let Some(region) = self.regions.last_mut() {
                region.copy(text, region.reached() + around);
            }
            self.regions.push(Region { start: escape.saturating_sub(around), ..Region::default() });
        }
        let at = self.regions.len() - 1;
        self.regions[at].copy(text, escape);
        &mut self.regions[at]
    }

    fn closed(mut self, text: &[u8], end: usize, around: usize) -> Self {
        if let Some(region) = self.regions.last_mut() {
            let to = (region.reached() + around).min(end);
            region.copy(text, to);
            region.last = region.reached() == end;
        }
        self
    }

    /// Where the escape begins that a place stands in, or the place itself.
    pub(crate) fn boundary(&self, place: usize) -> usize {
        if let Some(open) = self.open.filter(|open| *open < place) {
            return open;
        }
        let at = self.regions.partition_point(|region| region.start <= place);
        let escapes = at.checked_sub(1).map_or(&[][..], |at| &self.regions[at].escapes);
        let at = escapes.partition_point(|escape| escape.at <= place);
        let escape = at.checked_sub(1).map(|at| escapes[at]);
        escape.filter(|escape| escape.at + escape.len > place).map_or(place, |escape| escape.at)
    }
}

// === impl Region ===

impl Region {
    /// First byte of the text that is not part of it.
    fn reached(&self) -> usize {
        match self.escapes.last() {
            Some(escape) => escape.at + escape.len + self.bytes.len() - escape.to - escape.width,
            None => self.start + self.bytes.len(),
        }
    }

    fn copy(&mut self, text: &[u8], to: usize) {
        let from = self.reached();
        if let Some(more) = text.get(from..to) {
            self.bytes.extend_from_slice(more);
        }
    }

    fn escape(&mut self, at: usize, len: usize, bytes: &[u8], kind: Kind) {
        self.escapes.push(Escape { at, len, to: self.bytes.len(), width: bytes.len(), kind });
        self.bytes.extend_from_slice(bytes);
    }

    /// Where the unfolded byte stands in the text; for one of several of an escape, where that begins.
    pub(crate) fn start_of(&self, byte: usize) -> usize {
        let at = self.escapes.partition_point(|escape| escape.to <= byte);
        match at.checked_sub(1).map(|at| self.escapes[at]) {
            None => self.start + byte,
            Some(escape) if byte < escape.to + escape.width => escape.at,
            Some(escape) => escape.at + escape.len + (byte - escape.to - escape.width),
        }
    }

    /// Where the text goes on behind an unfolded byte.
    pub(crate) fn end_of(&self, byte: usize) -> usize {
        let at = self.escapes.partition_point(|escape| escape.to <= byte);
        match at.checked_sub(1).map(|at| self.escapes[at]) {
            Some(escape) if byte < escape.to + escape.width => escape.at + escape.len,
            _ => self.start_of(byte) + 1,
        }
    }

    /// The first unfolded byte that stands at or behind a place in the text.
    pub(crate) fn byte_at(&self, place: usize) -> usize {
        let (mut low, mut high) = (0, self.bytes.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.start_of(middle) < place { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Kinds of escapes between two places of the text.
    pub(crate) fn kinds(&self, start: usize, end: usize) -> Escapes {
        let from = self.escapes.partition_point(|escape| escape.at < start);
        let mut kinds = Escapes::default();
        for escape in self.escapes[from..].iter().take_while(|escape| escape.at < end) {
            match escape.kind {
                Kind::Percent => kinds.percent = true,
                Kind::Json => kinds.json = true,
            }
        }
        kinds
    }
}
