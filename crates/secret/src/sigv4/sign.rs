//! Keys and signatures.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{SigV4Refusal, parse::Scope};

type HmacSha256 = Hmac<Sha256>;

/// The key of one day, region and service.
pub(super) fn key(secret: &[u8], scope: &Scope) -> Zeroizing<[u8; 32]> {
    let first = Zeroizing::new([b"AWS4", secret].concat());
    let mut key = Zeroizing::new(mac(&first, scope.day.as_bytes()));
    for part in [scope.region.as_bytes(), scope.service.as_bytes(), b"aws4_request"] {
        key = Zeroizing::new(mac(key.as_slice(), part));
    }
    key
}

/// The text that is signed.
pub(super) fn text(date: &str, scope: &Scope, canonical: &str) -> String {
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    format!("AWS4-HMAC-SHA256\n{date}\n{}\n{digest}", scope.write())
}

/// The signature of a text, in hexadecimal digits.
pub(super) fn signature(key: &[u8; 32], text: &str) -> String {
    hex(&mac(key, text.as_bytes()))
}

/// Holds a signature against a text, in constant time.
pub(super) fn verify(key: &[u8; 32], text: &str, signature: &str) -> Result<(), SigV4Refusal> {
    let stated: Vec<u8> = (0..signature.len() / 2)
        .filter_map(|n| u8::from_str_radix(signature.get(2 * n..2 * n + 2)?, 16).ok())
        .collect();
    authenticated(key, text.as_bytes()).verify_slice(&stated).map_err(|_| SigV4Refusal::Mismatch)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|n| char::from_digit(n.into(), 16)).collect()
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    authenticated(key, text).finalize().into_bytes().into()
}

fn authenticated(key: &[u8], text: &[u8]) -> HmacSha256 {
    let mac = HmacSha256::new_from_slice(key);
    mac.unwrap_or_else(|_| unreachable!("HMAC takes keys of any length")).chain_update(text)
}
