//! Keys: 256 bits, written as 64 hexadecimal digits, wiped when they are dropped.

use std::fmt;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::VaultError;

/// Length of a key, in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// Length of a nonce, in bytes: long enough that one drawn at random never comes twice.
pub(crate) const NONCE_BYTES: usize = 24;

/// Length of what shows which key is meant, in bytes.
const ID_BYTES: usize = 8;

/// A key of XChaCha20-Poly1305.
pub(crate) struct Key(Zeroizing<[u8; KEY_BYTES]>);

/// Where nonces, and the key of a new vault, come from: the operating system; fixed bytes in the test of the frozen vector.
pub(crate) type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), VaultError>;

// === impl Key ===

impl Key {
    pub(crate) const fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// A key nobody has seen yet.
    pub(crate) fn fresh(random: Random<'_>) -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        random(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// Reads 64 hexadecimal digits; blanks around them do not count. A passphrase is refused: it could be guessed, and
    /// what stretches one belongs to the program that asks for it.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        if text.len() != KEY_BYTES * 2 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The 64 digits.
    pub(crate) fn hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES * 2));
        for byte in self.0.iter() {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
            }
        }
        text
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// What tells this key from others and gives nothing of it away: a hash of 256 random bits cannot be searched.
    pub(crate) fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"cella-vault v1 key id\0");
        hash.update(self.0.as_ref());
        hash.finalize().iter().take(ID_BYTES).map(|b| format!("{b:02x}")).collect()
    }

    /// Nonce and sealed text; `about` is not in it, and must be the same when it is opened.
    pub(crate) fn seal(&self, text: &[u8], about: &[u8], random: Random<'_>) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: text, aad: about })
            // Only for texts of 256 GiB.
            .map_err(|_| VaultError::ValueSize { bytes: text.len() })?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// The text, when neither it nor `about` was changed.
    pub(crate) fn open(&self, sealed: &[u8], about: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let text = self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: about });
        text.ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Random bytes of the operating system.
pub(crate) fn system_random(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes).map_err(|e| VaultError::File {
        doing: "drawing random numbers from",
        path: "/dev/urandom".into(),
        error: std::io::Error::other(e.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_digits_and_nothing_else() {
        let text = "00ff".repeat(16);
        let key = Key::parse(format!(" {text}\n").as_bytes()).expect("a key");
        assert_eq!(*key.hex(), text);
        for bad in ["", "00ff", "correct horse battery staple", &"g0".repeat(32), &"00".repeat(33)] {
            assert!(Key::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert_eq!(format!("{key:?}"), "Key(..)");
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_words_about_it_only() {
        let key = Key::fresh(&mut system_random).expect("a key");
        let sealed = key.seal(b"text", b"about", &mut system_random).expect("sealed");
        assert_eq!(key.open(&sealed, b"about").expect("opened").as_slice(), b"text");
        assert!(key.open(&sealed, b"other").is_none());
        assert!(key.open(&sealed[..20], b"about").is_none());
    }
}
