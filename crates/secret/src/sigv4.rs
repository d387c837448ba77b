//! AWS Signature Version 4: what a cell signed with placeholders is verified and signed anew with the values.
//!
//! Only the form with an `Authorization` header. A signature in the query would outlive the request; a chunked one covers
//! each chunk of the body. Both are refused with a reason. Formulas: AWS, "Create a signed AWS API request".

mod canonical;
mod parse;
mod sign;

use http::{HeaderMap, HeaderValue, header};

use self::{
    canonical::canonical,
    parse::{Authorization, authorization},
};
use crate::{Binding, Facts, Permit, Place, Violation, decide, decide::excerpt};

/// Why a request is not signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SigV4Refusal {
    /// There is no `Authorization` of this form.
    #[error("its Authorization header is not of the form AWS4-HMAC-SHA256")]
    NoSignature,
    /// The header has a part that is missing, double or malformed.
    #[error("its Authorization header has no usable {part}")]
    Malformed {
        /// The part.
        part: &'static str,
    },
    /// A signature over two regions, which needs another kind of key.
    #[error("it is signed with AWS4-ECDSA-P256-SHA256, for which no key can be bound")]
    Asymmetric,
    /// The signature is in the query.
    #[error("its signature is in the query; only signatures in a header are signed anew")]
    Presigned,
    /// Each chunk of the body is signed.
    #[error("its body is signed chunk by chunk ({got}); send UNSIGNED-PAYLOAD or a digest of the whole body")]
    Chunked {
        /// `x-amz-content-sha256`.
        got: String,
    },
    /// Neither `x-amz-date` nor `Date` in the short form.
    #[error("it has no x-amz-date, or one that is not of the day in its scope")]
    Date,
    /// `host` is not among the signed headers.
    #[error("its signature does not cover the header {expected}")]
    Uncovered {
        /// A header that has to be.
        expected: String,
    },
    /// A signed header is not there.
    #[error("its signature covers the header {missing}, which it does not have")]
    Missing {
        /// The header.
        missing: String,
    },
    /// The digest of the body must be known and is neither declared nor given.
    #[error("the digest of its body is neither declared nor known")]
    NoPayload,
    /// The target has no single reading.
    #[error("its target cannot be signed")]
    Target,
    /// It was not made with the placeholder of the secret key.
    #[error("its signature was not made with the placeholder of the secret key")]
    Mismatch,
    /// The secret key is not bound.
    #[error("the secret key that belongs to the access key id is not bound")]
    NoPair,
}

/// What the digest of a request's body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Declared in `x-amz-content-sha256`: a digest, or that there is none. The service checks it.
    Declared(String),
    /// To be computed from the whole body, as it stands in the cell's request.
    Body,
}

/// What of a request is under its signature, beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// The access key id and the secret key of one signature, each with leave to be used.
#[derive(Clone, Copy, Debug)]
pub struct KeyPair<'a> {
    id: Permit<'a>,
    key: Permit<'a>,
    id_placeholder: &'a str,
    key_placeholder: &'a str,
}

// === impl SigV4Refusal ===

impl SigV4Refusal {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Chunked { .. } | Self::Presigned | Self::Asymmetric => "CE2344",
            _ => "CE2343",
        }
    }
}

// === impl KeyPair ===

impl<'a> KeyPair<'a> {
    /// The pair of bindings whose access key id the request is signed with; `None` when it is none of these.
    ///
    /// # Errors
    /// When the id is bound and the request must not be signed with it.
    pub fn of(
        bindings: &'a [Binding],
        facts: &Facts,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, Violation> {
        let Some(id) = authorization(headers).ok().and_then(|authorization| {
            bindings.iter().find(|binding| binding.placeholder().as_str() == authorization.key_id)
        }) else {
            return Ok(None);
        };
        let permit = decide(id, facts, &Place::SigV4)?;
        let pair = id.pair().and_then(|pair| bindings.iter().find(|binding| binding.name() == pair));
        let Some(key) = pair else { return Err(refused(permit, SigV4Refusal::NoPair)) };
        Ok(Some(Self {
            id: permit,
            key: decide(key, facts, &Place::SigV4)?,
            id_placeholder: id.placeholder().as_str(),
            key_placeholder: key.placeholder().as_str(),
        }))
    }
}

impl KeyPair<'_> {
    /// The secret that is the access key id, and the one that is the secret key.
    #[must_use]
    pub fn secrets(&self) -> [&str; 2] {
        [self.id.secret(), self.key.secret()]
    }

    pub(crate) fn refused(&self, why: SigV4Refusal) -> Violation {
        refused(self.key, why)
    }
}

/// What is needed to know about the body of a signed request.
///
/// # Errors
/// When its chunks are signed.
pub fn payload(headers: &HeaderMap) -> Result<Payload, SigV4Refusal> {
    let Some(declared) = headers.get("x-amz-content-sha256") else { return Ok(Payload::Body) };
    let malformed = SigV4Refusal::Malformed { part: "x-amz-content-sha256" };
    let text = declared.to_str().map_err(|_| malformed.clone())?;
    let digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match text {
        // The trailer of the second is not signed, and its chunks neither.
        "UNSIGNED-PAYLOAD" | "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Payload::Declared(text.to_owned())),
        _ if digest => Ok(Payload::Declared(text.to_owned())),
        _ if text.starts_with("STREAMING-") => Err(SigV4Refusal::Chunked { got: excerpt(text) }),
        _ => Err(malformed),
    }
}

/// Verifies the signature that a cell made with its placeholders and gives the `Authorization` made with the values.
/// `sent` is what will be sent: the cell's request with other placeholders, such as a session token, already replaced.
/// `body` is the SHA-256 of the body where [`Payload::Body`] asks for it; a body under a signature is sent unchanged.
///
/// # Errors
/// When the signature does not verify, or the request cannot be signed.
pub fn resign(
    pair: KeyPair<'_>,
    cell: Message<'_>,
    sent: Message<'_>,
    body: Option<[u8; 32]>,
) -> Result<HeaderValue, Violation> {
    signed(pair, cell, sent, body).map_err(|why| refused(pair.key, why))
}

fn signed(
    pair: KeyPair<'_>,
    cell: Message<'_>,
    sent: Message<'_>,
    body: Option<[u8; 32]>,
) -> Result<HeaderValue, SigV4Refusal> {
    if cell.target.contains("X-Amz-Signature=") {
        return Err(SigV4Refusal::Presigned);
    }
    let stated = authorization(cell.headers)?;
    if stated.key_id != pair.id_placeholder {
        return Err(SigV4Refusal::Mismatch);
    }
    let payload = match (payload(cell.headers)?, body) {
        (Payload::Declared(declared), _) => declared,
        (Payload::Body, Some(digest)) => sign::hex(&digest),
        (Payload::Body, None) => return Err(SigV4Refusal::NoPayload),
    };
    covered(&stated, sent.headers)?;
    let date = stated.date(cell.headers)?;
    let text = |message| Ok(sign::text(&date, &stated.scope, &canonical(message, &stated, &payload)?));
    let placeholder_key = sign::key(pair.key_placeholder.as_bytes(), &stated.scope);
    sign::verify(&placeholder_key, &text(cell)?, &stated.signature)?;
    // Only now: a request that the cell did not sign is not signed for it.
    let signature = sign::signature(&sign::key(pair.key.value(), &stated.scope), &text(sent)?);
    let malformed = SigV4Refusal::Malformed { part: "access key id" };
    let id = std::str::from_utf8(pair.id.value()).map_err(|_| malformed.clone())?;
    let mut value = HeaderValue::try_from(stated.write(id, &signature)).map_err(|_| malformed)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What decides where a request goes and what it may do must be under the signature.
fn covered(stated: &Authorization, sent: &HeaderMap) -> Result<(), SigV4Refusal> {
    let amz = sent.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    let must = std::iter::once(header::HOST.as_str()).chain(amz);
    let lacking = |name: &&str| !stated.headers.iter().any(|signed| signed == name);
    match must.into_iter().find(lacking) {
        None => Ok(()),
        Some(name) => Err(SigV4Refusal::Uncovered { expected: excerpt(name) }),
    }
}

fn refused(permit: Permit<'_>, why: SigV4Refusal) -> Violation {
    Violation::SigV4 { secret: permit.secret().to_owned(), why }
}

#[cfg(test)]
mod tests;
