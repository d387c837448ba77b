//! What a terminal shows as what it is. Names and contents here were chosen by programs that nobody trusts: a lone carriage
//! return, an escape or a change of direction would show a line that is not there.

use std::{ffi::OsStr, fmt::Write, os::unix::ffi::OsStrExt, path::Path};

/// Characters without a place of their own: formats and directions (Unicode's `Cf`), separators of lines and paragraphs, and
/// the fillers that look like nothing.
const UNSEEN: [(u32, u32); 22] = [
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x0600, 0x0605),
    (0x061c, 0x061c),
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfeff, 0xfeff),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];
/// Whether a character stands for itself wherever it is printed.
#[must_use]
pub fn is_plain(c: char) -> bool {
    let code = c as u32;
    let within = |(first, last): (u32, u32)| (first..=last).contains(&code);
    !c.is_control() && !UNSEEN.into_iter().any(within)
}

/// A text for one line: what is not plain is written `\u{…}`.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut shown, c));
    shown
}

/// The same for lines: tabs and ends of lines stay. A carriage return that ends none is shown, and ends one.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' if rest.peek() == Some(&'\n') => shown.push(c),
            '\r' => shown.push_str("\\u{d}\n"),
            c => push(&mut shown, c),
        }
    }
    shown
}

/// A path as a name is written in a manifest, and further escaped where that would not be plain.
#[must_use]
pub fn plain_path(path: &Path) -> String {
    name(path.as_os_str())
}

/// Bytes in text: each that is no part of a plain character, and `%`, is `%XX`.
pub(crate) fn name(bytes: &OsStr) -> String {
    let mut shown = String::new();
    for chunk in bytes.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_plain(c) && c != '%' {
                shown.push(c);
            } else {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(&mut shown, byte));
            }
        }
        chunk.invalid().iter().for_each(|byte| escape(&mut shown, *byte));
    }
    shown
}

fn escape(shown: &mut String, byte: u8) {
    let _a_string_takes_all = write!(shown, "%{byte:02X}");
}

fn push(shown: &mut String, c: char) {
    if is_plain(c) {
        shown.push(c);
    } else {
        shown.extend(c.escape_unicode());
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

    use super::{is_plain, plain, plain_lines, plain_path};

    #[test]
    fn what_moves_a_terminal_or_turns_a_line_is_not_plain() {
        for c in "\0\u{1b}\r\n\t\u{7f}\u{80}\u{9b}\u{9f}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{1d173}\u{e0041}"
            .chars()
        {
            assert!(!is_plain(c), "{c:?}");
        }
        for c in "a \u{a0}\u{e9}\u{5d0}\u{4e2d}\u{fffd}\u{1d11e}\u{1f600}".chars() {
            assert!(is_plain(c), "{c:?}");
        }
    }

    #[test]
    fn a_lone_carriage_return_overwrites_no_line() {
        assert_eq!(plain_lines("evil\rgood\r\n\tx\u{202e}\n"), "evil\\u{d}\ngood\r\n\tx\\u{202e}\n");
        assert_eq!(plain("a\nb\u{9b}31m"), "a\\u{a}b\\u{9b}31m");
    }

    #[test]
    fn a_path_is_shown_byte_for_byte_where_it_is_not_plain() {
        let path = OsStr::from_bytes(b"/a%\xff\x1b[2J/\xe2\x80\xae\xc3\xa9");
        assert_eq!(plain_path(Path::new(path)), "/a%25%FF%1B[2J/%E2%80%AE\u{e9}");
    }
}
