//! Why a vault does not do what was asked. No error holds a value, or a part of one.

use std::{io, path::PathBuf};

use crate::{
    SourceKind,
    limits::{NAME_BYTES_MAX, SECRETS_MAX, VALUE_BYTES_MAX, VAULT_BYTES_MAX},
};

/// What a vault refuses, and what stops it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// It has no secret of that name.
    #[error("the vault has no secret `{name}`{}", meant.as_ref().map_or_else(String::new, |m| format!("; is `{m}` meant?")))]
    Absent {
        /// What was asked for.
        name: String,
        /// The name that is nearest to it.
        meant: Option<String>,
    },
    /// The operating system says no.
    #[error("{doing} {}: {error}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is something else.
    #[error("{} is not a vault", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by another version.
    #[error("{} is a vault of version `{version}`, and this program reads v1", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        version: String,
    },
    /// The file is not as a vault has left it.
    #[error("{} {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In which way.
        damage: Damage,
    },
    /// The vault was sealed with another key.
    #[error("{} was sealed with another key than the one {found}; it was made with a key {made}", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// Where the key that does not fit is from.
        found: SourceKind,
        /// Where the vault says that its key is.
        made: SourceKind,
    },
    /// Others could read or write the file.
    #[error("{} {how}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        how: String,
        /// What to do about it.
        fix: String,
    },
    /// Another process writes, and does not finish.
    #[error("another process has been writing to {} for more than 10 s", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// That is no name for a secret.
    #[error("this is no name for a secret: {why}")]
    Name {
        /// Which rule it breaks.
        why: &'static str,
    },
    /// There is no value.
    #[error("the value is empty")]
    ValueEmpty,
    /// The value is too long.
    #[error("the value has {bytes} bytes, and at most {VALUE_BYTES_MAX} are kept")]
    ValueSize {
        /// Its length.
        bytes: usize,
    },
    /// The value cannot be given to a server.
    #[error("the value {why}, which no variable and no header can hold")]
    ValueText {
        /// What is in it.
        why: &'static str,
    },
    /// No more secrets go into this vault.
    #[error("the vault is full: at most {SECRETS_MAX} secrets and {VAULT_BYTES_MAX} bytes are kept")]
    Full,
    /// The key is not where it should be.
    #[error("there is no key {kind}: {why}")]
    NoKey {
        /// Where it was looked for.
        kind: SourceKind,
        /// What is there instead.
        why: String,
    },
    /// What is there is no key.
    #[error("what is {kind} ({place}) is no key: a key has 64 hexadecimal digits")]
    KeyText {
        /// Where it was looked for.
        kind: SourceKind,
        /// The exact place.
        place: String,
    },
    /// Where the key is cannot be asked.
    #[error("the key {kind} cannot be had: {why}")]
    Source {
        /// Which source.
        kind: SourceKind,
        /// Why not.
        why: String,
    },
    /// Two places are named.
    #[error("CELLA_VAULT_KEY_FILE and CELLA_VAULT_KEY_COMMAND are both set, and there is one key")]
    TwoSources,
}

/// How a file differs from what a vault has written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Its end is missing.
    #[error("is cut off: its end is missing")]
    Truncated,
    /// Bytes were changed.
    #[error("was changed: {}", entry.as_ref().map_or_else(|| "its head or its seal is not what was written".to_owned(), |e| format!("`{e}` is not what was written")))]
    Altered {
        /// The secret that it hit, where it hit one.
        entry: Option<String>,
    },
    /// What was sealed under one name lies under another.
    #[error("was changed: under `{name}` lies what was sealed as `{other}`")]
    Swapped {
        /// Where it lies.
        name: String,
        /// Where it belongs.
        other: String,
    },
    /// Each secret is genuine, but they were never in the vault together like this.
    #[error("was changed: a secret was taken out, or an earlier state of one was put back")]
    RolledBack,
}

// === impl VaultError ===

impl VaultError {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "CE2401",
            Self::File { .. } => "CE2402",
            Self::Foreign { .. } => "CE2403",
            Self::Version { .. } => "CE2404",
            Self::Damaged { damage, .. } => damage.code(),
            Self::WrongKey { .. } => "CE2409",
            Self::Exposed { .. } => "CE2410",
            Self::Busy { .. } => "CE2411",
            Self::Name { .. } => "CE2412",
            Self::ValueEmpty | Self::ValueSize { .. } | Self::ValueText { .. } => "CE2413",
            Self::Full => "CE2414",
            Self::NoKey { .. } => "CE2415",
            Self::KeyText { .. } => "CE2416",
            Self::Source { .. } => "CE2417",
            Self::TwoSources => "CE2418",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Absent { name, meant: None } => format!("put it in: cella secret set {name}"),
            Self::Absent { .. } => "see which there are: cella secret ls".into(),
            Self::File { path, error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("give yourself access to {}, or run this as the user it belongs to", path.display())
            }
            Self::File { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
                "make room on that disk; the vault is as it was".into()
            }
            Self::File { .. } => "see what the system says of it; the vault is as it was".into(),
            Self::Foreign { path } => {
                format!("see what {} is and put it elsewhere; a new vault is made at the next set", path.display())
            }
            Self::Version { .. } => "use the version of Cella that wrote it, or a newer one".into(),
            Self::Damaged { path, damage: Damage::Swapped { .. } | Damage::RolledBack } => format!(
                "somebody edited {}: find out who, change the secrets at the services they are for, then delete it and \
                 set them again",
                path.display()
            ),
            Self::Damaged { path, .. } => {
                format!("put {} back from a copy, or delete it and set the secrets again", path.display())
            }
            Self::WrongKey { made, .. } => format!("give it the key {made}, as when it was made"),
            Self::Exposed { fix, .. } => fix.clone(),
            Self::Busy { .. } => "see which process that is (fuser on the .lock file beside it), and try again".into(),
            Self::Name { .. } => format!(
                "use 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`, beginning with a letter or digit: \
                 cella secret set github-token"
            ),
            Self::ValueEmpty => "give the value on standard input: printf %s VALUE | cella secret set NAME".into(),
            Self::ValueSize { .. } => "keep what is that long in a file only you can read, and write file:PATH".into(),
            Self::ValueText { .. } => "give the value as text; encode binary data as base64 first".into(),
            Self::Full => "take out what nobody uses: cella secret ls, then cella secret rm NAME".into(),
            Self::NoKey { kind, .. } => kind.fix_absent().into(),
            Self::KeyText { .. } => {
                "put the key there that the vault was made with; a new one for a new vault: openssl rand -hex 32".into()
            }
            Self::Source { kind, .. } => kind.fix_unusable().into(),
            Self::TwoSources => "unset one of them".into(),
        }
    }
}

// === impl Damage ===

impl Damage {
    /// The stable code.
    const fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "CE2405",
            Self::Altered { .. } => "CE2406",
            Self::Swapped { .. } => "CE2407",
            Self::RolledBack => "CE2408",
        }
    }
}
