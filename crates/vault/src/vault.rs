//! The vault: read and checked as a whole, changed under a lock, exchanged in one step.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    Damage, KeySource, Name, Secret, SourceKind, VaultError,
    file::{self, Lock},
    format::{self, Content, Fault},
    key::{Key, system_random},
    limits::{SECRETS_MAX, VALUE_BYTES_MAX, VAULT_BYTES_MAX},
};

/// What can be known of a secret without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is called.
    pub name: Name,
    /// When the name came into the vault, in seconds since 1970.
    pub created: u64,
    /// When the value was last written, in seconds since 1970.
    pub updated: u64,
}

/// The secrets of one node, as they were when the file was read. Values stay sealed until they are asked for.
#[derive(Debug)]
pub struct Vault {
    path: PathBuf,
    source: KeySource,
    opened: Option<Opened>,
}

/// A file that was read, checked, and can be opened.
#[derive(Debug)]
struct Opened {
    content: Content,
    key: Key,
}

// === impl Vault ===

impl Vault {
    /// Reads the vault in that file. Where there is no file the vault is empty, no key is asked for, and the file is made
    /// by the first [`Vault::set`].
    ///
    /// # Errors
    /// The file or the key cannot be read, does not fit, or the file was changed by somebody else.
    pub fn open(path: impl Into<PathBuf>, source: KeySource) -> Result<Self, VaultError> {
        let path = path.into();
        let opened = Opened::read(&path, &source)?;
        Ok(Self { path, source, opened })
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// `CE2401`: there is none of that name.
    pub fn get(&self, name: &Name) -> Result<Secret, VaultError> {
        let item = self.opened.as_ref().and_then(|o| Some((o, o.content.items.get(name)?)));
        let (opened, item) = item.ok_or_else(|| self.absent(name))?;
        opened.content.value(name, item, &opened.key).ok_or_else(|| VaultError::Damaged {
            path: self.path.clone(),
            damage: Damage::Altered { entry: Some(name.to_string()) },
        })
    }

    /// Puts a value in, in the place of the one that is there. True when there was one.
    ///
    /// # Errors
    /// As [`Vault::set_all`].
    pub fn set(&mut self, name: &Name, value: &Secret) -> Result<bool, VaultError> {
        self.set_all(&[(name, value)]).map(|replaced| replaced > 0)
    }

    /// Puts all of these in, or none of them. Says how many took the place of another value.
    ///
    /// # Errors
    /// A value is empty, too long or no text; the vault is full; the file or the key cannot be read or made; another
    /// process does not let go of the lock. The file is then as it was.
    pub fn set_all(&mut self, values: &[(&Name, &Secret)]) -> Result<usize, VaultError> {
        for (_, value) in values {
            check(value)?;
        }
        self.change(|content, key| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
            let mut replaced = 0;
            for (name, value) in values {
                replaced += usize::from(content.items.contains_key(*name));
                content.put((*name).clone(), value, now, key, &mut system_random)?;
            }
            if content.items.len() > SECRETS_MAX {
                return Err(VaultError::Full);
            }
            Ok(replaced)
        })
    }

    /// Takes secrets out, all or none.
    ///
    /// # Errors
    /// `CE2401`: one of them is not there. And as [`Vault::set_all`].
    pub fn remove(&mut self, names: &[&Name]) -> Result<(), VaultError> {
        if let Some(missing) = names.iter().find(|name| !self.contains(name)) {
            return Err(self.absent(missing));
        }
        self.change(|content, _| {
            // Another process may have been quicker; what was wanted is so.
            content.items.retain(|name, _| !names.contains(&name));
            Ok(())
        })
    }

    /// Every secret, by name, without its value.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let items = self.opened.iter().flat_map(|o| &o.content.items);
        items
            .map(|(name, item)| Entry { name: name.clone(), created: item.created, updated: item.updated })
            .collect()
    }

    /// True when there is a secret of that name.
    #[must_use]
    pub fn contains(&self, name: &Name) -> bool {
        self.opened.as_ref().is_some_and(|o| o.content.items.contains_key(name))
    }

    /// True once the file exists.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.opened.is_some()
    }

    /// Where the key is.
    #[must_use]
    pub const fn source(&self) -> &KeySource {
        &self.source
    }

    /// Reads the file again, so that nothing another process wrote is lost, and writes it with the change.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&mut Content, &Key) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let _lock = Lock::take(&self.path)?;
        let mut opened = match Opened::read(&self.path, &self.source)? {
            Some(opened) => opened,
            None => Opened::new(&self.source)?,
        };
        let done = work(&mut opened.content, &opened.key)?;
        opened.content.head.generation = opened.content.head.generation.saturating_add(1);
        let text = opened.content.text(&opened.key, &mut system_random)?;
        if text.len() > VAULT_BYTES_MAX {
            return Err(VaultError::Full);
        }
        file::replace(&self.path, text.as_bytes())?;
        self.opened = Some(opened);
        Ok(done)
    }

    fn absent(&self, name: &Name) -> VaultError {
        let names = self.list().into_iter().map(|entry| entry.name.to_string());
        let near =
            names.map(|n| (strsim::jaro_winkler(&n, name.as_str()), n)).filter(|(score, _)| *score > 0.85);
        let meant = near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name);
        VaultError::Absent { name: name.to_string(), meant }
    }
}

// === impl Opened ===

impl Opened {
    fn new(source: &KeySource) -> Result<Self, VaultError> {
        let (content, key) = Content::new(source.kind(), &|vault| source.make(vault), &mut system_random)?;
        Ok(Self { content, key })
    }

    fn read(path: &Path, source: &KeySource) -> Result<Option<Self>, VaultError> {
        let Some(written) = written(path)? else { return Ok(None) };
        let made = written.content.head.source;
        let fault = |fault| fault_of(path, fault, source.kind(), made);
        let outer = source.read(&written.content.head.vault)?;
        let key = written.content.unwrap(&outer).map_err(fault)?;
        let content = written.verify(&key).map_err(fault)?;
        Ok(Some(Self { content, key }))
    }
}

/// The names in a vault, without its key and so without a check: for completion on a command line, and to see whether a
/// configuration names what is not there. Empty where nothing can be read.
#[must_use]
pub fn names(path: &Path) -> Vec<Name> {
    let written = written(path).ok().flatten();
    written.map(|w| w.content.items.into_keys().collect()).unwrap_or_default()
}

/// Where a vault says that its key is; nothing where there is no vault.
pub(crate) fn source_of(path: &Path) -> Result<Option<SourceKind>, VaultError> {
    Ok(written(path)?.map(|written| written.content.head.source))
}

fn written(path: &Path) -> Result<Option<format::Written>, VaultError> {
    let Some(bytes) = file::read(path)? else { return Ok(None) };
    // Bytes that are no text are read as far as that goes, to tell a damaged vault from another file.
    let text = String::from_utf8_lossy(&bytes);
    let read = format::read(&text);
    // Only for texts that were read: their kinds of source are in them.
    read.map(Some).map_err(|fault| fault_of(path, fault, SourceKind::File, SourceKind::File))
}

fn fault_of(path: &Path, fault: Fault, found: SourceKind, made: SourceKind) -> VaultError {
    let path = path.to_owned();
    match fault {
        Fault::Foreign => VaultError::Foreign { path },
        Fault::Version(version) => VaultError::Version { path, version },
        Fault::WrongKey => VaultError::WrongKey { path, found, made },
        Fault::Damage(damage) => VaultError::Damaged { path, damage },
    }
}

fn check(value: &Secret) -> Result<(), VaultError> {
    let bytes = value.expose();
    match bytes.len() {
        0 => return Err(VaultError::ValueEmpty),
        1..=VALUE_BYTES_MAX => {}
        bytes => return Err(VaultError::ValueSize { bytes }),
    }
    let why = if bytes.contains(&0) {
        "has a byte 0 in it"
    } else if value.expose_text().is_none() {
        "is no UTF-8 text"
    } else {
        return Ok(());
    };
    Err(VaultError::ValueText { why })
}

#[cfg(test)]
mod tests;
