//! Sealed request states: what Cella hands to a modern client as `requestState` and believes when it comes back.
//!
//! A state names work in progress, so it is bound to its owner and to its request, it expires, and whoever changes a bit
//! of it is refused (2026-07-28, basic/patterns/mrtr, Server Requirements 4 and 5). It is authenticated, not encrypted:
//! put no secrets into the payload. It does not authenticate its bearer either; the owner is always taken from the
//! connection.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::{text, walk};

/// Bytes of a payload. States travel in every retry; stops a server from making Cella's clients carry megabytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const FORMAT: u8 = 1;
/// What the fingerprint of a key is the code of. No sealed body can be this: those begin with [`FORMAT`].
const FINGERPRINT_OF: &[u8] = b"cella fingerprint";
/// Enough that two nodes in a row never have the same.
const FINGERPRINT_BYTES: usize = 6;
const NONCE_BYTES: usize = 16;
const DIGEST_BYTES: usize = 32;
const HEAD_BYTES: usize = 1 + NONCE_BYTES + 8 + 2 * DIGEST_BYTES;
/// Levels of nesting that a request digest follows; requests deeper than the decoder accepts do not occur.
const DIGEST_DEPTH_MAX: usize = 512;

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; DIGEST_BYTES]);

/// What a state holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// To whom it was given.
    pub owner: Digest,
    /// For which request.
    pub request: Digest,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
    /// What it stands for: a number in a table of parked calls, or the state of a server behind us.
    pub payload: Vec<u8>,
}

/// Why a state was not accepted. Clients learn no more than "not valid".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not written by [`Seal::seal`].
    #[error("the request state is malformed")]
    Malformed,
    /// Changed, or sealed with another key (a node that restarted with a new key, or another node).
    #[error("the request state was not sealed here")]
    Forged,
    /// Too late.
    #[error("the request state has expired")]
    Expired,
    /// Given to somebody else.
    #[error("the request state belongs to another principal")]
    OtherOwner,
    /// Given for another request.
    #[error("the request state belongs to another request")]
    OtherRequest,
}

/// Seals and opens states with one key.
pub struct Seal {
    mac: Hmac<Sha256>,
}

// === impl Digest ===

impl Digest {
    /// The digest of a principal, as the owner of states.
    #[must_use]
    pub fn of_principal(principal: &str) -> Self {
        Self(Sha256::digest(principal.as_bytes()).into())
    }

    /// The digest of a request: its method and all its params except `_meta`, `inputResponses` and `requestState`. Two
    /// spellings of the same JSON (space, key order, escapes) have the same digest, since a retry may be written anew.
    #[must_use]
    pub fn of_request(method: &str, params: Option<&RawValue>) -> Self {
        let mut canonical = String::new();
        text::push_string(&mut canonical, method);
        let members = walk::members(params.map_or("{}", RawValue::get)).into_iter().flatten();
        let salient = members.filter(|m| {
            !matches!(&*text::unescape_lossy(m.key), "_meta" | "inputResponses" | "requestState")
        });
        push_members(&mut canonical, salient, DIGEST_DEPTH_MAX);
        Self(Sha256::digest(canonical.as_bytes()).into())
    }
}

fn push_members<'a>(out: &mut String, members: impl Iterator<Item = walk::Member<'a>>, depth: usize) {
    let mut sorted: Vec<_> = members.map(|m| (text::unescape_lossy(m.key), m.value)).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    out.push('{');
    for (key, value) in sorted {
        text::push_string(out, &key);
        push_canonical(out, value, depth);
    }
    out.push('}');
}

fn push_canonical(out: &mut String, json: &str, depth: usize) {
    match (json.as_bytes().first(), depth.checked_sub(1)) {
        (Some(b'"'), _) => text::push_string(out, &text::unescape_lossy(json)),
        (Some(b'{'), Some(depth)) => push_members(out, walk::members(json).into_iter().flatten(), depth),
        (Some(b'['), Some(depth)) => {
            out.push('[');
            for element in walk::elements(json).into_iter().flatten() {
                push_canonical(out, element, depth);
                out.push(',');
            }
            out.push(']');
        }
        _ => out.push_str(json),
    }
}

// === impl Seal ===

impl Seal {
    /// A seal with this key, which must be random and secret.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { mac: Hmac::new(&hmac_key(key)) }
    }

    /// Names the key without giving it away, in 8 characters of the URL-safe Base64 alphabet: tells the states of this
    /// seal from those of another node of the same make, which are to pass untouched. It proves nothing.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let tag = self.mac.clone().chain_update(FINGERPRINT_OF).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(&tag[..FINGERPRINT_BYTES])
    }

    /// Seals a handle. `nonce` must be random: it keeps two states of equal content apart.
    #[must_use]
    pub fn seal(&self, handle: &Handle, nonce: [u8; NONCE_BYTES]) -> String {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + handle.payload.len() + DIGEST_BYTES);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&handle.expires_at_ms.to_be_bytes());
        bytes.extend_from_slice(&handle.owner.0);
        bytes.extend_from_slice(&handle.request.0);
        bytes.extend_from_slice(&handle.payload);
        let tag = self.mac.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a state, for the principal and the request that present it, at `now_ms` since the Unix epoch.
    ///
    /// # Errors
    /// [`SealError`]: everything but an untouched, unexpired state in the hands of its owner on its own request.
    pub fn open(
        &self,
        sealed: &str,
        now_ms: u64,
        owner: Digest,
        request: Digest,
    ) -> Result<Handle, SealError> {
        if sealed.len() > (HEAD_BYTES + PAYLOAD_BYTES_MAX + DIGEST_BYTES) * 2 {
            return Err(SealError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError::Malformed)?;
        let (body, tag) = bytes
            .len()
            .checked_sub(DIGEST_BYTES)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or(SealError::Malformed)?;
        // Constant-time; nothing of the body is looked at before.
        self.mac.clone().chain_update(body).verify_slice(tag).map_err(|_| SealError::Forged)?;
        let handle = read(body).ok_or(SealError::Malformed)?;
        if now_ms >= handle.expires_at_ms {
            return Err(SealError::Expired);
        }
        if handle.owner != owner {
            return Err(SealError::OtherOwner);
        }
        if handle.request != request {
            return Err(SealError::OtherRequest);
        }
        Ok(handle)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(key withheld)")
    }
}

fn hmac_key(key: [u8; 32]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..key.len()].copy_from_slice(&key);
    block
}

fn read(body: &[u8]) -> Option<Handle> {
    let (format, rest) = body.split_first()?;
    let (_nonce, rest) = rest.split_at_checked(NONCE_BYTES)?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (owner, rest) = rest.split_first_chunk::<DIGEST_BYTES>()?;
    let (request, payload) = rest.split_first_chunk::<DIGEST_BYTES>()?;
    (*format == FORMAT).then(|| Handle {
        owner: Digest(*owner),
        request: Digest(*request),
        expires_at_ms: u64::from_be_bytes(*expires),
        payload: payload.to_vec(),
    })
}

#[cfg(test)]
mod tests;
