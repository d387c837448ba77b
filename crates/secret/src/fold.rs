//! A text seen through its escapes: `%41` and `\u0041` as `A`.
//!
//! Percent and JSON escapes never overlap (each begins with a character that stands in no other), so one pass sees through
//! both. Only the surroundings of escapes are unfolded: elsewhere the text is its own unfolding.

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

/// What kinds of escape there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Percent,
    Json,
}

/// Kinds of escapes in a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Escapes {
    pub(crate) percent: bool,
    pub(crate) json: bool,
}

/// An escape read at a place.
enum Read {
    /// So many bytes that stand for these.
    Whole(usize, [u8; 4], usize, Kind),
    /// More bytes are needed to say.
    Open,
    /// None: the character stands for itself.
    None,
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

/// A name of a JSON member as it is meant.
pub(crate) fn json_text(written: &[u8]) -> Vec<u8> {
    unfolded(written, Kind::Json)
}

/// A percent-encoded text as it is meant.
pub(crate) fn percent_text(written: &[u8]) -> Vec<u8> {
    unfolded(written, Kind::Percent)
}

fn unfolded(written: &[u8], wanted: Kind) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.len());
    let mut at = 0;
    while at < written.len() {
        match read(&written[at..], true) {
            Read::Whole(len, bytes, width, kind) if kind == wanted => {
                out.extend_from_slice(&bytes[..width]);
                at += len;
            }
            _ => {
                out.push(written[at]);
                at += 1;
            }
        }
    }
    out
}

fn read(text: &[u8], end: bool) -> Read {
    let open = if end { Read::None } else { Read::Open };
    match text {
        [b'%', high, low, ..] => match (nibble(*high), nibble(*low)) {
            (Some(high), Some(low)) => Read::Whole(3, [high << 4 | low, 0, 0, 0], 1, Kind::Percent),
            _ => Read::None,
        },
        [b'%'] => open,
        [b'%', high] if nibble(*high).is_some() => open,
        [b'\\', b'u', ..] => unicode(text, open),
        [b'\\', c, ..] => match short(*c) {
            Some(byte) => Read::Whole(2, [byte, 0, 0, 0], 1, Kind::Json),
            None => Read::None,
        },
        [b'\\'] => open,
        _ => Read::None,
    }
}

const fn short(c: u8) -> Option<u8> {
    Some(match c {
        b'"' | b'\\' | b'/' => c,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// `\uXXXX`, or two of them for a character outside of the basic plane.
fn unicode(text: &[u8], open: Read) -> Read {
    let first = match unit(text) {
        Unit::Is(first) => first,
        Unit::Open => return open,
        Unit::None => return Read::None,
    };
    let (code, len) = match first {
        0xd800..=0xdbff => match unit(&text[6..]) {
            Unit::Is(second @ 0xdc00..=0xdfff) => {
                (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
            }
            // A half that stands alone means nothing that a secret could hold.
            Unit::Open if matches!(open, Read::Open) => return open,
            _ => (u32::from(char::REPLACEMENT_CHARACTER), 6),
        },
        other => (other, 6),
    };
    let mut bytes = [0; 4];
    let width = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut bytes).len();
    Read::Whole(len, bytes, width, Kind::Json)
}

enum Unit {
    Is(u32),
    Open,
    None,
}

fn unit(text: &[u8]) -> Unit {
    if !text.iter().zip(b"\\u").all(|(a, b)| a == b) {
        return Unit::None;
    }
    let mut value = 0;
    for byte in text.iter().skip(2).take(4) {
        let Some(nibble) = nibble(*byte) else { return Unit::None };
        value = value << 4 | u32::from(nibble);
    }
    if text.len() < 6 { Unit::Open } else { Unit::Is(value) }
}

const fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_seen_through_and_their_places_kept() {
        let text = b"ab%41\\u0042c\\n%zz\\u00e9!";
        let folded = Folded::new(text, 4, true);
        let region = &folded.regions[0];
        assert_eq!(region.bytes, "abABc\n%zz\u{e9}!".as_bytes());
        assert_eq!((region.start_of(2), region.end_of(2)), (2, 5));
        assert_eq!((region.start_of(3), region.end_of(3)), (5, 11));
        assert_eq!((region.start_of(4), region.end_of(4)), (11, 12));
        assert_eq!((region.byte_at(3), folded.boundary(3), folded.boundary(5)), (3, 2, 5));
        assert_eq!(region.kinds(0, 5), Escapes { percent: true, json: false });
        assert_eq!(json_text(b"a\\ud83d\\ude00%41"), "a\u{1f600}%41".as_bytes());
        assert_eq!(percent_text(b"%e2%82%ac\\n"), "\u{20ac}\\n".as_bytes());
    }

    #[test]
    fn an_escape_that_may_go_on_is_left_open_until_the_end() {
        for text in ["x%", "x%4", "x\\", "x\\u", "x\\u004", "x\\ud83d", "x\\ud83d\\u"] {
            assert_eq!(Folded::new(text.as_bytes(), 9, false).open, Some(1), "{text}");
            assert_eq!(Folded::new(text.as_bytes(), 9, true).open, None, "{text}");
        }
        assert_eq!(Folded::new(b"x%g", 9, false).open, None);
    }

    #[test]
    fn far_escapes_have_their_own_regions() {
        let text = [&b"%41"[..], &[b'-'; 50], b"%42", &[b'-'; 50]].concat();
        let folded = Folded::new(&text, 5, true);
        let bytes: Vec<&[u8]> = folded.regions.iter().map(|region| region.bytes.as_slice()).collect();
        assert_eq!(bytes, [&b"A-----"[..], b"-----B-----"]);
        assert!(!folded.regions[1].last);
    }
}
