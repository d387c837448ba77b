//! What a call does to the world, and therefore what may be done when it is in doubt.

use std::fmt;

/// Effect classes, from harmless to final. The order is that of caution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Computes, and looks at nothing but its arguments.
    Pure,
    /// Looks at the world and changes nothing.
    Read,
    /// May be done twice with the same outcome.
    Idempotent,
    /// Can be undone by the tool its contract names.
    Reversible,
    /// Cannot be taken back.
    Irreversible,
}

/// What a server says of its own tool (MCP `annotations`). The server is not trusted: this may raise caution, never
/// lower it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `destructiveHint: true`
    pub destructive: bool,
    /// `readOnlyHint: false`, said expressly
    pub writes: bool,
}

// === impl Effect ===

impl Effect {
    /// Every class, in the order of caution.
    pub const ALL: [Self; 5] =
        [Self::Pure, Self::Read, Self::Idempotent, Self::Reversible, Self::Irreversible];

    /// The word in contracts and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Reversible => "reversible",
            Self::Irreversible => "irreversible",
        }
    }

    /// The class of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.as_str() == word)
    }

    /// True when doing it again changes nothing, so that its intent need not survive a crash.
    #[must_use]
    pub const fn may_be_repeated(self) -> bool {
        matches!(self, Self::Pure | Self::Read)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The class a call is treated as. Without a word in the contract it counts as irreversible; where the server itself
/// says that its tool changes things, a declared `pure` or `read` is not believed.
#[must_use]
pub fn effective_effect(declared: Option<Effect>, hints: Hints) -> Effect {
    let declared = declared.unwrap_or(Effect::Irreversible);
    match (hints.destructive, hints.writes) {
        (true, _) => declared.max(Effect::Reversible),
        (false, true) => declared.max(Effect::Idempotent),
        (false, false) => declared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_raise_caution_and_never_lower_it() {
        let raised = |declared, hints| effective_effect(declared, hints);
        let destructive = Hints { destructive: true, writes: true };
        assert_eq!(raised(None, Hints::default()), Effect::Irreversible);
        assert_eq!(raised(Some(Effect::Read), destructive), Effect::Reversible);
        assert_eq!(raised(Some(Effect::Irreversible), Hints::default()), Effect::Irreversible);
        for declared in Effect::ALL {
            assert!(raised(Some(declared), destructive) >= declared);
        }
    }
}
