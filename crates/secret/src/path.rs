//! The path of a request, in the one reading that every server agrees on.

use crate::fold::percent_text;

/// A path that is decoded, without dot segments, and unambiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath(String);

/// Why a path has more than one reading. A rule on paths could be walked around with it, so the secret stays away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// No `/` in front, as in `*` or an absolute address.
    #[error("it does not begin with `/`")]
    NotAbsolute,
    /// `%` without two hexadecimal digits.
    #[error("a `%` in it is no escape")]
    Escape,
    /// `%2F` or `%5C`: a separator for some servers, a character for others.
    #[error("it has an encoded slash")]
    EncodedSlash,
    /// `%2E`: a dot segment for some servers, a name for others.
    #[error("it has an encoded dot")]
    EncodedDot,
    /// `%25` before something that would be an escape: decoded once by some servers, twice by others.
    #[error("it is encoded twice")]
    EncodedTwice,
    /// `\`: a separator for some servers.
    #[error("it has a backslash")]
    Backslash,
    /// An empty segment: merged by some servers, kept by others.
    #[error("it has an empty segment")]
    EmptySegment,
    /// `.;x` or `..;x`: a dot segment for servers that cut parameters off.
    #[error("it has a dot segment with a parameter")]
    DotParameter,
    /// `..` beyond the root.
    #[error("it goes above the root")]
    AboveRoot,
    /// Control characters, `#` or what is no UTF-8.
    #[error("it has a character that does not belong in a path")]
    Character,
}

// === impl NormalPath ===

impl NormalPath {
    /// Reads a path as it stands in a request line, without its query.
    ///
    /// # Errors
    /// When servers could read it in different ways.
    pub fn read(raw: &str) -> Result<Self, Ambiguity> {
        let inner = raw.strip_prefix('/').ok_or(Ambiguity::NotAbsolute)?;
        if raw.contains('\\') {
            return Err(Ambiguity::Backslash);
        }
        if raw.bytes().any(|b| b <= b' ' || b >= 0x7f || b == b'#' || b == b'?') {
            return Err(Ambiguity::Character);
        }
        let mut segments: Vec<String> = Vec::new();
        let mut parts = inner.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            if part.is_empty() && !last {
                return Err(Ambiguity::EmptySegment);
            }
            match part.split(';').next() {
                Some("." | "..") if part.contains(';') => return Err(Ambiguity::DotParameter),
                _ => {}
            }
            match part {
                "." => {}
                ".." => {
                    segments.pop().ok_or(Ambiguity::AboveRoot)?;
                }
                _ => {
                    segments.push(segment(part)?);
                    continue;
                }
            }
            // A dot segment at the end leaves the slash before it (RFC 3986, 5.2.4).
            if last {
                segments.push(String::new());
            }
        }
        Ok(Self(format!("/{}", segments.join("/"))))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn segment(raw: &str) -> Result<String, Ambiguity> {
    let mut rest = raw;
    while let Some((_, after)) = rest.split_once('%') {
        let code = after.get(..2).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.ok_or(Ambiguity::Escape)?.to_ascii_lowercase().as_str() {
            "2f" | "5c" => return Err(Ambiguity::EncodedSlash),
            "2e" => return Err(Ambiguity::EncodedDot),
            "25" if after[2..].bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2 => {
                return Err(Ambiguity::EncodedTwice);
            }
            _ => rest = &after[2..],
        }
    }
    let decoded = String::from_utf8(percent_text(raw.as_bytes())).map_err(|_| Ambiguity::Character)?;
    if decoded.chars().any(char::is_control) { Err(Ambiguity::Character) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_and_its_dot_segments_are_resolved() {
        for (raw, path) in [
            ("/", "/"),
            ("/repos/a%20b/issues", "/repos/a b/issues"),
            ("/a/./b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/", "/a/"),
            ("/%e2%82%ac", "/\u{20ac}"),
            ("/100%25", "/100%"),
            ("/a;v=1/b", "/a;v=1/b"),
        ] {
            assert_eq!(NormalPath::read(raw).expect(raw).as_str(), path, "{raw}");
        }
    }

    #[test]
    fn a_path_that_servers_read_differently_is_refused() {
        for (raw, why) in [
            ("", Ambiguity::NotAbsolute),
            ("*", Ambiguity::NotAbsolute),
            ("http://a/b", Ambiguity::NotAbsolute),
            ("/a/..%2fadmin", Ambiguity::EncodedSlash),
            ("/a%5Cb", Ambiguity::EncodedSlash),
            ("/a/%2e%2E/admin", Ambiguity::EncodedDot),
            ("/a/%252e%252e/admin", Ambiguity::EncodedTwice),
            ("/a\\..\\admin", Ambiguity::Backslash),
            ("/a//b", Ambiguity::EmptySegment),
            ("//a", Ambiguity::EmptySegment),
            ("/a/..;x=1/admin", Ambiguity::DotParameter),
            ("/..", Ambiguity::AboveRoot),
            ("/a/../../b", Ambiguity::AboveRoot),
            ("/a%", Ambiguity::Escape),
            ("/a%4", Ambiguity::Escape),
            ("/a%zz", Ambiguity::Escape),
            ("/a%00", Ambiguity::Character),
            ("/a%ff", Ambiguity::Character),
            ("/a b", Ambiguity::Character),
            ("/a#b", Ambiguity::Character),
        ] {
            assert_eq!(NormalPath::read(raw), Err(why), "{raw}");
        }
    }
}
