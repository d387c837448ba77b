//! A domain name as it stands in a grant, in a query, in a TLS hello, in a `Host` header.

use core::fmt;

/// Longest name, in bytes without the final dot (RFC 1035, 2.3.4: 255 on the wire).
const NAME_BYTES_MAX: usize = 253;
/// Longest label, in bytes (RFC 1035, 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A host's name: lower case, letters, digits and hyphens between dots, no final dot, never an address in disguise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Why a text is no name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameFault {
    /// Nothing, or nothing between two dots.
    Empty,
    /// More than 253 bytes, or 63 between two dots.
    Long,
    /// Letters outside ASCII.
    NotAscii,
    /// A `*` elsewhere than as the whole first label.
    Star,
    /// Other characters than letters, digits and hyphens, or a hyphen at the edge of a label.
    Character,
    /// The last label is a number, as in an address; `getaddrinfo` reads `127.1` and `0x7f000001` as addresses.
    Numeric,
    /// A dot at the end.
    FinalDot,
}

// === impl DomainName ===

impl DomainName {
    /// Reads a name strictly. Upper case is taken for lower case.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        if !text.is_ascii() {
            return Err(NameFault::NotAscii);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameFault::Long);
        }
        if text.len() > 1 && text.ends_with('.') {
            return Err(NameFault::FinalDot);
        }
        for label in text.split('.') {
            check(label)?;
        }
        if text.rsplit('.').next().is_some_and(is_numeric) {
            return Err(NameFault::Numeric);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the name has one or more labels before `apex`.
    #[must_use]
    pub fn is_below(&self, apex: &Self) -> bool {
        self.0.strip_suffix(apex.as_str()).is_some_and(|before| before.len() > 1 && before.ends_with('.'))
    }

    /// True for `localhost` and what is below it, which always mean the asking machine (RFC 6761, 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.0 == "localhost" || self.0.ends_with(".localhost")
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl NameFault ===

impl NameFault {
    /// What to write instead.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::Empty => "a name such as \"api.example.com\"",
            Self::Long => "at most 253 characters, 63 between two dots",
            Self::NotAscii => "write the name in its ASCII form (punycode), as \"xn--bcher-kva.example\"",
            Self::Star => "a `*` stands for the first labels only: \"*.example.com\"",
            Self::Character => "letters, digits and hyphens between dots; no hyphen first or last",
            Self::Numeric => "an address is four numbers from 0 to 255",
            Self::FinalDot => "leave out the last dot",
        }
    }
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty name or label",
            Self::Long => "the name is too long",
            Self::NotAscii => "the name has letters outside ASCII",
            Self::Star => "`*` in the middle of a name",
            Self::Character => "a character that no host's name has",
            Self::Numeric => "the name ends in a number",
            Self::FinalDot => "the name ends with a dot",
        })
    }
}

fn check(label: &str) -> Result<(), NameFault> {
    if label.is_empty() {
        return Err(NameFault::Empty);
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(NameFault::Long);
    }
    if label.contains('*') {
        return Err(NameFault::Star);
    }
    let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !inner || label.starts_with('-') || label.ends_with('-') {
        return Err(NameFault::Character);
    }
    Ok(())
}

/// The last label of what a URL parser or `getaddrinfo` takes for an IPv4 address.
fn is_numeric(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    let hex = lower.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || label.bytes().all(|b| b.is_ascii_digit())
}
