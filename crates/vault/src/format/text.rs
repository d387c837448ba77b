//! The lines of a vault: read strictly, written in one way.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Content, Head, Item, bound, diagnose};
use crate::{
    Damage, Name, SourceKind, VaultError,
    key::{Key, Random},
};

/// What the first line says before the version.
const MAGIC: &str = "cella-vault ";

/// The version this program reads and writes.
const VERSION: &str = "v1";

/// What the last line says before the seal.
const SEAL: &str = "seal ";

/// Why a text is no vault, or not the one that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Foreign,
    Version(String),
    WrongKey,
    Damage(Damage),
}

/// A vault as it was read: not to be believed before [`Written::verify`].
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) content: Content,
    digest: [u8; 32],
    seal: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    source: SourceKind,
    key: String,
    vault: String,
    generation: u64,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemLine {
    name: String,
    created: u64,
    updated: u64,
    sealed: String,
}

/// Takes a text apart.
pub(crate) fn read(text: &str) -> Result<Written, Fault> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let version = match first.strip_prefix(MAGIC) {
        Some(version) => version,
        // Cut off within its first line.
        None if !text.is_empty() && MAGIC.starts_with(text) => return Err(Fault::Damage(Damage::Truncated)),
        None => return Err(Fault::Foreign),
    };
    if version != VERSION {
        let cut = rest.is_empty() && VERSION.starts_with(version);
        return Err(if cut { Fault::Damage(Damage::Truncated) } else { Fault::Version(version.to_owned()) });
    }
    let lines = rest.strip_suffix('\n').and_then(|lines| lines.rsplit_once('\n'));
    let Some((lines, seal)) = lines.and_then(|(lines, last)| Some((lines, last.strip_prefix(SEAL)?))) else {
        return Err(Fault::Damage(Damage::Truncated));
    };
    let before = text.len() - SEAL.len() - seal.len() - 1;
    let mut lines = lines.split('\n');
    let head: HeadLine = json(lines.next().unwrap_or_default())?;
    let mut items = BTreeMap::new();
    for line in lines {
        let line: ItemLine = json(line)?;
        let name = Name::parse(&line.name).map_err(|_| altered(None))?;
        let sealed = decoded(&line.sealed).map_err(|_| altered(Some(line.name.clone())))?;
        let item = Item { created: line.created, updated: line.updated, sealed };
        if items.insert(name, item).is_some() {
            return Err(altered(Some(line.name)));
        }
    }
    let wrapped = decoded(&head.wrapped)?;
    let head =
        Head { source: head.source, key: head.key, vault: head.vault, generation: head.generation, wrapped };
    let digest = Sha256::digest(&text.as_bytes()[..before]).into();
    Ok(Written { content: Content { head, items }, digest, seal: decoded(seal)? })
}

// === impl Written ===

impl Written {
    /// The content, when all of it is what the holder of the key wrote together.
    pub(crate) fn verify(self, key: &Key) -> Result<Content, Fault> {
        match key.open(&self.seal, &seal_about(&self.content)) {
            Some(digest) if digest[..] == self.digest => Ok(self.content),
            Some(_) => Err(Fault::Damage(diagnose::damage(&self.content, key))),
            None => Err(altered(None)),
        }
    }
}

// === impl Content ===

impl Content {
    /// The whole text.
    pub(crate) fn text(&self, key: &Key, random: Random<'_>) -> Result<String, VaultError> {
        let mut text = format!("{MAGIC}{VERSION}\n");
        let head = HeadLine {
            source: self.head.source,
            key: self.head.key.clone(),
            vault: self.head.vault.clone(),
            generation: self.head.generation,
            wrapped: STANDARD.encode(&self.head.wrapped),
        };
        push(&mut text, &head);
        for (name, item) in &self.items {
            let (created, updated) = (item.created, item.updated);
            let sealed = STANDARD.encode(&item.sealed);
            push(&mut text, &ItemLine { name: name.to_string(), created, updated, sealed });
        }
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let seal = key.seal(&digest, &seal_about(self), random)?;
        text.push_str(&format!("{SEAL}{}\n", STANDARD.encode(seal)));
        Ok(text)
    }
}

/// What the seal of the file is bound to.
fn seal_about(content: &Content) -> Vec<u8> {
    bound(&[b"cella-vault v1 file", content.head.vault.as_bytes()])
}

fn push(text: &mut String, line: &impl Serialize) {
    // Texts and numbers alone: there is nothing that could fail.
    text.push_str(&serde_json::to_string(line).unwrap_or_default());
    text.push('\n');
}

fn json<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Fault> {
    serde_json::from_str(line).map_err(|_| altered(None))
}

fn decoded(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text).map_err(|_| altered(None))
}

fn altered(entry: Option<String>) -> Fault {
    Fault::Damage(Damage::Altered { entry })
}
