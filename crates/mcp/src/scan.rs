//! One pass over JSON text that decides whether it is valid (RFC 8259), within limits, and free of repeated keys.
//!
//! Own code because the same pass must find the envelope's members, refuse repeated keys at every depth and cost less
//! than a microsecond for a call; a general parser does the first two only by building a tree.
//!
//! The steps take a position and return one, so that the hot loop keeps it in a register; an error is put aside in the
//! scanner and [`Stop`] travels instead, for the same reason.

use std::borrow::Cow;

use crate::text;

/// Keys of one object up to which a repeated key is found by comparing each with all before; above it by sorting.
const COMPARED_KEYS_MAX: usize = 24;
/// Room for keys of open objects before the first growth.
const SEEN_ROOM: usize = 32;
/// Room for open containers before the first growth.
const OPEN_ROOM: usize = 16;

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

/// A scan that was given up; [`Scanner::error`] says why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop;

/// A cursor over JSON text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth_left: usize,
    parts_left: usize,
    /// The containers that are open below the value being skipped, innermost last.
    open: Vec<Container>,
    /// Keys of the objects that are open, innermost last; `None` when repeated keys are not looked for.
    seen: Option<Vec<Cow<'a, str>>>,
    repeated: Option<Box<str>>,
    error: ScanError,
    /// Set when a string with an escape is passed.
    escaped: bool,
}

#[derive(Clone, Copy, Debug)]
struct Container {
    /// The byte that closes it.
    close: u8,
    /// Where its keys begin among those seen.
    base: usize,
}

// === impl Scanner: the envelope ===

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, depth: usize, parts: usize, repeated_keys: bool) -> Self {
        Self {
            text,
            at: 0,
            depth_left: depth,
            parts_left: parts,
            open: Vec::with_capacity(OPEN_ROOM),
            seen: repeated_keys.then(|| Vec::with_capacity(SEEN_ROOM)),
            repeated: None,
            error: ScanError::TooDeep,
            escaped: false,
        }
    }

    /// The first key that was found twice in one object.
    pub(crate) fn take_repeated(&mut self) -> Option<Box<str>> {
        self.repeated.take()
    }

    /// Why the scan was given up, after [`Stop`].
    pub(crate) const fn error(&self) -> ScanError {
        self.error
    }

    /// Position in bytes.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// The next byte, without taking it.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes `byte` if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Skips white space.
    pub(crate) fn space(&mut self) {
        self.at = space(self.text.as_bytes(), self.at);
    }

    /// True at the end of the text, white space aside.
    pub(crate) fn at_end(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// Opens the container whose first byte is next.
    pub(crate) fn open(&mut self) -> Result<(), Stop> {
        self.deeper()?;
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Takes `"key" :` and the space around it; the key's characters, a lone surrogate as U+FFFD.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, str>, Stop> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        self.escaped = false;
        let end = self.key_end(bytes, start)?;
        self.at = self.colon(bytes, end)?;
        Ok(self.characters(start, end))
    }

    /// Takes one value of any kind and returns its text.
    pub(crate) fn value(&mut self) -> Result<&'a str, Stop> {
        let start = self.at;
        self.at = self.skip(start)?;
        Ok(&self.text[start..self.at])
    }

    /// After a member or element: true when another follows, false when `end` was taken.
    pub(crate) fn more(&mut self, end: u8) -> Result<bool, Stop> {
        self.space();
        if self.eat(b',') {
            self.space();
            return Ok(true);
        }
        if self.eat(end) {
            return Ok(false);
        }
        Err(self.expected(self.at, "a comma or the end of the container"))
    }
}

// === impl Scanner: any value ===

impl<'a> Scanner<'a> {
    /// Passes one value. A loop with a stack of its own, not a recursion: depth costs no machine stack.
    fn skip(&mut self, mut at: usize) -> Result<usize, Stop> {
        let bytes = self.text.as_bytes();
        loop {
            at = match bytes.get(at) {
                Some(b'"') => self.string(bytes, at)?,
                Some(&first @ (b'{' | b'[')) => {
                    self.deeper()?;
                    at = space(bytes, at + 1);
                    // In ASCII the closing brace and bracket come two after the opening one.
                    let close = first + 2;
                    if bytes.get(at) != Some(&close) {
                        let container = Container { close, base: self.seen.as_ref().map_or(0, Vec::len) };
                        self.open.push(container);
                        at = self.part(bytes, at, container)?;
                        continue;
                    }
                    self.depth_left += 1;
                    at + 1
                }
                Some(b'-' | b'0'..=b'9') => self.number(bytes, at)?,
                Some(b't') => self.word(bytes, at, "true")?,
                Some(b'f') => self.word(bytes, at, "false")?,
                Some(b'n') => self.word(bytes, at, "null")?,
                _ => return Err(self.expected(at, "a value")),
            };
            while let Some(&container) = self.open.last() {
                at = space(bytes, at);
                match bytes.get(at) {
                    Some(b',') => {
                        at = self.part(bytes, space(bytes, at + 1), container)?;
                        break;
                    }
                    Some(&byte) if byte == container.close => {
                        self.leave(container);
                        at += 1;
                    }
                    _ => return Err(self.expected(at, "a comma or the end of the container")),
                }
            }
            if self.open.is_empty() {
                return Ok(at);
            }
        }
    }

    /// Goes to the value of the next member or element.
    #[inline]
    fn part(&mut self, bytes: &[u8], at: usize, container: Container) -> Result<usize, Stop> {
        if container.close == b']' {
            return self.count().map(|()| at);
        }
        self.escaped = false;
        let end = self.key_end(bytes, at)?;
        if self.seen.is_some() {
            self.note(at, end, container.base);
        }
        self.colon(bytes, end)
    }

    #[inline]
    fn key_end(&mut self, bytes: &[u8], at: usize) -> Result<usize, Stop> {
        if bytes.get(at) != Some(&b'"') {
            return Err(self.expected(at, "a string as key"));
        }
        self.count()?;
        self.string(bytes, at)
    }

    #[inline]
    fn colon(&mut self, bytes: &[u8], at: usize) -> Result<usize, Stop> {
        let at = space(bytes, at);
        if bytes.get(at) != Some(&b':') {
            return Err(self.expected(at, "a colon"));
        }
        Ok(space(bytes, at + 1))
    }

    /// Passes a string whose opening quote is at `at`.
    #[inline]
    fn string(&mut self, bytes: &[u8], at: usize) -> Result<usize, Stop> {
        let mut at = at + 1;
        loop {
            at += text::plain_len(bytes.get(at..).unwrap_or_default());
            match bytes.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => {
                    self.escaped = true;
                    at = self.escape(bytes, at)?;
                }
                _ => return Err(self.expected(at, "the end of a string")),
            }
        }
    }

    fn escape(&mut self, bytes: &[u8], at: usize) -> Result<usize, Stop> {
        match bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let digits = bytes.get(at + 2..at + 6);
                if digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    return Ok(at + 6);
                }
                Err(self.expected(at, "four hexadecimal digits"))
            }
            _ => Err(self.expected(at, "an escape")),
        }
    }

    fn number(&mut self, bytes: &[u8], at: usize) -> Result<usize, Stop> {
        let mut at = at + usize::from(bytes.get(at) == Some(&b'-'));
        at = if bytes.get(at) == Some(&b'0') { at + 1 } else { self.digits(bytes, at)? };
        if bytes.get(at) == Some(&b'.') {
            at = self.digits(bytes, at + 1)?;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            at = self.digits(bytes, at + 1 + sign)?;
        }
        Ok(at)
    }

    fn digits(&mut self, bytes: &[u8], at: usize) -> Result<usize, Stop> {
        let digits = bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 { Err(self.expected(at, "a digit")) } else { Ok(at + digits) }
    }

    fn word(&mut self, bytes: &[u8], at: usize, word: &'static str) -> Result<usize, Stop> {
        if bytes[at..].starts_with(word.as_bytes()) {
            Ok(at + word.len())
        } else {
            Err(self.expected(at, word))
        }
    }

    #[inline]
    fn deeper(&mut self) -> Result<(), Stop> {
        let Some(left) = self.depth_left.checked_sub(1) else { return Err(self.stop(ScanError::TooDeep)) };
        self.depth_left = left;
        Ok(())
    }

    /// Counts one member or element.
    #[inline]
    fn count(&mut self) -> Result<(), Stop> {
        let Some(left) = self.parts_left.checked_sub(1) else {
            return Err(self.stop(ScanError::TooManyParts));
        };
        self.parts_left = left;
        Ok(())
    }

    fn leave(&mut self, container: Container) {
        self.depth_left += 1;
        self.open.pop();
        if container.close == b'}' && self.seen.is_some() {
            self.forget(container.base);
        }
    }

    fn characters(&self, start: usize, end: usize) -> Cow<'a, str> {
        let quoted = &self.text[start..end];
        if self.escaped { text::unescape_lossy(quoted) } else { Cow::Borrowed(text::inside(quoted)) }
    }

    fn note(&mut self, start: usize, end: usize, base: usize) {
        let key = self.characters(start, end);
        let Some(seen) = &mut self.seen else { return };
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

    #[cold]
    const fn expected(&mut self, at: usize, expected: &'static str) -> Stop {
        self.stop(ScanError::Syntax { at, expected })
    }

    #[cold]
    const fn stop(&mut self, error: ScanError) -> Stop {
        self.error = error;
        Stop
    }
}

#[inline]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}
