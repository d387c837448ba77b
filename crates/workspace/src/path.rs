//! Names as a cell made them: any bytes, written in text so that every byte comes back.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    limits::{DEPTH_MAX, PATH_BYTES_MAX},
    plain,
};

/// Bytes without a NUL, as the kernel gives them. In a manifest each byte that is a control character, `%`, or no part of
/// UTF-8 is `%` and two hexadecimal digits in capitals; everything else stands for itself. Displayed, what a terminal would
/// not show as itself is written so too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Raw(Vec<u8>);

/// A path beneath a root: names joined by `/`, none of them empty, `.` or `..`. Sorted name by name, so that a directory
/// comes right before what is in it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct RelPath(Raw);

/// A text that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not as [`Raw`] writes it.
    #[error("expected bytes escaped as %XX where they must be, and nowhere else")]
    Escape,
    /// It leads out of its root, or nowhere.
    #[error("expected names joined by /, none of them empty, `.` or `..`")]
    Shape,
    /// Longer or deeper than a path here may be.
    #[error("longer than {PATH_BYTES_MAX} bytes or deeper than {DEPTH_MAX} directories")]
    Long,
}

// === impl Raw ===

impl Raw {
    /// `None` where a byte is NUL.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (!bytes.contains(&0)).then_some(Self(bytes))
    }

    /// As the kernel wants it.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Bytes that it takes in a manifest.
    pub(crate) fn written(&self) -> u64 {
        self.text().bytes().map(|byte| if matches!(byte, b'"' | b'\\') { 2 } else { 1 }).sum()
    }

    /// As a manifest has it: the one text from which it comes back.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c == '%' || (c as u32) < 0x20 || c as u32 == 0x7f {
                    text.push_str(&format!("%{:02X}", c as u32));
                } else {
                    text.push(c);
                }
            }
            chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
        }
        text
    }

    /// The same, owned.
    #[must_use]
    pub fn to_path_buf(&self) -> PathBuf {
        self.as_path().to_path_buf()
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain::name(OsStr::from_bytes(&self.0)))
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Raw {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            if *first != b'%' {
                bytes.push(*first);
                rest = after;
                continue;
            }
            let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(BadPath::Escape)?;
            bytes.push(byte);
            rest = &after[2..];
        }
        let raw = Self::new(bytes).ok_or(BadPath::Escape)?;
        // One text for one name: what could be written in two ways would have two digests.
        if raw.text() == text { Ok(raw) } else { Err(BadPath::Escape) }
    }
}

impl From<Raw> for String {
    fn from(raw: Raw) -> Self {
        raw.text()
    }
}

// === impl RelPath ===

impl RelPath {
    /// Checks the shape and the length.
    ///
    /// # Errors
    /// [`BadPath`] says what is wrong.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, BadPath> {
        let raw = Raw::new(bytes).ok_or(BadPath::Shape)?;
        if raw.0.len() > PATH_BYTES_MAX || raw.0.split(|b| *b == b'/').count() > DEPTH_MAX {
            return Err(BadPath::Long);
        }
        let plain = raw.0.split(|b| *b == b'/').all(|name| !matches!(name, b"" | b"." | b".."));
        if plain { Ok(Self(raw)) } else { Err(BadPath::Shape) }
    }

    /// As the kernel wants it.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        self.0.as_path()
    }

    /// As a manifest has it.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.text()
    }

    /// The directory it lies in; `None` for one right beneath the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let at = self.0.0.iter().rposition(|b| *b == b'/')?;
        Some(Self(Raw(self.0.0[..at].to_vec())))
    }

    /// Its last name.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        let start = self.0.0.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        OsStr::from_bytes(&self.0.0[start..])
    }

    pub(crate) fn written(&self) -> u64 {
        self.0.written()
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.0.split(|b| *b == b'/')
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.names().cmp(other.names())
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<Raw> for RelPath {
    type Error = BadPath;

    fn try_from(raw: Raw) -> Result<Self, BadPath> {
        Self::new(raw.0)
    }
}

impl From<RelPath> for Raw {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

    use super::{BadPath, Raw, RelPath};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn every_name_comes_back_from_its_text(bytes in prop::collection::vec(any::<u8>().prop_filter("no NUL", |b| *b != 0), 0..64)) {
            let raw = Raw::new(bytes).expect("no NUL");
            prop_assert_eq!(Raw::try_from(raw.text()), Ok(raw));
        }
    }
    use proptest::strategy::Strategy;

    #[test]
    fn a_name_has_one_text() {
        assert_eq!(Raw::new(*b"a%\xff\n\xc3\xa9").expect("a name").text(), "a%25%FF%0A\u{e9}");
        for wrong in ["%41", "%ff", "%", "%4", "%00", "a\nb"] {
            assert_eq!(Raw::try_from(wrong.to_owned()), Err(BadPath::Escape), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_is_shown_without_what_a_terminal_would_act_on() {
        let name = Raw::new("a\u{202e}\u{9b}\u{e9}").expect("a name");
        assert_eq!(
            (name.to_string().as_str(), name.text().as_str()),
            ("a%E2%80%AE%C2%9B\u{e9}", "a\u{202e}\u{9b}\u{e9}")
        );
    }

    #[test]
    fn a_path_never_leads_out_of_its_root() {
        for wrong in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/."] {
            assert_eq!(RelPath::new(wrong), Err(BadPath::Shape), "{wrong:?}");
        }
        assert_eq!(RelPath::new("a/".repeat(200) + "a"), Err(BadPath::Long));
        assert_eq!(RelPath::new("a".repeat(4000)), Err(BadPath::Long));
    }

    #[test]
    fn a_directory_comes_right_before_what_is_in_it() {
        let mut paths =
            ["a.b", "a/z", "a", "a-b", "a/b/c", "a/b"].map(|text| RelPath::new(text).expect("a path"));
        paths.sort();
        assert_eq!(paths.map(|path| path.to_string()), ["a", "a/b", "a/b/c", "a/z", "a-b", "a.b"]);
    }
}
