//! What stands in a cell instead of a secret.

use std::fmt;

use cella_contract::{Alphabet, Format, Part};

/// A random text in the look of the secret it stands for. Made anew at each start of a cell, so that one that leaks is of
/// no use anywhere else. It is no secret: it grants nothing outside of its cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Placeholder(String);

/// There were not enough random bytes; see [`Placeholder::random_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a placeholder needs more random bytes than the {got} given")]
pub struct TooLittleRandomness {
    /// Bytes given.
    pub got: usize,
}

// === impl Placeholder ===

impl Placeholder {
    /// How many random bytes [`Placeholder::generate`] wants. Some are thrown away, so that every character of an alphabet
    /// is equally likely; with twice as many and some to spare they run out once in far more than 2^64 times.
    #[must_use]
    pub fn random_bytes(format: &Format) -> usize {
        2 * format.len() + 64
    }

    /// Makes a placeholder.
    ///
    /// # Errors
    /// When the random bytes run out.
    pub fn generate(format: &Format, random: &[u8]) -> Result<Self, TooLittleRandomness> {
        let mut text = String::with_capacity(format.len());
        let mut bytes = random.iter().copied();
        for part in format.parts() {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Random(alphabet, count) => {
                    for _ in 0..*count {
                        let c = character(*alphabet, &mut bytes);
                        text.push(c.ok_or(TooLittleRandomness { got: random.len() })?);
                    }
                }
            }
        }
        Ok(Self(text))
    }

    /// One that a vector prescribes.
    #[cfg(test)]
    pub(crate) fn fixed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As a cell sees it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A character, each equally likely: bytes past the last whole multiple of the alphabet's size are passed over.
fn character(alphabet: Alphabet, bytes: &mut impl Iterator<Item = u8>) -> Option<char> {
    let characters = alphabet.characters();
    let fair = 256 - 256 % characters.len();
    let byte = bytes.find(|b| usize::from(*b) < fair)?;
    Some(char::from(characters[usize::from(byte) % characters.len()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate(format: &str, random: &[u8]) -> Result<Placeholder, TooLittleRandomness> {
        Placeholder::generate(&Format::parse(format).expect(format), random)
    }

    #[test]
    fn a_placeholder_has_the_look_of_its_format() {
        let random: Vec<u8> = (0..=255).chain(0..=255).chain(0..=255).collect();
        for (format, start, len) in [
            ("cella", "cel_", 36),
            ("ghp", "ghp_", 40),
            ("github_pat", "github_pat_", 93),
            ("sk", "sk-", 51),
            ("sk-ant", "sk-ant-api03-", 108),
            ("xoxb", "xoxb-", 55),
            ("akia", "AKIA", 20),
            ("aws-secret", "", 40),
            ("uuid", "", 36),
            ("hex:40", "", 40),
            ("key-{alnum:32}", "key-", 36),
        ] {
            let made = generate(format, &random).expect(format);
            assert!(made.as_str().starts_with(start) && made.as_str().len() == len, "{format} {made}");
        }
    }

    #[test]
    fn different_bytes_make_different_placeholders_and_too_few_make_none() {
        let format = Format::default();
        let bytes = |n: u8| vec![n; Placeholder::random_bytes(&format)];
        assert_ne!(Placeholder::generate(&format, &bytes(1)), Placeholder::generate(&format, &bytes(2)));
        assert_eq!(generate("cella", &[0; 31]), Err(TooLittleRandomness { got: 31 }));
        assert_eq!(generate("cella", &[255; 300]), Err(TooLittleRandomness { got: 300 }));
    }
}
