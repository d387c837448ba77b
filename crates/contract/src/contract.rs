//! A contract: sealed terms with a name that holds for ever, and how they are read from a file.

mod canonical;
mod check;
mod file;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    Checked, FileGrant, Mistakes, Place, Preset, Terms,
    read::{Read as _, Reader},
    toml_text,
};

pub(crate) use check::version as check_version;
pub(crate) use file::ContractTable;

/// The version of the contract format that this crate writes and reads.
pub const CONTRACT_VERSION: u32 = 1;

/// Sealed terms. What a call ran under is named by the digest, which is in every event about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    terms: Terms,
    digest: ContractDigest,
}

/// SHA-256 over the canonical form of a contract (`spec/contract-v1.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractDigest([u8; 32]);

// === impl Contract ===

impl Contract {
    /// Seals terms.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let digest = ContractDigest(Sha256::digest(canonical::form(&terms)).into());
        Self { terms, digest }
    }

    /// A preset and nothing else.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        Self::new(Terms::of(preset))
    }

    /// Reads a contract file.
    ///
    /// # Errors
    /// [`Mistakes`]: everything that is wrong with it.
    pub fn parse(text: &str, place: &Place) -> Result<Checked<Self>, Mistakes> {
        let mut reader = Reader::new(text, place, ContractTable::schema);
        let table: Option<ContractTable> = toml_text::read(text, &mut reader);
        let terms = table.map(|table| check::terms(table, &mut reader));
        let warnings = Mistakes::among(reader.finish())?;
        // Without an error there is a table.
        Ok(Checked { value: Self::new(terms.unwrap_or_else(|| Terms::of(Preset::Untrusted))), warnings })
    }

    /// What it says.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The terms again, to change them and seal anew.
    #[must_use]
    pub fn into_terms(self) -> Terms {
        self.terms
    }

    /// Its name.
    #[must_use]
    pub const fn digest(&self) -> ContractDigest {
        self.digest
    }

    /// The JSON that is digested.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        canonical::form(&self.terms)
    }

    /// Everything that the cell of a program is shown beyond the program's own files: what the contract names, and what
    /// the preset derives from the command line. The caller leaves out derived paths that do not exist.
    #[must_use]
    pub fn grants(&self, args: &[String], cwd: Option<&Path>) -> Vec<FileGrant> {
        let mut grants = self.terms.files.clone();
        let Some(mode) = self.terms.preset.named_files() else { return grants };
        for path in named_paths(args, cwd) {
            if crate::grantable(&path) && !grants.iter().any(|g| g.path == path) {
                grants.push(FileGrant { path, mode, origin: None });
            }
        }
        grants
    }
}

/// Paths that a command line names: the working directory, absolute arguments, and those of the forms `./x`, `../x` and
/// `--option=/x`. Only the text is looked at.
fn named_paths(args: &[String], cwd: Option<&Path>) -> Vec<PathBuf> {
    let values = args.iter().map(|arg| match arg.split_once('=') {
        Some((option, value)) if option.starts_with('-') => value,
        _ => arg.as_str(),
    });
    let named = values.filter_map(|value| {
        let absolute = value.starts_with('/');
        let relative = value.starts_with("./") || value.starts_with("../") || value == "." || value == "..";
        match (absolute, relative, cwd) {
            (true, ..) => lexical(Path::new(value)),
            (_, true, Some(cwd)) => lexical(&cwd.join(value)),
            _ => None,
        }
    });
    cwd.and_then(lexical).into_iter().chain(named).collect()
}

/// Removes `.` and `..`; `None` when it climbs above the root.
fn lexical(path: &Path) -> Option<PathBuf> {
    let place = Place { file: "".into(), dir: PathBuf::from("/"), home: None };
    place.resolve(path.to_str()?).ok()
}

// === impl ContractDigest ===

impl ContractDigest {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContractDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContractDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
