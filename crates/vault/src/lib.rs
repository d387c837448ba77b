//! Which secrets does this node have, and how do they lie on the disk? A vault is one file, sealed with a key that lies
//! elsewhere: with the operating system's keyring, in a systemd credential, with a program such as `age`, or in a file of
//! its own.
//!
//! Refuses to do: deciding who may have a secret (the contract's), putting one into a request (the egress broker's),
//! printing one (nobody's: [`Secret`] has no way to be shown or serialised).
//!
//! What the file protects and what not: whoever has the file without the key learns names, times and lengths, and can
//! change nothing unnoticed. Whoever can put a whole earlier state of the file in its place is not noticed, because
//! nothing outside the file knows which state was the last.

mod error;
mod file;
mod format;
mod key;
mod limits;
mod name;
mod secret;
mod source;
mod vault;

pub use error::{Damage, VaultError};
pub use limits::{NAME_BYTES_MAX, SECRETS_MAX, VALUE_BYTES_MAX, VAULT_BYTES_MAX};
pub use name::Name;
pub use secret::Secret;
pub use source::{KEY_COMMAND, KEY_FILE, KeySource, SourceKind};
pub use vault::{Entry, Vault, names};
