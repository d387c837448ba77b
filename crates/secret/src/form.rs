//! In which forms a text can stand in a message.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// A way to write bytes. Free escapes (any character as `%XX` or `\u00XX`) are no forms of their own: the sieve looks
/// through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is, perhaps with percent or JSON escapes.
    Raw,
    /// As serialisers of JSON write it.
    Json,
    /// With everything but unreserved characters as `%XX` (RFC 3986).
    Percent,
    /// The same with `+` for a space, as forms have it.
    Plus,
    /// Base64 in one of two alphabets, after so many bytes modulo 3 of something else. Only the characters are meant
    /// that depend on nothing else, without padding.
    Base64 {
        /// `-_` instead of `+/`.
        url: bool,
        /// Bytes before it, modulo 3.
        shift: usize,
    },
    /// Hexadecimal digits.
    Hex {
        /// Capitals.
        upper: bool,
    },
}

// === impl Form ===

impl Form {
    /// Every form. Where two give the same bytes the first counts.
    const ALL: [Self; 12] = [
        Self::Raw,
        Self::Json,
        Self::Percent,
        Self::Plus,
        Self::Base64 { url: false, shift: 0 },
        Self::Base64 { url: false, shift: 1 },
        Self::Base64 { url: false, shift: 2 },
        Self::Base64 { url: true, shift: 0 },
        Self::Base64 { url: true, shift: 1 },
        Self::Base64 { url: true, shift: 2 },
        Self::Hex { upper: false },
        Self::Hex { upper: true },
    ];

    /// A text in all forms that differ.
    pub(crate) fn all(text: &[u8]) -> Vec<(Self, Vec<u8>)> {
        let mut forms: Vec<(Self, Vec<u8>)> = Vec::with_capacity(Self::ALL.len());
        for form in Self::ALL {
            let written = form.write(text);
            if forms.iter().all(|(_, other)| *other != written) {
                forms.push((form, written));
            }
        }
        forms
    }

    /// A text in this form.
    pub(crate) fn write(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Raw => text.to_vec(),
            Self::Json => json(text),
            Self::Percent => percent(text, b"%20"),
            Self::Plus => percent(text, b"+"),
            Self::Base64 { url, shift } => base64(text, url, shift),
            Self::Hex { upper } => hex(text, upper),
        }
    }

    /// The form in words, for messages.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "plain",
            Self::Json => "JSON",
            Self::Percent | Self::Plus => "percent",
            Self::Base64 { .. } => "base64",
            Self::Hex { .. } => "hexadecimal",
        }
    }
}

/// As JSON serialisers write the inside of a string.
pub(crate) fn json(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x08 => out.extend(b"\\b"),
            0x0c => out.extend(b"\\f"),
            0..=0x1f => {
                out.extend(b"\\u00");
                out.extend(digits(*byte, LOWER));
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// Percent-encoded but for unreserved characters.
pub(crate) fn percent(text: &[u8], space: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            b' ' => out.extend(space),
            _ => {
                out.push(b'%');
                out.extend(digits(*byte, UPPER));
            }
        }
    }
    out
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

const fn digits(byte: u8, alphabet: &[u8; 16]) -> [u8; 2] {
    [alphabet[(byte >> 4) as usize], alphabet[(byte & 15) as usize]]
}

fn hex(text: &[u8], upper: bool) -> Vec<u8> {
    text.iter().flat_map(|byte| digits(*byte, if upper { UPPER } else { LOWER })).collect()
}

/// A character of base64 holds 6 bits: those before `8 * shift` and after the text's last bit belong to its neighbours.
fn base64(text: &[u8], url: bool, shift: usize) -> Vec<u8> {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(text);
    let encoder = if url { URL_SAFE_NO_PAD } else { STANDARD_NO_PAD };
    let encoded = encoder.encode(&shifted).into_bytes();
    let first = (8 * shift).div_ceil(6);
    let past = 8 * shifted.len() / 6;
    encoded[first..past].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_any_neighbours_contains_the_form_of_its_alignment() {
        let text = b"correct horse?>battery";
        for shift in 0..7 {
            for tail in 0..3 {
                let whole = [&b"neighbour"[..shift], text, &b"xy"[..tail]].concat();
                for (url, encoder) in [(false, STANDARD_NO_PAD), (true, URL_SAFE_NO_PAD)] {
                    let core = Form::Base64 { url, shift: shift % 3 }.write(text);
                    let encoded = encoder.encode(&whole);
                    assert!(encoded.contains(std::str::from_utf8(&core).expect("ASCII")), "{shift} {tail}");
                }
            }
        }
    }

    #[test]
    fn a_text_without_special_characters_has_fewer_forms() {
        assert_eq!(Form::all(b"cel_0123456789abc").len(), 6);
        assert!(Form::all(b"a \"b\" / ?>~>? \xff\xfe\xfd").len() > 10);
    }

    #[test]
    fn forms_are_written_as_their_standards_say() {
        assert_eq!(json(b"a\"\\\n\x01/"), b"a\\\"\\\\\\n\\u0001/");
        assert_eq!(percent(b"a b/~", b"+"), b"a+b%2F~");
        assert_eq!(Form::Hex { upper: true }.write(b"\xab\x01"), b"AB01");
    }
}
