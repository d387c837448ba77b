//! The numbers of everything this crate can complain about, each written once; `docs/errors` has a page for each.

use std::fmt;

/// The number of an error, for example `CE1002`. It never changes its meaning; `cella help CE1002` prints its page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(&'static str);

impl Code {
    /// Not TOML.
    pub const SYNTAX: Self = Self("CE1001");
    /// A key that nothing reads.
    pub const UNKNOWN_KEY: Self = Self("CE1002");
    /// A value of another type.
    pub const WRONG_TYPE: Self = Self("CE1003");
    /// The same key twice.
    pub const DUPLICATE_KEY: Self = Self("CE1004");
    /// A key that must be there is not.
    pub const MISSING_KEY: Self = Self("CE1005");
    /// Keys that exclude each other.
    pub const CONFLICT: Self = Self("CE1006");
    /// A word that is not one of the choices.
    pub const UNKNOWN_WORD: Self = Self("CE1007");
    /// A duration, size, share, rate or count that is malformed or out of range.
    pub const BAD_QUANTITY: Self = Self("CE1008");
    /// A name with other characters, too long, or reserved.
    pub const BAD_NAME: Self = Self("CE1009");
    /// A path that is not usable here.
    pub const BAD_PATH: Self = Self("CE1010");
    /// An egress entry that is not `host:port`.
    pub const BAD_EGRESS: Self = Self("CE1011");
    /// A malformed reference to a secret.
    pub const BAD_SECRET: Self = Self("CE1012");
    /// Understood, but this version cannot do it.
    pub const NOT_YET: Self = Self("CE1013");
    /// A URL, address, pattern, lock or origin of another form.
    pub const BAD_FORM: Self = Self("CE1014");
    /// A reference to something that is not there.
    pub const DANGLING: Self = Self("CE1015");
    /// A malformed `${...}`.
    pub const BAD_VARIABLE: Self = Self("CE1016");
    /// A variable without value.
    pub const UNSET_VARIABLE: Self = Self("CE1017");
    /// A file past its size.
    pub const TOO_LARGE: Self = Self("CE1018");
    /// Terms of one contract that contradict each other.
    pub const CONTRADICTION: Self = Self("CE1019");
    /// Two things that would be one.
    pub const COLLISION: Self = Self("CE1020");
    /// A format version this program does not know.
    pub const VERSION: Self = Self("CE1021");
    /// Warning: a literal that looks like a secret.
    pub const LITERAL_SECRET: Self = Self("CE1030");
    /// Warning: a plain variable that holds a secret by its name.
    pub const PLAIN_VARIABLE: Self = Self("CE1031");
    /// Warning: a setting that has no effect where it stands.
    pub const NO_EFFECT: Self = Self("CE1032");
    /// Refusal: the contract does not allow the tool.
    pub const TOOL_REFUSED: Self = Self("CE1080");
    /// Refusal: not in this phase.
    pub const PHASE_REFUSED: Self = Self("CE1081");
    /// Refusal: the arguments are too large.
    pub const ARGUMENTS_REFUSED: Self = Self("CE1082");
    /// Refusal: too often.
    pub const RATE_REFUSED: Self = Self("CE1083");

    /// The text, for example `CE1002`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
