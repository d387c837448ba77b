//! What a secret is called.

use std::{borrow::Borrow, fmt};

use crate::{VaultError, limits::NAME_BYTES_MAX};

/// The name of a secret: one to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or digit. So it can stand in
/// a configuration, a command line and a table as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

// === impl Name ===

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// `CE2412`: it is none. The text is not repeated where it could be a value in the wrong place.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > NAME_BYTES_MAX {
            "it is longer than 64 characters"
        } else if !text.bytes().all(inner) {
            "it has other characters than letters, digits, `.`, `_` and `-`"
        } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            "it begins with neither a letter nor a digit"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(VaultError::Name { why })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_everywhere_as_it_is() {
        for good in ["a", "GITHUB_TOKEN", "github_GITHUB_TOKEN", "0.x-y", &"n".repeat(64)] {
            assert_eq!(Name::parse(good).expect("a name").as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "a:b", "é", "a\n", &"n".repeat(65)] {
            assert_eq!(Name::parse(bad).expect_err("refused").code(), "CE2412", "{bad}");
        }
    }

    #[test]
    fn a_value_in_the_place_of_a_name_is_not_repeated() {
        let value = "p4ss word";
        assert!(!Name::parse(value).expect_err("refused").to_string().contains(value));
    }
}
