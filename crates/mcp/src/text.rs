//! JSON strings as text: escape, unescape, and the search for the next byte that matters.

use std::borrow::Cow;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes at the start are neither a quote, a backslash nor a control character. Eight bytes per step.
#[inline]
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * b'"' as u64);
        let slash = word ^ (ONES * b'\\' as u64);
        // A byte's high bit is set where the byte is zero (after the xor) or below 0x20; borrows can only disturb bytes
        // above the first true hit, and only the first is used.
        let hits = (quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if hits != 0 {
            return n * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let plain = tail.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..0x20)).count();
    words.len() * 8 + plain
}

/// The text between the quotes of a JSON string.
pub(crate) fn inside(quoted: &str) -> &str {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}

/// The characters of a valid JSON string (quotes included). `None` when it is no string or holds a lone surrogate.
pub(crate) fn unescape(quoted: &str) -> Option<Cow<'_, str>> {
    if !quoted.starts_with('"') {
        return None;
    }
    let body = inside(quoted);
    if !body.as_bytes().contains(&b'\\') {
        return Some(Cow::Borrowed(body));
    }
    let mut out = String::with_capacity(body.len());
    resolve(body, &mut out).then_some(Cow::Owned(out))
}

/// Like [`unescape`], with U+FFFD for what no text can hold.
pub(crate) fn unescape_lossy(quoted: &str) -> Cow<'_, str> {
    let body = inside(quoted);
    if !body.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(body);
    }
    let mut out = String::with_capacity(body.len());
    let _whole = resolve(body, &mut out);
    Cow::Owned(out)
}

/// Resolves escapes; false when a lone surrogate had to be replaced.
fn resolve(body: &str, out: &mut String) -> bool {
    let mut whole = true;
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes().get(at + 1).copied();
        let mut taken = 2;
        let c = match code {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let (c, length) = unicode(&rest[at..]);
                taken = length;
                c.unwrap_or_else(|| {
                    whole = false;
                    char::REPLACEMENT_CHARACTER
                })
            }
            Some(other) => char::from(other),
            None => return false,
        };
        out.push(c);
        rest = rest.get(at + taken..).unwrap_or_default();
    }
    out.push_str(rest);
    whole
}

/// Reads `\uXXXX`, or a surrogate pair of two; the character and the length of what was read.
fn unicode(text: &str) -> (Option<char>, usize) {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else { return (None, 2) };
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first), 6);
    }
    match unit(6) {
        Some(second @ 0xdc00..0xe000) => {
            (char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)), 12)
        }
        _ => (None, 6),
    }
}

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    loop {
        let plain = plain_len(rest.as_bytes());
        out.push_str(&rest[..plain]);
        let Some(&special) = rest.as_bytes().get(plain) else { break };
        match special {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                const HEX: [char; 16] =
                    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
                out.push_str("\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = &rest[plain + 1..];
    }
    out.push('"');
}

/// `text` as a JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}
