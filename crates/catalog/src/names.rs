//! Under which name does a client see a tool or prompt of a server?
//!
//! The name is a pure function of the server's configured name and the item's own name. Nothing else goes in: not the
//! other servers, not the order of the configuration, not what the server says of itself. So a name never changes when
//! a server is added or removed (the opposite, conditional prefixing, has silently renamed every tool of running agents
//! elsewhere), and allow-lists, pins and recorded runs may refer to names for good. See `docs/adr/0003-names.md`.
//!
//! Plain form: `server__name`. It is reversible without a table because a plain server part neither contains `__` nor
//! ends in `_`. Short form, for all that is too long or has characters which model APIs refuse:
//! `server__name_xHASH` with both parts clipped and cleaned. No plain name looks like a short one, so the two forms
//! cannot meet; two short forms meet only when 40 bits of SHA-256 do, and then both are refused (see [`NameTable`]).

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// Longest name Cella gives, in bytes. Model APIs refuse names over 64, and clients put their own prefix before ours:
/// `mcp__cella__` (12) by Claude Code. 50 leaves 14 for it. A longer name gets the short form.
pub const EXPOSED_MAX: usize = 50;
/// Longest name that model APIs accept, in bytes: the ceiling for names that a view chooses itself.
pub const NAME_MAX: usize = 64;
/// Between server and item.
pub const SEPARATOR: &str = "__";

const HASH_MARK: &str = "_x";
const HASH_LEN: usize = 8;
const SHORT_SERVER_MIN: usize = 16;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Server and own name.
pub type Owned = (Box<str>, Box<str>);

/// Two items that would get the same name. Neither is offered: which one a call would reach must not hang on an order.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Collision {
    /// The name both would have.
    pub exposed: Box<str>,
    /// Server and own name of each side, sorted.
    pub sides: Vec<Owned>,
}

/// Names of one list in both directions.
#[derive(Clone, Debug, Default)]
pub struct NameTable {
    owners: HashMap<Box<str>, Owned>,
}

// === impl NameTable ===

impl NameTable {
    /// Builds the table from `(exposed, server, own name)`; the outcome does not depend on the order of the entries.
    ///
    /// The same item twice (a server that repeats itself) is one entry, not a collision.
    #[must_use]
    pub fn build<'a>(
        entries: impl IntoIterator<Item = (Box<str>, &'a str, &'a str)>,
    ) -> (Self, Vec<Collision>) {
        let mut claims: HashMap<Box<str>, Vec<Owned>> = HashMap::new();
        for (exposed, server, own) in entries {
            let sides = claims.entry(exposed).or_default();
            if !sides.iter().any(|(s, o)| &**s == server && &**o == own) {
                sides.push((server.into(), own.into()));
            }
        }
        let mut owners = HashMap::with_capacity(claims.len());
        let mut collisions = Vec::new();
        for (exposed, mut sides) in claims {
            match (sides.len(), sides.pop()) {
                (1, Some(only)) => {
                    owners.insert(exposed, only);
                }
                (_, last) => {
                    sides.extend(last);
                    sides.sort();
                    collisions.push(Collision { exposed, sides });
                }
            }
        }
        collisions.sort_by(|a, b| a.exposed.cmp(&b.exposed));
        (Self { owners }, collisions)
    }

    /// Server and own name behind an exposed name.
    #[must_use]
    pub fn owner(&self, exposed: &str) -> Option<(&str, &str)> {
        self.owners.get(exposed).map(|(server, own)| (&**server, &**own))
    }

    /// All exposed names, in no order.
    pub fn exposed(&self) -> impl Iterator<Item = &str> {
        self.owners.keys().map(|name| &**name)
    }
}

// === free functions ===

/// The name under which clients see `name` of `server`: at most [`EXPOSED_MAX`] bytes of `[A-Za-z0-9_-]`.
#[must_use]
pub fn exposed(server: &str, name: &str) -> Box<str> {
    if is_plain(server, name) {
        format!("{server}{SEPARATOR}{name}").into()
    } else {
        short(server, name).into()
    }
}

/// Server and own name of a plain exposed name. `None` for a short one: that takes a [`NameTable`].
#[must_use]
pub fn split_plain(exposed: &str) -> Option<(&str, &str)> {
    let (server, name) = exposed.split_once(SEPARATOR)?;
    is_plain(server, name).then_some((server, name))
}

/// True for a name that every client and model API accepts: 1 to [`NAME_MAX`] bytes of `[A-Za-z0-9_-]`.
#[must_use]
pub fn is_acceptable(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_name_byte)
}

/// The configured name, or a cleaned one with a hash, so that it may stand in a URI scheme (RFC 3986 section 3.1:
/// letters, digits, `+`, `-`, `.`; compared without case, and clients do lower it).
pub(crate) fn scheme_part(server: &str) -> Box<str> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let looks_short = server.rsplit_once("-x").is_some_and(|(_, tail)| is_hash(tail));
    if !server.is_empty() && server.bytes().all(fits) && !looks_short {
        return server.into();
    }
    let clean: String = server
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(SHORT_SERVER_MIN)
        .collect();
    format!("{clean}-x{}", hash(&[server])).into()
}

fn is_plain(server: &str, name: &str) -> bool {
    !server.is_empty()
        && !name.is_empty()
        && server.len() + SEPARATOR.len() + name.len() <= EXPOSED_MAX
        && server.bytes().chain(name.bytes()).all(is_name_byte)
        && !server.contains(SEPARATOR)
        && !server.ends_with('_')
        && !looks_short(name)
}

fn short(server: &str, name: &str) -> String {
    let room = EXPOSED_MAX - SEPARATOR.len() - HASH_MARK.len() - HASH_LEN;
    let (server_clean, name_clean) = (clean(server), clean(name));
    let server_room = SHORT_SERVER_MIN.max(room.saturating_sub(name_clean.len()));
    let server_part = clip(&server_clean, server_room).trim_end_matches('_');
    let name_part = clip(&name_clean, room - server_part.len()).trim_end_matches('_');
    format!("{server_part}{SEPARATOR}{name_part}{HASH_MARK}{}", hash(&[server, name]))
}

/// Replaces what is not allowed and folds runs of `_`, so that a reader still sees where the server part ends.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_ascii() && is_name_byte(c as u8) { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out
}

fn clip(ascii: &str, max: usize) -> &str {
    &ascii[..ascii.len().min(max)]
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

fn looks_short(name: &str) -> bool {
    name.rsplit_once(HASH_MARK).is_some_and(|(_, tail)| is_hash(tail))
}

fn is_hash(tail: &str) -> bool {
    tail.len() == HASH_LEN && tail.bytes().all(|b| BASE32.contains(&b))
}

/// 40 bits of SHA-256 over the parts, each preceded by its length so that no two lists of parts read the same.
fn hash(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    let digest = sha.finalize();
    let bits = digest[..5].iter().fold(0u64, |acc, byte| acc << 8 | u64::from(*byte));
    (0..HASH_LEN).rev().map(|i| char::from(BASE32[(bits >> (5 * i) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests;
