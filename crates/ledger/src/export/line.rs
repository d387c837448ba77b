//! The lines of an export, written and read.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read as _, Write},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cella_event::{Hash, Head, Salt, Seq, canonical_text};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::LINE_BYTES_MAX;
use crate::StoredPayload;

/// What an export has of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Kept { salt: Salt, bytes: Vec<u8> },
    DigestOnly { salt: Salt },
    Deleted,
}

/// One event's line.
pub(crate) struct Line<'a> {
    pub(crate) canonical: &'a [u8],
    pub(crate) hash: Hash,
    pub(crate) payloads: Vec<(String, Body)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstForm<'a> {
    #[serde(borrow)]
    cella: &'a str,
    v: u32,
    #[serde(borrow)]
    after: HeadForm<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadForm<'a> {
    hash: &'a str,
    seq: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LastForm<'a> {
    #[serde(borrow)]
    head: HeadForm<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventForm<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    hash: &'a str,
    #[serde(default)]
    payloads: BTreeMap<String, BodyForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyForm {
    salt: Option<String>,
    text: Option<String>,
    base64: Option<String>,
    deleted: Option<bool>,
}

/// Reads one line without its end; empty at the end of the file.
pub(crate) fn read_line<'b>(from: &mut impl BufRead, bytes: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    bytes.clear();
    from.take(LINE_BYTES_MAX).read_until(b'\n', bytes)?;
    Ok(bytes.strip_suffix(b"\n").unwrap_or(bytes))
}

pub(crate) fn read_first(line: &[u8]) -> Option<Head> {
    let first: FirstForm<'_> = serde_json::from_slice(line).ok()?;
    if (first.cella, first.v) == ("ledger", 1) { first.after.head() } else { None }
}

pub(crate) fn read_last(line: &[u8]) -> Option<Head> {
    // Cheaper than trying to parse every event as a head.
    if !line.starts_with(b"{\"head\"") {
        return None;
    }
    serde_json::from_slice::<LastForm<'_>>(line).ok()?.head.head()
}

pub(crate) fn read_event(line: &[u8]) -> Option<Line<'_>> {
    let form: EventForm<'_> = serde_json::from_slice(line).ok()?;
    let payloads = form.payloads.into_iter().map(|(name, body)| Some((name, body.read()?)));
    Some(Line {
        canonical: form.event.get().as_bytes(),
        hash: form.hash.parse().ok()?,
        payloads: payloads.collect::<Option<_>>()?,
    })
}

pub(crate) fn write_first(to: &mut impl Write, after: Head) -> io::Result<()> {
    writeln!(to, "{{\"cella\":\"ledger\",\"v\":1,\"after\":{}}}", head(after))
}

pub(crate) fn write_last(to: &mut impl Write, last: Head) -> io::Result<()> {
    writeln!(to, "{{\"head\":{}}}", head(last))
}

pub(crate) fn write_event(
    to: &mut impl Write,
    canonical: &[u8],
    hash: &Hash,
    payloads: &[(&str, Body)],
) -> io::Result<()> {
    to.write_all(b"{\"event\":")?;
    to.write_all(canonical)?;
    write!(to, ",\"hash\":\"{hash}\"")?;
    for (i, (name, body)) in payloads.iter().enumerate() {
        to.write_all(if i == 0 { b",\"payloads\":{" } else { b"," })?;
        write!(to, "\"{name}\":")?;
        body.write(to)?;
    }
    to.write_all(if payloads.is_empty() { b"}\n" } else { b"}}\n" })
}

fn head(head: Head) -> String {
    format!("{{\"hash\":\"{}\",\"seq\":{}}}", head.hash, head.seq)
}

// === impl HeadForm ===

impl HeadForm<'_> {
    fn head(&self) -> Option<Head> {
        Some(Head { seq: Seq(self.seq), hash: self.hash.parse().ok()? })
    }
}

// === impl BodyForm ===

impl BodyForm {
    fn read(self) -> Option<Body> {
        let salt = self.salt.map(|hex| read_salt(&hex));
        match (salt, self.text, self.base64, self.deleted) {
            (Some(salt), Some(text), None, None) => {
                Some(Body::Kept { salt: salt?, bytes: text.into_bytes() })
            }
            (Some(salt), None, Some(base64), None) => {
                Some(Body::Kept { salt: salt?, bytes: BASE64_STANDARD.decode(base64).ok()? })
            }
            (Some(salt), None, None, None) => Some(Body::DigestOnly { salt: salt? }),
            (None, None, None, Some(true)) => Some(Body::Deleted),
            _ => None,
        }
    }
}

fn read_salt(hex: &str) -> Option<Salt> {
    // A hash is read by the same digits; a salt is half as long.
    let hash = Hash::from_hex(format!("{hex}{}", "0".repeat(32)).as_bytes()).ok()?;
    hash.as_bytes().first_chunk().copied()
}

// === impl Body ===

impl Body {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (salt, bytes) = match self {
            Self::Deleted => return to.write_all(b"{\"deleted\":true}"),
            Self::DigestOnly { salt } => (salt, None),
            Self::Kept { salt, bytes } => (salt, Some(bytes)),
        };
        to.write_all(b"{\"salt\":\"")?;
        for byte in salt {
            write!(to, "{byte:02x}")?;
        }
        to.write_all(b"\"")?;
        match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
            None => {}
            Some((Ok(text), _)) => {
                let mut quoted = Vec::with_capacity(text.len() + 2);
                canonical_text(&mut quoted, text);
                to.write_all(b",\"text\":")?;
                to.write_all(&quoted)?;
            }
            Some((Err(_), bytes)) => write!(to, ",\"base64\":\"{}\"", BASE64_STANDARD.encode(bytes))?,
        }
        to.write_all(b"}")
    }
}

impl From<StoredPayload> for Body {
    fn from(stored: StoredPayload) -> Self {
        match stored {
            StoredPayload::Kept { salt, bytes } => Self::Kept { salt, bytes },
            StoredPayload::DigestOnly { salt } => Self::DigestOnly { salt },
            StoredPayload::Deleted => Self::Deleted,
        }
    }
}
