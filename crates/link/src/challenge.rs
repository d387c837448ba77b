//! What a server that wants credentials says about them (RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 9728
//! section 5.1).

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};

/// Bytes of one challenge that are read. Stops a server from making us parse pages; the rest is ignored.
const CHALLENGE_BYTES_MAX: usize = 8 * 1024;

/// A 401 or 403 of a server, for whoever obtains credentials. Everything in it is the server's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// 401: no or bad credentials. 403: not enough.
    pub status: u16,
    /// For example `Bearer`; empty when the server sent no challenge.
    pub scheme: String,
    /// Where the protected-resource metadata is (RFC 9728).
    pub resource_metadata: Option<String>,
    /// Space-separated scopes the request needs.
    pub scope: Option<String>,
    /// For example `invalid_token` or `insufficient_scope`.
    pub error: Option<String>,
}

impl Challenge {
    /// Reads the challenge of a response; a Bearer challenge goes before any other.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap) -> Self {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
        let mut challenges: Vec<Self> = values.map(|value| Self::parse(status, value)).collect();
        let bearer = challenges.iter().position(|c| c.scheme.eq_ignore_ascii_case("bearer"));
        match bearer {
            Some(at) => challenges.swap_remove(at),
            None => challenges.pop().unwrap_or_else(|| Self::empty(status)),
        }
    }

    fn empty(status: StatusCode) -> Self {
        Self {
            status: status.as_u16(),
            scheme: String::new(),
            resource_metadata: None,
            scope: None,
            error: None,
        }
    }

    fn parse(status: StatusCode, value: &str) -> Self {
        let value = value.get(..CHALLENGE_BYTES_MAX).unwrap_or(value).trim();
        let (scheme, mut rest) = value.split_once(' ').unwrap_or((value, ""));
        let mut challenge = Self { scheme: scheme.to_owned(), ..Self::empty(status) };
        while let Some((name, text, after)) = parameter(rest) {
            let slot = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => Some(&mut challenge.resource_metadata),
                "scope" => Some(&mut challenge.scope),
                "error" => Some(&mut challenge.error),
                _ => None,
            };
            if let Some(slot) = slot {
                slot.get_or_insert(text);
            }
            rest = after;
        }
        challenge
    }
}

/// Reads `name=token` or `name="quoted"` and the comma after it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.trim_start_matches([' ', '\t', ',']).split_once('=')?;
    let rest = rest.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find(',').unwrap_or(rest.len());
        return Some((name.trim(), rest[..end].trim().to_owned(), &rest[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name.trim(), value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        Challenge::read(StatusCode::UNAUTHORIZED, &headers)
    }

    #[test]
    fn bearer_challenge_is_read_with_quotes_and_commas() {
        let challenge = read(&[
            "Basic realm=\"x\"",
            "Bearer realm=\"a, \\\"b\\\"\", resource_metadata=\"https://h/.well-known/x\" , scope=\"a b\",error=invalid_token",
        ]);
        assert_eq!(challenge.scheme, "Bearer");
        assert_eq!(challenge.resource_metadata.as_deref(), Some("https://h/.well-known/x"));
        assert_eq!(challenge.scope.as_deref(), Some("a b"));
        assert_eq!(challenge.error.as_deref(), Some("invalid_token"));
    }

    #[test]
    fn broken_challenges_never_panic_and_keep_what_was_readable() {
        for text in [
            "",
            "Bearer",
            "Bearer =",
            "Bearer scope=\"open",
            "Bearer a=b=c",
            "Bearer ,,,",
            "Bearer scope=\"\\",
        ] {
            let challenge = read(&[text]);
            assert_eq!(challenge.scope, None, "{text}");
        }
        assert_eq!(read(&[]).scheme, "");
    }
}
