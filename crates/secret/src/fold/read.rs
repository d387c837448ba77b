//! One escape at a time.

/// What kinds of escape there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Percent,
    Json,
}

/// An escape read at a place.
pub(super) enum Read {
    /// So many bytes that stand for these.
    Whole(usize, [u8; 4], usize, Kind),
    /// More bytes are needed to say.
    Open,
    /// None: the character stands for itself.
    None,
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

/// The most frequent ones: those of one byte that are all there, with their length. `None` says nothing.
#[inline(always)]
pub(super) fn quick(text: &[u8]) -> Option<(usize, u8)> {
    match text {
        [b'%', high, low, ..] => {
            let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
            (high | low < 16).then_some((3, high << 4 | low))
        }
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
            // more than seven bits are two bytes
            (high < 8 && low < 16).then_some((6, high << 4 | low))
        }
        [b'\\', c, ..] => match SHORT[usize::from(*c)] {
            NONE => None,
            byte => Some((2, byte)),
        },
        _ => None,
    }
}

/// What stands at the beginning of a text. `end`: nothing follows it.
pub(super) fn read(text: &[u8], end: bool) -> Read {
    let open = if end { Read::None } else { Read::Open };
    match text {
        [b'%', high, low, ..] => match (nibble(*high), nibble(*low)) {
            (Some(high), Some(low)) => Read::Whole(3, [high << 4 | low, 0, 0, 0], 1, Kind::Percent),
            _ => Read::None,
        },
        [b'%'] => open,
        [b'%', high] if nibble(*high).is_some() => open,
        [b'\\', b'u', ..] => unicode(text, open),
        [b'\\', c, ..] => match SHORT[usize::from(*c)] {
            NONE => Read::None,
            byte => Read::Whole(2, [byte, 0, 0, 0], 1, Kind::Json),
        },
        [b'\\'] => open,
        _ => Read::None,
    }
}

/// What is no digit, and no character of a short escape; none of them stands for this byte.
const NONE: u8 = 0xff;

/// What hexadecimal digits stand for.
static NIBBLES: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut byte = 0;
    while byte < 10 {
        table[b'0' as usize + byte] = byte as u8;
        byte += 1;
    }
    let mut letter = 0;
    while letter < 6 {
        table[b'a' as usize + letter] = 10 + letter as u8;
        table[b'A' as usize + letter] = 10 + letter as u8;
        letter += 1;
    }
    table
};

/// What characters behind a backslash stand for (RFC 8259, 7).
static SHORT: [u8; 256] = {
    let mut table = [NONE; 256];
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'/' as usize] = b'/';
    table[b'b' as usize] = 0x08;
    table[b'f' as usize] = 0x0c;
    table[b'n' as usize] = b'\n';
    table[b'r' as usize] = b'\r';
    table[b't' as usize] = b'\t';
    table
};

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

fn nibble(byte: u8) -> Option<u8> {
    Some(NIBBLES[usize::from(byte)]).filter(|nibble| *nibble != NONE)
}
