//! Arguments and results beside their events: salted, kept or not, deletable.

use std::{borrow::Cow, cell::RefCell};

use cella_event::{Hash, Kept, Key, PayloadRef, SALT_BYTES, Salt, payload_digest};

use crate::AppendError;

/// Salts drawn from the operating system at once, so that one call does not pay for a system call.
const SALTS_DRAWN: usize = 64;

/// A payload on its way into the ledger, already salted and digested: its commitment is known before it is appended.
///
/// What is kept of it is the caller's decision, made by the choice of constructor.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    pub(crate) reference: PayloadRef,
    pub(crate) salt: Salt,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// What the ledger has of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredPayload {
    /// The bytes, checked against the event.
    Kept {
        /// The random bytes in front.
        salt: Salt,
        /// The payload, or its redacted version where the event says so.
        bytes: Vec<u8>,
    },
    /// Only the salt was kept, by policy.
    DigestOnly {
        /// With it, whoever holds the bytes can show that they are the ones meant.
        salt: Salt,
    },
    /// Bytes and salt were deleted on purpose.
    Deleted,
}

// === impl Payload ===

impl<'a> Payload<'a> {
    /// Keeps all bytes.
    ///
    /// # Errors
    /// [`AppendError::NoRandomness`].
    pub fn full(name: Key, bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, AppendError> {
        Self::kept(name, bytes.into(), Kept::Full)
    }

    /// Keeps a version from which the caller has taken fields out. The digest is that version's.
    ///
    /// # Errors
    /// [`AppendError::NoRandomness`].
    pub fn redacted(name: Key, bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, AppendError> {
        Self::kept(name, bytes.into(), Kept::Redacted)
    }

    /// Keeps the salt only.
    ///
    /// # Errors
    /// [`AppendError::NoRandomness`].
    pub fn digest_only(name: Key, bytes: &[u8]) -> Result<Self, AppendError> {
        let salt = salt()?;
        let reference = PayloadRef {
            name,
            digest: payload_digest(&salt, bytes),
            bytes: bytes.len() as u64,
            kept: Kept::None,
        };
        Ok(Self { reference, salt, bytes: Cow::Borrowed(&[]) })
    }

    /// The same payload, independent of the message it was made from.
    #[must_use]
    pub fn into_owned(self) -> Payload<'static> {
        Payload { reference: self.reference, salt: self.salt, bytes: Cow::Owned(self.bytes.into_owned()) }
    }

    /// The salted digest, which the event will hold.
    #[must_use]
    pub const fn digest(&self) -> &Hash {
        &self.reference.digest
    }

    /// The commitment as the event will hold it.
    #[must_use]
    pub const fn reference(&self) -> &PayloadRef {
        &self.reference
    }

    fn kept(name: Key, bytes: Cow<'a, [u8]>, kept: Kept) -> Result<Self, AppendError> {
        let salt = salt()?;
        let reference =
            PayloadRef { name, digest: payload_digest(&salt, &bytes), bytes: bytes.len() as u64, kept };
        Ok(Self { reference, salt, bytes })
    }
}

struct Salts {
    drawn: [u8; SALTS_DRAWN * SALT_BYTES],
    left: usize,
}

thread_local! {
    static SALTS: RefCell<Salts> = const { RefCell::new(Salts { drawn: [0; SALTS_DRAWN * SALT_BYTES], left: 0 }) };
}

fn salt() -> Result<Salt, AppendError> {
    SALTS.with_borrow_mut(|salts| {
        if salts.left == 0 {
            getrandom::fill(&mut salts.drawn).map_err(AppendError::NoRandomness)?;
            salts.left = SALTS_DRAWN;
        }
        salts.left -= 1;
        let mut salt = [0; SALT_BYTES];
        let drawn = &mut salts.drawn[salts.left * SALT_BYTES..][..SALT_BYTES];
        // Used bytes are forgotten: a salt must not be found in memory after its payload was deleted.
        salt.swap_with_slice(drawn);
        Ok(salt)
    })
}
