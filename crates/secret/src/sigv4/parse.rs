//! The `Authorization` header of a signed request.

use http::{HeaderMap, header};

use super::SigV4Refusal;
use crate::decide::excerpt;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a request says about its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorization {
    pub(super) key_id: String,
    pub(super) scope: Scope,
    /// Signed headers, in order.
    pub(super) headers: Vec<String>,
    /// Lower-case hexadecimal.
    pub(super) signature: String,
}

/// For what a key is derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) day: String,
    pub(super) region: String,
    pub(super) service: String,
}

// === impl Authorization ===

impl Authorization {
    /// The time under the signature, `YYYYMMDDTHHMMSSZ`.
    pub(super) fn date(&self, headers: &HeaderMap) -> Result<String, SigV4Refusal> {
        let mut dates = headers.get_all("x-amz-date").iter();
        let date = dates.next().filter(|_| dates.next().is_none()).and_then(|date| date.to_str().ok());
        let date = date.ok_or(SigV4Refusal::Date)?;
        let formed = date.len() == 16
            && date.bytes().enumerate().all(|(n, b)| match n {
                8 => b == b'T',
                15 => b == b'Z',
                _ => b.is_ascii_digit(),
            });
        if formed && date.starts_with(&self.scope.day) {
            Ok(date.to_owned())
        } else {
            Err(SigV4Refusal::Date)
        }
    }

    /// The header with another key and signature.
    pub(super) fn write(&self, key_id: &str, signature: &str) -> String {
        let (scope, headers) = (self.scope.write(), self.headers.join(";"));
        format!("{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={headers}, Signature={signature}")
    }
}

// === impl Scope ===

impl Scope {
    pub(super) fn write(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }
}

/// Reads the header.
pub(super) fn authorization(headers: &HeaderMap) -> Result<Authorization, SigV4Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    let value = value.ok_or(SigV4Refusal::NoSignature)?;
    if value.starts_with("AWS4-ECDSA-P256-SHA256") {
        return Err(SigV4Refusal::Asymmetric);
    }
    let rest = value.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
    let parts: Vec<&str> = rest.ok_or(SigV4Refusal::NoSignature)?.split(',').map(str::trim).collect();
    let part = |name: &'static str| {
        let mut found = parts.iter().filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.next().filter(|_| found.next().is_none()).ok_or(SigV4Refusal::Malformed { part: name })
    };
    let (key_id, scope) =
        credential(part("Credential")?).ok_or(SigV4Refusal::Malformed { part: "Credential" })?;
    let signature = part("Signature")?;
    let formed =
        signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !formed {
        return Err(SigV4Refusal::Malformed { part: "Signature" });
    }
    let headers = signed_headers(part("SignedHeaders")?)?;
    Ok(Authorization { key_id, scope, headers, signature: signature.to_owned() })
}

/// `ID/DAY/REGION/SERVICE/aws4_request`.
fn credential(text: &str) -> Option<(String, Scope)> {
    let fields: Vec<&str> = text.split('/').collect();
    let [id, day, region, service, "aws4_request"] = fields[..] else { return None };
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let dated = day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit());
    let scope = Scope { day: day.into(), region: region.into(), service: service.into() };
    (dated && [id, region, service].into_iter().all(word)).then(|| (id.to_owned(), scope))
}

/// Names in lower case and in order, none twice, as the canonical request has them.
fn signed_headers(text: &str) -> Result<Vec<String>, SigV4Refusal> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let lower =
        |name: &String| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase() || b <= b' ');
    if !names.iter().all(lower) || !names.is_sorted_by(|a, b| a < b) {
        return Err(SigV4Refusal::Malformed { part: "SignedHeaders" });
    }
    match names.iter().find(|name| *name == "authorization" || *name == "connection") {
        None => Ok(names),
        Some(name) => Err(SigV4Refusal::Uncovered { expected: excerpt(name) }),
    }
}
