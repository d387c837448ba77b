//! What a vault takes. Each limit stops one thing and has its own refusal.

use std::time::Duration;

/// Longest value, in bytes: a private key with its chain of certificates, and half of what an environment variable holds.
/// Stops a file that was named by mistake. Past it: `CE2413`.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// Longest name, in bytes. Stops a value that was typed where the name belongs from becoming a name that is shown; few
/// tokens are shorter. Past it: `CE2412`.
pub const NAME_BYTES_MAX: usize = 64;

/// Most secrets in one vault. Stops an import of the wrong file. Past it: `CE2414`.
pub const SECRETS_MAX: usize = 512;

/// Largest file, in bytes. Stops a file that is none of ours from being read into memory. Past it: `CE2414` for who
/// writes, `CE2403` for who reads.
pub const VAULT_BYTES_MAX: usize = 16 << 20;

/// Longest wait for another writer. A writer is done within milliseconds; stops one that hangs from holding all others.
/// Past it: `CE2411`.
pub(crate) const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// Longest a program may take to print the key, for one that asks for a touch or a passphrase. Past it: `CE2417`.
pub(crate) const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);

/// Most that is read of a key, in bytes: 64 digits and what stands around them. Stops a key file that is a device.
pub(crate) const KEY_TEXT_BYTES_MAX: u64 = 4 << 10;
