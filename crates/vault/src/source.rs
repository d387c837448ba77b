//! Where the key of a vault is. Each source is a file here with the same two functions: `read` gives the key that is there,
//! `make` gives it too, and makes one where there is none and this source can keep one.

mod command;
mod credential;
mod file;
mod keyring;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{VaultError, key::Key, vault};

/// The variable that names a key file.
pub const KEY_FILE: &str = "CELLA_VAULT_KEY_FILE";

/// The variable that names a program and its arguments, which prints the key.
pub const KEY_COMMAND: &str = "CELLA_VAULT_KEY_COMMAND";

/// Set by systemd for a unit with `LoadCredential=` or `LoadCredentialEncrypted=`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The name of the credential.
const CREDENTIAL: &str = "cella-vault-key";

/// What keeps the key, as the head of a vault says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SourceKind {
    /// A systemd credential.
    Credential,
    /// The keyring of the desktop (Secret Service).
    Keyring,
    /// A program that prints it.
    Command,
    /// A file that only its owner can read.
    File,
}

/// Where to get the key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// The file of a systemd credential.
    Credential(PathBuf),
    /// The keyring of the desktop.
    Keyring,
    /// A program and its arguments, parted by blanks.
    Command(String),
    /// A key file.
    File {
        /// Where it is.
        path: PathBuf,
        /// True when the user named it; else it is the one beside the vault.
        named: bool,
        /// Why the keyring was not taken, where it was passed over for this.
        instead: Option<String>,
    },
}

// === impl KeySource ===

impl KeySource {
    /// The source for the vault in that file. `var` looks up the environment.
    ///
    /// What the user names comes first; then what the vault was made with; for a new vault a systemd credential, where the
    /// unit has one, then the keyring, where there is one, then a key file beside the vault, which works everywhere.
    ///
    /// The vault's file can name a kind of source and no more: no place, and no program.
    ///
    /// # Errors
    /// `CE2418`: two are named. `CE2402` and others: the vault cannot be read.
    pub fn find(vault: &Path, var: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, VaultError> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        // Empty where no unit gave one.
        let credential = set(CREDENTIALS).map(|dir| PathBuf::from(dir).join(CREDENTIAL)).unwrap_or_default();
        let beside = |instead| Self::File { path: crate::file::beside(vault, "key"), named: false, instead };
        match (set(KEY_FILE), set(KEY_COMMAND)) {
            (Some(_), Some(_)) => return Err(VaultError::TwoSources),
            (Some(path), None) => {
                return Ok(Self::File { path: path.into(), named: true, instead: None });
            }
            (None, Some(line)) => return Ok(Self::Command(line.to_string_lossy().into_owned())),
            (None, None) => {}
        }
        let given = credential.exists();
        Ok(match vault::source_of(vault)? {
            // The key may have moved to safer places since; it is the same key.
            Some(SourceKind::File) if given && !crate::file::beside(vault, "key").exists() => {
                Self::Credential(credential)
            }
            Some(SourceKind::Credential) => Self::Credential(credential),
            Some(SourceKind::Keyring) => Self::Keyring,
            Some(SourceKind::Command) => Self::Command(String::new()),
            Some(SourceKind::File) => beside(None),
            None if given => Self::Credential(credential),
            None => match keyring::usable() {
                Ok(()) => Self::Keyring,
                Err(why) => beside(Some(why)),
            },
        })
    }

    /// What kind it is.
    #[must_use]
    pub const fn kind(&self) -> SourceKind {
        match self {
            Self::Credential(_) => SourceKind::Credential,
            Self::Keyring => SourceKind::Keyring,
            Self::Command(_) => SourceKind::Command,
            Self::File { .. } => SourceKind::File,
        }
    }

    /// What this protects against, and what not, in one sentence for the user.
    #[must_use]
    pub fn protects(&self) -> String {
        match self {
            Self::Credential(_) => "the key comes from systemd: a copy of this directory opens nothing, \
                and whoever can act as this service can read the secrets"
                .into(),
            Self::Keyring => {
                "the key is in your keyring: a copy of the disk opens nothing while you are logged out, and \
                your own programs can ask for it while you are logged in"
                    .into()
            }
            Self::Command(_) => {
                "the key comes from your program: how well it is kept is that program's matter".into()
            }
            Self::File { path, instead, .. } => {
                let why =
                    instead.as_ref().map_or_else(String::new, |why| format!(" (not in a keyring: {why})"));
                format!(
                    "the key is in {}{why}. That keeps the secrets out of backups, repositories and screens that \
                     show the vault alone, and from other users; it does not keep them from whoever can read \
                     both files, as you and root can",
                    path.display()
                )
            }
        }
    }

    /// The key that is there, for the vault of that id.
    pub(crate) fn read(&self, vault: &str) -> Result<Key, VaultError> {
        match self {
            Self::Credential(path) => credential::read(path),
            Self::Keyring => keyring::read(vault),
            Self::Command(line) => command::read(line),
            Self::File { path, named, .. } => file::read(path, *named),
        }
    }

    /// The key for a new vault of that id.
    pub(crate) fn make(&self, vault: &str) -> Result<Key, VaultError> {
        match self {
            // Made by who runs the service, or by the program's keeper.
            Self::Credential(_) | Self::Command(_) => self.read(vault),
            Self::Keyring => keyring::make(vault),
            Self::File { path, named, .. } => file::make(path, *named),
        }
    }
}

// === impl SourceKind ===

impl SourceKind {
    /// The word in the vault's head.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Keyring => "keyring",
            Self::Command => "command",
            Self::File => "file",
        }
    }

    /// What to do when no key is there.
    pub(crate) const fn fix_absent(self) -> &'static str {
        match self {
            Self::Credential => {
                "run this in the unit that has the credential: LoadCredentialEncrypted=cella-vault-key:FILE, see \
                 docs/guide/secrets.md"
            }
            Self::Keyring => {
                "log in to the session whose keyring has it; if it was deleted, delete the vault too and set the secrets \
                 again"
            }
            Self::Command => "set CELLA_VAULT_KEY_COMMAND as when the vault was made",
            Self::File => {
                "put the key file back, or name it with CELLA_VAULT_KEY_FILE; without it the vault cannot be opened: \
                 delete it and set the secrets again"
            }
        }
    }

    /// What to do when it cannot be asked.
    pub(crate) const fn fix_unusable(self) -> &'static str {
        match self {
            Self::Keyring => {
                "log in to a desktop session and unlock its keyring, or keep the key in a file: set \
                 CELLA_VAULT_KEY_FILE before the vault is made"
            }
            Self::Command => {
                "run the program by hand and see: it must print 64 hexadecimal digits and end with 0"
            }
            Self::Credential | Self::File => "make the key readable for the user this runs as",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credential => "in a systemd credential",
            Self::Keyring => "in the keyring",
            Self::Command => "from the program in CELLA_VAULT_KEY_COMMAND",
            Self::File => "in a key file",
        })
    }
}

#[cfg(test)]
mod tests;
