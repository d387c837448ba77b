//! The canonical writer, by hand: an event is encoded for every call, and the general serializers cost several times the
//! hash. RFC 8785 for text, keys in order, integers in decimal, no white space.

use crate::{DEPTH_MAX, Map, PayloadRef, Value};

/// Why a draft has no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Past [`crate::EVENT_BYTES_MAX`].
    #[error("event of {got} bytes, at most {max}")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
        /// What it would have been.
        got: usize,
    },
    /// Nested past [`DEPTH_MAX`].
    #[error("event body nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// Payloads not in the order of their names, or one name twice.
    #[error("payloads must be given in the order of their names, each once")]
    PayloadOrder,
}

const ESCAPES: [u8; 256] = escapes();

/// 0: as it is; `u`: `\u00xx`; else the letter after the backslash. RFC 8785 section 3.2.2.2.
const fn escapes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 0x20 {
        table[i] = b'u';
        i += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
}

/// What must stand after the backslash for this byte; `None` when it stands for itself.
pub(crate) const fn escape_of(byte: u8) -> Option<u8> {
    match ESCAPES[byte as usize] {
        0 => None,
        letter => Some(letter),
    }
}

/// Appends a text as canonical bytes hold it, quotes included: what to look for when searching events undecoded.
pub fn canonical_text(out: &mut Vec<u8>, text: &str) {
    self::text(out, text);
}

/// Writes a text with its quotes.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let Some(letter) = escape_of(byte) else { continue };
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        out.extend_from_slice(&[b'\\', letter]);
        if letter == b'u' {
            let digits = b"0123456789abcdef";
            out.extend_from_slice(&[
                b'0',
                b'0',
                digits[usize::from(byte >> 4)],
                digits[usize::from(byte & 15)],
            ]);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// Writes an integer in decimal.
pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, value.unsigned_abs());
}

/// Writes an unsigned integer in decimal.
pub(crate) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes the fields of a map.
pub(crate) fn map(out: &mut Vec<u8>, fields: &Map, depth: usize) -> Result<(), EncodeError> {
    deeper(depth)?;
    out.push(b'{');
    for (i, (key, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(key.as_str().as_bytes());
        out.extend_from_slice(b"\":");
        self::value(out, value, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

fn value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), EncodeError> {
    match value {
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => int(out, number.get()),
        Value::Text(string) => text(out, string),
        Value::Map(fields) => map(out, fields, depth)?,
        Value::List(values) => {
            deeper(depth)?;
            out.push(b'[');
            for (i, item) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                self::value(out, item, depth + 1)?;
            }
            out.push(b']');
        }
    }
    Ok(())
}

/// Writes the commitments with their key and a comma after them; nothing when there are none.
pub(crate) fn payloads<'p>(
    out: &mut Vec<u8>,
    refs: impl IntoIterator<Item = &'p PayloadRef>,
) -> Result<(), EncodeError> {
    let mut before: Option<&PayloadRef> = None;
    for payload in refs {
        match before.replace(payload) {
            None => out.extend_from_slice(b"\"payloads\":{"),
            Some(before) if before.name >= payload.name => return Err(EncodeError::PayloadOrder),
            Some(_) => out.push(b','),
        }
        out.push(b'"');
        out.extend_from_slice(payload.name.as_str().as_bytes());
        out.extend_from_slice(b"\":{\"alg\":\"sha256-salted\",\"bytes\":");
        unsigned(out, payload.bytes);
        out.extend_from_slice(b",\"digest\":\"");
        out.extend_from_slice(&payload.digest.to_hex());
        out.push(b'"');
        if let Some(kept) = payload.kept.as_str() {
            out.extend_from_slice(b",\"kept\":\"");
            out.extend_from_slice(kept.as_bytes());
            out.push(b'"');
        }
        out.push(b'}');
    }
    if before.is_some() {
        out.extend_from_slice(b"},");
    }
    Ok(())
}

const fn deeper(depth: usize) -> Result<(), EncodeError> {
    if depth >= DEPTH_MAX { Err(EncodeError::TooDeep { max: DEPTH_MAX }) } else { Ok(()) }
}
