//! How much of arguments and results the ledger keeps.

/// Capture policy for payloads. Digests are always kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// Everything.
    #[default]
    Full,
    /// Digests only.
    Digest,
    /// Everything but the values of members with these names, at any depth.
    Redact(Vec<String>),
}
