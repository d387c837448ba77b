//! `cella-vault v1`: a text of lines, computed without I/O. Frozen: `tests/v1.vault` opens for ever.
//!
//! ```text
//! cella-vault v1
//! {"source":"file","key":"<id>","vault":"<id>","generation":2,"wrapped":"<base64>"}
//! {"name":"github","created":1790000000,"updated":1790000000,"sealed":"<base64>"}
//! seal <base64>
//! ```
//!
//! The file has a key of its own, `wrapped` with the key of the source. Each value is sealed with it under its vault, name
//! and times, so that no value opens in another's place. The last line is the sealed digest of all that stands before it, so
//! that no line can be taken out, added, or replaced by an earlier one. Everything is sealed with XChaCha20-Poly1305 and a
//! random nonce of 24 bytes, which stands before the sealed text.

mod diagnose;
mod text;

use std::collections::BTreeMap;

use crate::{
    Damage, Name, Secret, SourceKind, VaultError,
    key::{KEY_BYTES, Key, Random},
};

pub(crate) use text::{Fault, Written, read};

/// What stands in a vault's file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) head: Head,
    pub(crate) items: BTreeMap<Name, Item>,
}

/// The second line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where the key is.
    pub(crate) source: SourceKind,
    /// Which key it is.
    pub(crate) key: String,
    /// Which vault this is: drawn once, so that two vaults of one key cannot lend each other their lines.
    pub(crate) vault: String,
    /// How often it was written.
    pub(crate) generation: u64,
    /// The file's own key, sealed with the source's.
    pub(crate) wrapped: Vec<u8>,
}

/// One secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// When its name came into the vault, in seconds since 1970.
    pub(crate) created: u64,
    /// When its value was written, in seconds since 1970.
    pub(crate) updated: u64,
    pub(crate) sealed: Vec<u8>,
}

/// Length of a vault's id, in bytes.
const VAULT_ID_BYTES: usize = 16;

// === impl Content ===

impl Content {
    /// An empty vault, and the key of its file. `key` gives the source's key for the new vault's id.
    pub(crate) fn new(
        source: SourceKind,
        key: &dyn Fn(&str) -> Result<Key, VaultError>,
        random: Random<'_>,
    ) -> Result<(Self, Key), VaultError> {
        let mut id = [0; VAULT_ID_BYTES];
        random(&mut id)?;
        let vault: String = id.iter().map(|b| format!("{b:02x}")).collect();
        let outer = key(&vault)?;
        let inner = Key::fresh(random)?;
        let mut head = Head { source, key: outer.id(), vault, generation: 0, wrapped: Vec::new() };
        head.wrapped = outer.seal(inner.bytes(), &head.about(), random)?;
        Ok((Self { head, items: BTreeMap::new() }, inner))
    }

    /// The file's key, when `outer` is the key that this vault was made with.
    pub(crate) fn unwrap(&self, outer: &Key) -> Result<Key, Fault> {
        if outer.id() != self.head.key {
            return Err(Fault::WrongKey);
        }
        let inner = outer.open(&self.head.wrapped, &self.head.about());
        let bytes = inner.and_then(|b| <[u8; KEY_BYTES]>::try_from(b.as_slice()).ok());
        bytes.map(|b| Key::new(b.into())).ok_or(Fault::Damage(Damage::Altered { entry: None }))
    }

    /// Seals a value under a name.
    pub(crate) fn put(
        &mut self,
        name: Name,
        value: &Secret,
        now: u64,
        key: &Key,
        random: Random<'_>,
    ) -> Result<(), VaultError> {
        let created = self.items.get(&name).map_or(now, |item| item.created);
        let sealed = key.seal(value.expose(), &self.about(&name, created, now), random)?;
        self.items.insert(name, Item { created, updated: now, sealed });
        Ok(())
    }

    /// The value under a name that is there.
    pub(crate) fn value(&self, name: &Name, item: &Item, key: &Key) -> Option<Secret> {
        let mut value = key.open(&item.sealed, &self.about(name, item.created, item.updated))?;
        Some(Secret::from(std::mem::take(&mut *value)))
    }

    /// What a value is bound to.
    fn about(&self, name: &Name, created: u64, updated: u64) -> Vec<u8> {
        let times = [created.to_be_bytes(), updated.to_be_bytes()].concat();
        bound(&[b"cella-vault v1 value", self.head.vault.as_bytes(), name.as_str().as_bytes(), &times])
    }
}

// === impl Head ===

impl Head {
    /// What the file's key is bound to.
    fn about(&self) -> Vec<u8> {
        let source = self.source.as_str().as_bytes();
        bound(&[b"cella-vault v1 key", source, self.key.as_bytes(), self.vault.as_bytes()])
    }
}

/// Parts with their lengths, so that no two lists are the same bytes.
fn bound(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(*part);
    }
    bytes
}

#[cfg(test)]
mod tests;
