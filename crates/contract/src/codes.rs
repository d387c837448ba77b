//! Codes that more than one place raises; each has a page in `docs/errors`.

/// A value of the wrong kind.
pub(crate) const WRONG_VALUE: &str = "CE1004";
/// Keys that exclude each other.
pub(crate) const CONTRADICTION: &str = "CE1006";
/// An entry of `egress` is none.
pub(crate) const EGRESS: &str = "CE1021";
/// The text is no TOML.
pub(crate) const NOT_TOML: &str = "CE1001";
