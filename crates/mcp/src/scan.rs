//! One pass over JSON text that decides whether it is valid (RFC 8259), within limits, and free of repeated keys.
//!
//! Own code because the same pass must find the envelope's members, refuse repeated keys at every depth and cost less
//! than a microsecond for a call; a general parser does the first two only by building a tree.

use std::borrow::Cow;

use crate::text;

/// Keys of one object up to which a repeated key is found by comparing each with all before; above it by sorting.
const COMPARED_KEYS_MAX: usize = 24;
/// Room for keys of open objects before the first growth.
const SEEN_ROOM: usize = 32;

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// Not JSON; what was expected, and the byte where it was not found.
    Syntax { at: usize, expected: &'static str },
    /// Nested deeper than the limit.
    TooDeep,
    /// More members and elements than the limit.
    TooManyParts,
}

/// The text of one string, quotes included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StringToken<'a> {
    pub(crate) raw: &'a str,
    pub(crate) escaped: bool,
}

/// A cursor over JSON text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth_left: usize,
    parts_left: usize,
    /// Keys of the objects that are open, innermost last; `None` when repeated keys are not looked for.
    seen: Option<Vec<Cow<'a, str>>>,
    repeated: Option<Box<str>>,
}

// === impl StringToken ===

impl<'a> StringToken<'a> {
    /// The characters, with escapes resolved; a lone surrogate becomes U+FFFD.
    pub(crate) fn lossy(&self) -> Cow<'a, str> {
        if self.escaped { text::unescape_lossy(self.raw) } else { Cow::Borrowed(text::inside(self.raw)) }
    }
}

// === impl Scanner ===

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, depth: usize, parts: usize, repeated_keys: bool) -> Self {
        Self {
            text,
            at: 0,
            depth_left: depth,
            parts_left: parts,
            seen: repeated_keys.then(|| Vec::with_capacity(SEEN_ROOM)),
            repeated: None,
        }
    }

    /// The first key that was found twice in one object.
    pub(crate) fn take_repeated(&mut self) -> Option<Box<str>> {
        self.repeated.take()
    }

    /// Position in bytes.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// The next byte, without taking it.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes `byte` if it is next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Skips white space.
    #[inline]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes one value of any kind and returns its text.
    pub(crate) fn value(&mut self) -> Result<&'a str, ScanError> {
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    /// True at the end of the text, white space aside.
    pub(crate) fn at_end(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// Opens a container whose first byte is next, and counts the level.
    pub(crate) fn open(&mut self) -> Result<(), ScanError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(ScanError::TooDeep)?;
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Leaves a level.
    pub(crate) const fn close(&mut self) {
        self.depth_left += 1;
    }

    /// Takes `"key" :` and the space around it.
    pub(crate) fn key(&mut self) -> Result<StringToken<'a>, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string as key"));
        }
        let key = self.string()?;
        self.count()?;
        self.space();
        if !self.eat(b':') {
            return Err(self.expected("a colon"));
        }
        self.space();
        Ok(key)
    }

    /// After a member or element: true when another follows, false when `end` was taken.
    pub(crate) fn more(&mut self, end: u8) -> Result<bool, ScanError> {
        self.space();
        if self.eat(b',') {
            self.space();
            return Ok(true);
        }
        if self.eat(end) {
            return Ok(false);
        }
        Err(self.expected(if end == b'}' { "a comma or }" } else { "a comma or ]" }))
    }

    /// Counts one member or element.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<(), ScanError> {
        self.parts_left = self.parts_left.checked_sub(1).ok_or(ScanError::TooManyParts)?;
        Ok(())
    }

    fn skip(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.expected("a value")),
        }
    }

    fn object(&mut self) -> Result<(), ScanError> {
        self.open()?;
        if !self.eat(b'}') {
            let base = self.seen.as_ref().map_or(0, Vec::len);
            loop {
                let key = self.key()?;
                self.note(key, base);
                self.skip()?;
                if !self.more(b'}')? {
                    break;
                }
            }
            self.forget(base);
        }
        self.close();
        Ok(())
    }

    fn array(&mut self) -> Result<(), ScanError> {
        self.open()?;
        if !self.eat(b']') {
            loop {
                self.count()?;
                self.skip()?;
                if !self.more(b']')? {
                    break;
                }
            }
        }
        self.close();
        Ok(())
    }

    fn note(&mut self, key: StringToken<'a>, base: usize) {
        let Some(seen) = &mut self.seen else { return };
        let key = key.lossy();
        let siblings = &seen[base..];
        if siblings.len() < COMPARED_KEYS_MAX && siblings.contains(&key) && self.repeated.is_none() {
            self.repeated = Some(key.as_ref().into());
        }
        seen.push(key);
    }

    fn forget(&mut self, base: usize) {
        let Some(seen) = &mut self.seen else { return };
        let keys = &mut seen[base..];
        if keys.len() > COMPARED_KEYS_MAX && self.repeated.is_none() {
            keys.sort_unstable();
            self.repeated =
                keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].as_ref().into());
        }
        seen.truncate(base);
    }

    /// Takes a string; the opening quote is next.
    pub(crate) fn string(&mut self) -> Result<StringToken<'a>, ScanError> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += text::plain_len(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(StringToken { raw: &self.text[start..self.at], escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.expected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.expected("four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(self.expected("an escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), ScanError> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str) -> Result<(), ScanError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        Ok(())
    }

    const fn expected(&self, expected: &'static str) -> ScanError {
        ScanError::Syntax { at: self.at, expected }
    }
}
