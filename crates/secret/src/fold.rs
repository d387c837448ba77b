//! A text seen through its escapes: `%41` and `\u0041` as `A`.
//!
//! Percent and JSON escapes never overlap (each begins with a character that stands in no other), so one pass sees through
//! both. Only the surroundings of escapes are unfolded: elsewhere the text is its own unfolding.
//!
//! Where an unfolded byte stood is asked of few of them: those that begin or end a find. So no escape is kept, but a
//! mark every few bytes from which the text is read once more. A list of all escapes took most of the time of a text that is
//! full of them.

#[cfg(test)]
mod oracle;
mod read;

use self::read::{Kind, Read, quick, read};
pub(crate) use self::read::{json_text, percent_text};

/// Bytes of text between two marks, about. Fewer cost memory for every byte, more cost time for every find.
const MARK_BYTES: usize = 48;

/// Bytes that are looked at one by one before a jump: escapes stand close together where there are any.
const NEAR_BYTES: usize = 8;

/// A text unfolded around its escapes. Made anew for each text in the same memory.
#[derive(Default)]
pub(crate) struct Folded {
    /// The unfolded bytes of all stretches, one after the other.
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    stretches: Vec<Stretch>,
    /// Where an escape begins whose end has not come.
    pub(crate) open: Option<usize>,
    /// Up to where the text is unfolded.
    reached: usize,
    /// The last mark's place in the text.
    marked: usize,
}

/// A stretch of the text around escapes.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    /// Its bytes of the text.
    start: usize,
    end: usize,
    /// Its first unfolded byte and its first mark; it has those up to the next stretch's.
    bytes: usize,
    marks: usize,
}

/// A place of the text that is no escape's inside, and the unfolded byte of the stretch that stands there.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: usize,
    to: usize,
}

/// A stretch as it is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Region<'a> {
    text: &'a [u8],
    start: usize,
    end: usize,
    marks: &'a [Mark],
    /// The unfolded bytes.
    pub(crate) bytes: &'a [u8],
}

/// Kinds of escapes in a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Escapes {
    pub(crate) percent: bool,
    pub(crate) json: bool,
}

/// An escape, or bytes that stand for themselves.
#[derive(Clone, Copy)]
struct Step {
    /// Place and length in the text.
    at: usize,
    len: usize,
    /// Place and length in the unfolded bytes.
    to: usize,
    width: usize,
    /// `None`: the bytes stand for themselves.
    kind: Option<Kind>,
}

/// The text of a stretch, read once more.
struct Steps<'a> {
    text: &'a [u8],
    end: usize,
    next: Mark,
}

// === impl Folded ===

impl Folded {
    /// Unfolds a text that begins with no half escape, with so many bytes around each escape. `end`: nothing follows.
    pub(crate) fn fill(&mut self, text: &[u8], around: usize, end: bool) {
        self.bytes.clear();
        self.marks.clear();
        self.stretches.clear();
        (self.open, self.reached, self.marked) = (None, 0, 0);
        let mut at = 0;
        while let Some(place) = sign(text, at) {
            if let Some((len, byte)) = quick(&text[place..]) {
                self.approach(text, place, around);
                self.bytes.push(byte);
                at = place + len;
                self.reached = at;
                continue;
            }
            match read(&text[place..], end) {
                Read::None => at = place + 1,
                Read::Open => {
                    self.approach(text, place, around);
                    self.open = Some(place);
                    return self.close(text, place, around);
                }
                Read::Whole(len, bytes, width, _) => {
                    self.approach(text, place, around);
                    self.bytes.extend_from_slice(&bytes[..width]);
                    at = place + len;
                    self.reached = at;
                }
            }
        }
        self.close(text, text.len(), around);
    }

    /// Unfolds up to an escape: on from the last one if it is near, else in a new stretch.
    #[inline]
    fn approach(&mut self, text: &[u8], escape: usize, around: usize) {
        // Twice, so that stretches never overlap: each find that holds an escape is in exactly one.
        if self.stretches.is_empty() || self.reached + 2 * around < escape {
            self.finish(text, self.reached + around);
            self.reached = escape.saturating_sub(around);
            let (bytes, marks) = (self.bytes.len(), self.marks.len());
            self.stretches.push(Stretch { start: self.reached, end: self.reached, bytes, marks });
            self.mark();
        }
        self.copy(text, escape);
    }

    /// Takes over what stands for itself.
    #[inline]
    fn copy(&mut self, text: &[u8], to: usize) {
        let run = to - self.reached;
        if run >= MARK_BYTES && self.marked != self.reached {
            self.mark();
        }
        if run > 0 {
            self.bytes.extend_from_slice(&text[self.reached..to]);
            self.reached = to;
        }
        if to - self.marked >= MARK_BYTES {
            self.mark();
        }
    }

    fn mark(&mut self) {
        let first = self.stretches.last().map_or(0, |stretch| stretch.bytes);
        self.marks.push(Mark { at: self.reached, to: self.bytes.len() - first });
        self.marked = self.reached;
    }

    /// Ends the last stretch there.
    fn finish(&mut self, text: &[u8], end: usize) {
        if self.stretches.is_empty() {
            return;
        }
        self.copy(text, end);
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.end = end;
        }
    }

    fn close(&mut self, text: &[u8], end: usize, around: usize) {
        self.finish(text, (self.reached + around).min(end));
    }

    /// The stretches of the text that was unfolded, but for those that end before a place.
    pub(crate) fn regions<'a>(&'a self, text: &'a [u8], from: usize) -> impl Iterator<Item = Region<'a>> {
        let first = self.stretches.partition_point(|stretch| stretch.end <= from);
        (first..self.stretches.len()).map(move |at| self.region(text, at))
    }

    fn region<'a>(&'a self, text: &'a [u8], at: usize) -> Region<'a> {
        let Stretch { start, end, bytes, marks } = self.stretches[at];
        let next = self.stretches.get(at + 1);
        let (to, past) = next.map_or((self.bytes.len(), self.marks.len()), |next| (next.bytes, next.marks));
        Region { text, start, end, marks: &self.marks[marks..past], bytes: &self.bytes[bytes..to] }
    }

    /// The last stretch, if it reaches the end of the text or the half escape there.
    pub(crate) fn last<'a>(&'a self, text: &'a [u8]) -> Option<Region<'a>> {
        let end = self.open.unwrap_or(text.len());
        let last = self.stretches.len().checked_sub(1)?;
        Some(self.region(text, last)).filter(|region| region.end == end)
    }

    /// Where the escape begins that a place stands in, or the place itself.
    pub(crate) fn boundary(&self, text: &[u8], place: usize) -> usize {
        if let Some(open) = self.open.filter(|open| *open < place) {
            return open;
        }
        let at = self.stretches.partition_point(|stretch| stretch.start <= place);
        let region = at.checked_sub(1).map(|at| self.region(text, at));
        let step = region.and_then(|region| region.step_at(place)).filter(|step| step.kind.is_some());
        step.map_or(place, |step| step.at)
    }
}

/// The next character at or after a place that may begin an escape.
#[inline]
fn sign(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let is_sign = |byte: &u8| matches!(byte, b'%' | b'\\');
    if let Some(near) = rest.iter().take(NEAR_BYTES).position(is_sign) {
        return Some(at + near);
    }
    let far = rest.get(NEAR_BYTES..)?;
    Some(at + NEAR_BYTES + memchr::memchr2(b'%', b'\\', far)?)
}

// === impl Region ===

impl Region<'_> {
    /// Where the unfolded byte stands in the text; for one of several of an escape, where that begins.
    pub(crate) fn start_of(&self, byte: usize) -> usize {
        let step = self.step_of(byte);
        if step.kind.is_some() { step.at } else { step.at + (byte - step.to) }
    }

    /// Where the text goes on behind an unfolded byte.
    pub(crate) fn end_of(&self, byte: usize) -> usize {
        let step = self.step_of(byte);
        if step.kind.is_some() { step.at + step.len } else { step.at + (byte - step.to) + 1 }
    }

    /// The first unfolded byte that stands at or behind a place in the text.
    pub(crate) fn byte_at(&self, place: usize) -> usize {
        if place <= self.start {
            return 0;
        }
        match self.step_at(place) {
            None => self.bytes.len(),
            Some(step) if step.kind.is_none() => step.to + (place - step.at),
            Some(step) => step.to + if step.at == place { 0 } else { step.width },
        }
    }

    /// Kinds of escapes between two places of the text.
    pub(crate) fn kinds(&self, start: usize, end: usize) -> Escapes {
        let mut kinds = Escapes::default();
        let near = self.marks.partition_point(|mark| mark.at <= start).saturating_sub(1);
        let steps = self.steps(near).skip_while(|step| step.at < start).take_while(|step| step.at < end);
        for step in steps {
            match step.kind {
                Some(Kind::Percent) => kinds.percent = true,
                Some(Kind::Json) => kinds.json = true,
                None => {}
            }
        }
        kinds
    }

    /// What an unfolded byte is part of; past the last one, what would be.
    fn step_of(&self, byte: usize) -> Step {
        let near = self.marks.partition_point(|mark| mark.to <= byte).saturating_sub(1);
        let past = Step { at: self.end, len: 0, to: self.bytes.len(), width: 0, kind: None };
        let read = || self.steps(near).find(|step| byte < step.to + step.width);
        self.run(near).or_else(read).unwrap_or(past)
    }

    /// What a place of the text is part of.
    fn step_at(&self, place: usize) -> Option<Step> {
        if place >= self.end {
            return None;
        }
        let near = self.marks.partition_point(|mark| mark.at <= place).checked_sub(1)?;
        self.run(near).or_else(|| self.steps(near).find(|step| place < step.at + step.len))
    }

    /// All that lies between a mark and the next, if it stands for itself: every escape is longer than what it stands for.
    fn run(&self, near: usize) -> Option<Step> {
        let (mark, next) = (self.marks.get(near)?, self.marks.get(near + 1)?);
        let (len, width) = (next.at - mark.at, next.to - mark.to);
        (len == width).then_some(Step { at: mark.at, len, to: mark.to, width, kind: None })
    }

    fn steps(&self, near: usize) -> Steps<'_> {
        let next = self.marks.get(near).copied().unwrap_or(Mark { at: self.end, to: self.bytes.len() });
        Steps { text: self.text, end: self.end, next }
    }
}

// === impl Steps ===

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let Mark { at, to } = self.next;
        if at >= self.end {
            return None;
        }
        // What was read before with more to come reads the same: all of it was there.
        let (len, width, kind) = match read(&self.text[at..], true) {
            Read::Whole(len, _, width, kind) => (len, width, Some(kind)),
            _ => {
                let end = sign(&self.text[..self.end], at + 1).unwrap_or(self.end);
                (end - at, end - at, None)
            }
        };
        self.next = Mark { at: at + len, to: to + width };
        Some(Step { at, len, to, width, kind })
    }
}

#[cfg(test)]
mod tests;
