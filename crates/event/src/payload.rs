//! The salted commitment to arguments and results.
//!
//! A plain digest of `{"id":7}` is guessed in a microsecond from a published event; sixteen random bytes in front make
//! it a commitment that hides. Salt and bytes stand beside the event, where they can be deleted: the digest stays.

use crate::{Hash, Key, sha256::sha256};

/// Length of a salt, in bytes: 128 bits, which nobody guesses.
pub const SALT_BYTES: usize = 16;

/// The random bytes in front of a payload. Unique per payload, from the operating system.
pub type Salt = [u8; SALT_BYTES];

const DOMAIN: &[u8] = b"cella/payload/v1\0";

/// What an event says about a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadRef {
    /// For example `arguments`, `result`.
    pub name: Key,
    /// `SHA-256("cella/payload/v1\0" || salt || bytes)`.
    pub digest: Hash,
    /// Length of the payload, in bytes.
    pub bytes: u64,
    /// What was kept when the event was written.
    pub kept: Kept,
}

/// What was stored of a payload when its event was written. Later deletion does not change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kept {
    /// All bytes; the encoding omits it.
    #[default]
    Full,
    /// The digest is of a version with fields taken out, and that version was stored: `"kept":"redacted"`.
    Redacted,
    /// Only the salt: `"kept":"none"`. Who holds the bytes can still show that they are the ones meant.
    None,
}

/// `SHA-256("cella/payload/v1\0" || salt || bytes)`.
#[must_use]
pub fn payload_digest(salt: &Salt, bytes: &[u8]) -> Hash {
    sha256(&[DOMAIN, salt, bytes])
}

impl Kept {
    /// The text in the encoding; `None` for [`Kept::Full`].
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Redacted => Some("redacted"),
            Self::None => Some("none"),
        }
    }
}
