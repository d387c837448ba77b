//! A value that is never shown.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret in memory: wiped when it is dropped, compared in constant time, and without a way to be printed or
/// serialised. Who needs the value says so with [`Secret::expose`], which can be searched for.
///
/// It has no `Display`:
///
/// ```compile_fail
/// println!("{}", cella_vault::Secret::from("hunter2".to_owned()));
/// ```
///
/// nor `Serialize`:
///
/// ```compile_fail
/// serde_json::to_string(&cella_vault::Secret::from("hunter2".to_owned())).unwrap();
/// ```
///
/// nor can it be copied without a word:
///
/// ```compile_fail
/// let one = cella_vault::Secret::from("hunter2".to_owned());
/// let two = one.clone();
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

// === impl Secret ===

impl Secret {
    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; `None` where it is no UTF-8, which no value of a [`crate::Vault`] is.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(value: Vec<u8>) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::from(value.into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    /// Takes the same time wherever the two differ; their lengths are no secret.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_says_nothing_of_itself() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(format!("{:?}", Some(&secret)), "Some(Secret(..))");
        assert_eq!(secret.expose_text(), Some("hunter2"));
    }

    #[test]
    fn equal_is_what_has_the_same_bytes() {
        let of = |text: &str| Secret::from(text.to_owned());
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        assert_ne!(of("a"), of("aa"));
    }
}
