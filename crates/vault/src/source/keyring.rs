//! The key in the keyring of the desktop: GNOME Keyring, KWallet, KeePassXC, by the Secret Service over D-Bus.

#[cfg(feature = "keyring")]
mod service;

#[cfg(feature = "keyring")]
pub(super) use service::{make, read, usable};

#[cfg(not(feature = "keyring"))]
pub(super) use absent::{make, read, usable};

/// A build without the feature: says so.
#[cfg(not(feature = "keyring"))]
mod absent {
    use crate::{SourceKind, VaultError, key::Key};

    const WHY: &str = "this program was built without the feature `keyring`";

    /// Why no new vault can have its key there.
    pub(in crate::source) fn usable() -> Result<(), String> {
        Err(WHY.to_owned())
    }

    pub(in crate::source) fn read(_vault: &str) -> Result<Key, VaultError> {
        Err(VaultError::Source { kind: SourceKind::Keyring, why: WHY.into() })
    }

    pub(in crate::source) fn make(vault: &str) -> Result<Key, VaultError> {
        read(vault)
    }
}
