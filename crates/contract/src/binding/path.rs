//! Patterns of request paths. They are held against a path that is decoded and has no dot segments.

use std::fmt;

use crate::pattern;

/// Most segments of a pattern, so that a match stays cheap.
const SEGMENTS_MAX: usize = 64;

/// A pattern such as `/repos/*/issues` or `/repos/**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    /// `**` at the end: this path and everything below.
    below: bool,
}

impl PathPattern {
    /// Reads a pattern: segments after `/`; `*` stands for any characters of one segment; `/**` at the end for the path
    /// itself and everything below it.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(inner) = text.strip_prefix('/') else {
            return Err("begin the path with `/`".to_owned());
        };
        if let Some(c) = text.chars().find(|c| matches!(c, '?' | '#' | '\\' | '%') || c.is_control()) {
            return Err(format!("take {c:?} out: a pattern is written decoded and without a query"));
        }
        let (inner, below) = match inner.strip_suffix("**") {
            Some(before) if before.is_empty() || before.ends_with('/') => {
                (before.trim_end_matches('/'), true)
            }
            _ => (inner, false),
        };
        if inner.contains("**") {
            return Err("write ** only as the last segment".to_owned());
        }
        let segments: Vec<&str> = inner.split('/').collect();
        let hollow = segments.iter().rev().skip(1).any(|s| s.is_empty());
        if segments.len() > SEGMENTS_MAX || hollow || segments.iter().any(|s| matches!(*s, "." | "..")) {
            return Err(format!("write at most {SEGMENTS_MAX} segments, none of them empty, `.` or `..`"));
        }
        Ok(Self { text: format!("/{inner}"), below })
    }

    /// True when a path fits. The path must be decoded, with its dot segments resolved.
    #[must_use]
    pub fn fits(&self, path: &str) -> bool {
        if self.below && self.text == "/" {
            return path.starts_with('/');
        }
        let mut wanted = self.text.split('/');
        let mut got = path.split('/');
        loop {
            match (wanted.next(), got.next()) {
                (Some(pattern), Some(segment)) if pattern::fit(pattern, segment).is_some() => {}
                (None, None) => return true,
                (None, Some(_)) => return self.below,
                _ => return false,
            }
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.below {
            f.write_str(if self.text == "/" { "**" } else { "/**" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_segment_and_two_stars_go_below() {
        for (pattern, path, fits) in [
            ("/repos/**", "/repos", true),
            ("/repos/**", "/repos/a/b", true),
            ("/repos/**", "/repositories", false),
            ("/repos/**", "/user/repos/a", false),
            ("/repos/*/issues", "/repos/a/issues", true),
            ("/repos/*/issues", "/repos/a/b/issues", false),
            ("/repos/*/issues", "/repos/a/issues/1", false),
            ("/v*/chat", "/v1/chat", true),
            ("/**", "/", true),
            ("/**", "/x/y", true),
            ("/", "/", true),
            ("/", "/x", false),
            ("/a", "/a/", false),
            ("/a", "/A", false),
        ] {
            let read = PathPattern::parse(pattern).expect(pattern);
            assert_eq!(read.fits(path), fits, "{pattern} {path}");
            assert_eq!(read.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in
            ["", "repos", "/a/../b", "/./a", "/a//b", "/a?x=1", "/a%2fb", "/a**", "/**/b", "/a\\b", "/a#b"]
        {
            assert!(PathPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
