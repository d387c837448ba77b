//! The strict reader. It walks the one canonical form and stops at the first byte that departs from it, so that reading
//! is at the same time the proof that the bytes are canonical: nothing is encoded again to compare.

use std::borrow::Cow;

use crate::{
    CallId, DEPTH_MAX, EVENT_BYTES_MAX, Event, Hash, Int, Kept, Key, Kind, Label, Map, Micros, PayloadRef,
    RunId, Seq, VERSION, Value, encode::escape_of,
};

/// Why bytes are not an event of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Past [`EVENT_BYTES_MAX`].
    #[error("event of {got} bytes, at most {max}")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
        /// The length found.
        got: usize,
    },
    /// Written by another version of the format.
    #[error("expected event version {expected}, got {got}")]
    UnknownVersion {
        /// The version this crate reads.
        expected: u32,
        /// The version found.
        got: u32,
    },
    /// Not the canonical encoding.
    #[error("not canonical at byte {at}: expected {expected}")]
    NotCanonical {
        /// Offset of the byte at fault.
        at: usize,
        /// What the canonical form has there.
        expected: &'static str,
    },
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

type Read<T> = Result<T, DecodeError>;

pub(crate) fn decode(bytes: &[u8]) -> Read<Event> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(DecodeError::TooLarge { max: EVENT_BYTES_MAX, got: bytes.len() });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|e| DecodeError::NotCanonical { at: e.valid_up_to(), expected: "UTF-8" })?;
    check_version(text)?;
    let mut c = Cursor { text, at: 0 };
    c.literal("{", "an object")?;
    let body = if c.skip("\"body\":") { c.filled_map()? } else { Map::new() };
    let call = c.named("\"call\":", |t| CallId::new(t).ok(), "a call id")?;
    c.literal("\"kind\":", "the field kind")?;
    let kind = c.typed(|t| Kind::parse(t).ok(), "the name of a kind")?;
    let parent = c.named("\"parent\":", |t| CallId::new(t).ok(), "a call id")?;
    let payloads = if c.skip("\"payloads\":") { c.payloads()? } else { Vec::new() };
    c.literal("\"prev\":", "the field prev")?;
    let prev = c.typed(|t| t.parse().ok(), "64 lower-case hex digits")?;
    let principal = c.named("\"principal\":", |t| Label::new(t).ok(), "a label")?;
    let run = c.named("\"run\":", |t| RunId::new(t).ok(), "a run id")?;
    c.literal("\"seq\":", "the field seq")?;
    let seq = c.count("a sequence number from 1")?;
    c.literal(",", "a comma")?;
    let server = c.named("\"server\":", |t| Label::new(t).ok(), "a label")?;
    c.literal("\"time\":", "the field time")?;
    let time = Micros(c.int()?.get());
    c.literal(",", "a comma")?;
    let tool = c.named("\"tool\":", |t| Label::new(t).ok(), "a label")?;
    c.literal("\"v\":1}", "the version and the end")?;
    if c.at != text.len() {
        return Err(c.fault("nothing after the end"));
    }
    Ok(Event { seq: Seq(seq), time, kind, run, call, parent, principal, server, tool, body, payloads, prev })
}

/// The version is the last field, so that it is found without reading the rest: an event of another version is named as
/// such, not as a broken one of ours.
fn check_version(text: &str) -> Read<()> {
    let got = text
        .strip_suffix('}')
        .and_then(|t| t.rsplit_once(",\"v\":"))
        .and_then(|(_, digits)| digits.parse::<u32>().ok());
    match got {
        Some(got) if got != VERSION => Err(DecodeError::UnknownVersion { expected: VERSION, got }),
        _ => Ok(()),
    }
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    const fn fault(&self, expected: &'static str) -> DecodeError {
        DecodeError::NotCanonical { at: self.at, expected }
    }

    fn skip(&mut self, literal: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(literal.as_bytes());
        if found {
            self.at += literal.len();
        }
        found
    }

    fn literal(&mut self, literal: &str, expected: &'static str) -> Read<()> {
        if self.skip(literal) { Ok(()) } else { Err(self.fault(expected)) }
    }

    /// An optional text field and the comma after it.
    fn named<T>(
        &mut self,
        key: &str,
        make: impl FnOnce(&str) -> Option<T>,
        expected: &'static str,
    ) -> Read<Option<T>> {
        if self.skip(key) { self.typed(make, expected).map(Some) } else { Ok(None) }
    }

    /// A text of a narrower type and the comma after it.
    fn typed<T>(&mut self, make: impl FnOnce(&str) -> Option<T>, expected: &'static str) -> Read<T> {
        let fault = self.fault(expected);
        let value = make(&self.string()?).ok_or(fault)?;
        self.literal(",", "a comma")?;
        Ok(value)
    }

    fn string(&mut self) -> Read<Cow<'a, str>> {
        self.literal("\"", "a text")?;
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let Some(end) = bytes.iter().position(|b| escape_of(*b).is_some()) else {
            return Err(self.fault("the end of the text"));
        };
        if bytes[end] == b'"' {
            self.at += end + 1;
            return Ok(Cow::Borrowed(&rest[..end]));
        }
        self.escaped_string().map(Cow::Owned)
    }

    fn escaped_string(&mut self) -> Read<String> {
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let bytes = rest.as_bytes();
            let Some(plain) = bytes.iter().position(|b| escape_of(*b).is_some()) else {
                return Err(self.fault("the end of the text"));
            };
            out.push_str(&rest[..plain]);
            self.at += plain;
            if self.skip("\"") {
                return Ok(out);
            }
            self.literal("\\", "control characters escaped")?;
            out.push(self.escape()?);
        }
    }

    /// One escape after its backslash, in the only form RFC 8785 has for that character.
    fn escape(&mut self) -> Read<char> {
        let fault = self.fault("an escape that RFC 8785 has");
        let bytes = &self.text.as_bytes()[self.at..];
        let short = match bytes.first() {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'b') => 0x08,
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'f') => 0x0c,
            Some(b'r') => b'\r',
            Some(b'u') => {
                let hex = bytes.get(1..5).and_then(|h| std::str::from_utf8(h).ok()).ok_or(fault)?;
                let code = u8::from_str_radix(hex, 16).map_err(|_| fault)?;
                let lower = !hex.bytes().any(|b| b.is_ascii_uppercase() || b == b'+');
                if escape_of(code) != Some(b'u') || !lower {
                    return Err(fault);
                }
                self.at += 5;
                return Ok(char::from(code));
            }
            _ => return Err(fault),
        };
        self.at += 1;
        Ok(char::from(short))
    }

    fn int(&mut self) -> Read<Int> {
        let fault = self.fault("an integer within ±(2^53 - 1)");
        let negative = self.skip("-");
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let text = &self.rest()[..digits];
        if digits == 0 || digits > 16 || (text.starts_with('0') && (digits > 1 || negative)) {
            return Err(fault);
        }
        let value: i64 = text.parse().map_err(|_| fault)?;
        self.at += digits;
        Int::new(if negative { -value } else { value }).ok_or(fault)
    }

    fn count(&mut self, expected: &'static str) -> Read<u64> {
        let fault = self.fault(expected);
        match u64::try_from(self.int()?.get()) {
            Ok(count) => Ok(count),
            Err(_) => Err(fault),
        }
    }

    fn key(&mut self, before: Option<&Key>) -> Read<Key> {
        let fault = self.fault("a key after the one before");
        let text = self.string()?;
        if before.is_some_and(|before| before.as_str() >= &*text) {
            return Err(fault);
        }
        let key = Key::new(text.into_owned()).ok_or(fault)?;
        self.literal(":", "a colon")?;
        Ok(key)
    }

    /// A map with fields, and the comma after it: an empty one would have been left out.
    fn filled_map(&mut self) -> Read<Map> {
        let fault = self.fault("at least one field");
        let map = self.map(0)?;
        if map.is_empty() {
            return Err(fault);
        }
        self.literal(",", "a comma")?;
        Ok(map)
    }

    fn map(&mut self, depth: usize) -> Read<Map> {
        self.deeper(depth)?;
        self.literal("{", "an object")?;
        let mut map = Map::new();
        let mut first = true;
        while !self.skip("}") {
            if !std::mem::take(&mut first) {
                self.literal(",", "a comma or the end of the object")?;
            }
            let key = self.key(map.last_key())?;
            let value = self.value(depth + 1)?;
            map.push_sorted(key, value);
        }
        Ok(map)
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        match self.text.as_bytes().get(self.at) {
            Some(b'"') => self.string().map(|text| Value::Text(Cow::Owned(text.into_owned()))),
            Some(b'{') => self.map(depth).map(Value::Map),
            Some(b'[') => self.list(depth).map(Value::List),
            Some(b't') => self.literal("true", "true").map(|()| Value::Bool(true)),
            Some(b'f') => self.literal("false", "false").map(|()| Value::Bool(false)),
            _ => self.int().map(Value::Int),
        }
    }

    fn list(&mut self, depth: usize) -> Read<Vec<Value>> {
        self.deeper(depth)?;
        self.literal("[", "a list")?;
        let mut values = Vec::new();
        while !self.skip("]") {
            if !values.is_empty() {
                self.literal(",", "a comma or the end of the list")?;
            }
            values.push(self.value(depth + 1)?);
        }
        Ok(values)
    }

    fn payloads(&mut self) -> Read<Vec<PayloadRef>> {
        self.literal("{", "an object")?;
        let mut refs: Vec<PayloadRef> = Vec::new();
        loop {
            let name = self.key(refs.last().map(|r| &r.name))?;
            refs.push(self.payload(name)?);
            if self.skip("},") {
                return Ok(refs);
            }
            self.literal(",", "a comma or the end of the payloads")?;
        }
    }

    fn payload(&mut self, name: Key) -> Read<PayloadRef> {
        self.literal("{\"alg\":\"sha256-salted\",\"bytes\":", "a salted SHA-256 commitment")?;
        let bytes = self.count("a length in bytes")?;
        self.literal(",\"digest\":", "the field digest")?;
        let fault = self.fault("64 lower-case hex digits");
        let digest = Hash::from_hex(self.string()?.as_bytes()).map_err(|_| fault)?;
        let kept = if self.skip(",\"kept\":\"none\"") {
            Kept::None
        } else if self.skip(",\"kept\":\"redacted\"") {
            Kept::Redacted
        } else {
            Kept::Full
        };
        self.literal("}", "the end of the commitment")?;
        Ok(PayloadRef { name, digest, bytes, kept })
    }

    const fn deeper(&self, depth: usize) -> Read<()> {
        if depth >= DEPTH_MAX { Err(self.fault("nesting of at most 8")) } else { Ok(()) }
    }
}
