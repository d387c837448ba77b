//! The value of a secret in memory.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that are wiped when dropped and that nothing prints.
///
/// Wiped is this copy. The search automaton of a cell's answers holds the forms of the value as well, and the HTTP stack
/// copies what it sends; both belong to the node's process, which is why a cell never shares it.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

// === impl SecretBytes ===

impl SecretBytes {
    /// Takes a value over.
    #[must_use]
    pub fn new(value: Vec<u8>) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. To be used at once and not kept.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(value: &[u8]) -> Self {
        Self::new(value.to_vec())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_printed() {
        assert_eq!(format!("{:?}", SecretBytes::from(&b"hunter2hunter2"[..])), "SecretBytes(…)");
    }
}
