//! Patterns over servers and what they offer.

use std::fmt;

use serde_json::{Value, json};

use crate::{
    Code, Place,
    read::{Fault, Word, reads_text},
};

/// Longest pattern, in bytes. Matching is linear in pattern times text.
const PATTERN_BYTES_MAX: usize = 256;

/// `server/name`: `*` is any text, `?` one character; without `/` all of the servers that match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemPattern {
    text: Box<str>,
}

impl ItemPattern {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches an item of a server.
    #[must_use]
    pub fn matches(&self, server: &str, item: &str) -> bool {
        match self.text.split_once('/') {
            Some((servers, items)) => glob(servers, server) && glob(items, item),
            None => glob(&self.text, server),
        }
    }

    /// The part that matches servers.
    pub(crate) fn servers(&self) -> &str {
        self.text.split_once('/').map_or(&*self.text, |(servers, _)| servers)
    }
}

impl fmt::Display for ItemPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Word for ItemPattern {
    const EXPECTED: &'static str = "a pattern such as \"github/get_*\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let whole = text.split('/').next().is_some_and(|server| !server.is_empty()) && !text.ends_with('/');
        if whole && text.len() <= PATTERN_BYTES_MAX && !text.chars().any(char::is_control) {
            return Ok(Self { text: text.into() });
        }
        Err(Fault::new(Code::BAD_FORM, format!("{text:?} is not a pattern"))
            .cause("it is `SERVER` or `SERVER/NAME` with `*` and `?`, at most 256 bytes"))
    }

    fn schema() -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": PATTERN_BYTES_MAX})
    }
}

reads_text!(ItemPattern);

/// `*` and `?`, nothing else. Only the last star is remembered, so hostile names cost no more than pattern times name.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn matches(pattern: &str, server: &str, item: &str) -> bool {
        let place = Place::of_file(Path::new("/c"), None);
        ItemPattern::parse(pattern, &place).is_ok_and(|p| p.matches(server, item))
    }

    #[test]
    fn a_pattern_without_slash_is_all_of_a_server() {
        assert!(matches("git", "git", "status"));
        assert!(matches("git*", "github", "a/b"));
        assert!(matches("*/get_*", "time", "get_now"));
        assert!(matches("files/file:///etc/*", "files", "file:///etc/hosts"));
        assert!(!matches("git/status", "github", "status"));
        assert!(!matches("git/stat?", "git", "stat"));
    }

    #[test]
    fn stars_backtrack_to_the_last_one_only() {
        assert!(glob("*a*b", &"ab".repeat(1000)));
        assert!(!glob("*a*c", &"ab".repeat(1000)));
        assert!(glob("**", ""));
    }
}
