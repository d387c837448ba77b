//! What a tool call does to the world, and so what may be done about it after a crash.

use crate::read::choices;

choices! {
    /// What a call does to the world, in order of caution. It decides what happens to a call whose outcome is unknown after
    /// a crash, and whether its intent must be on disk before it is made.
    pub enum Effect {
        /// Depends on its arguments alone and changes nothing: made again.
        Pure = "pure",
        /// Changes nothing: made again.
        Read = "read",
        /// Twice is the same as once: made again with the same key.
        Idempotent = "idempotent",
        /// Can be taken back by the tool named in `undo`: undone, then made again.
        Reversible = "reversible",
        /// Cannot be taken back: the tool named in `probe` is asked whether it happened, else a human.
        Irreversible = "irreversible",
    }
}

/// What a server says of its tool (MCP `ToolAnnotations`). A server may lie, so this can raise caution and never lower it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `readOnlyHint`, if given.
    pub read_only: Option<bool>,
    /// `destructiveHint`, if given.
    pub destructive: Option<bool>,
    /// `idempotentHint`, if given.
    pub idempotent: Option<bool>,
}

/// The effect to reckon with.
///
/// Without a declaration it is [`Effect::Irreversible`], whatever the server says. A declaration stands, unless the
/// server itself contradicts it from the cautious side:
///
/// - declared `pure` or `read`, and the server says that the tool is not read-only or is destructive: irreversible;
/// - declared `idempotent`, and the server says that it is not (and not that it is read-only): irreversible.
///
/// Only what a server says explicitly counts: the specification's defaults for absent hints do not. An `undo` or
/// `idempotent` declared by the operator is compatible with "destructive".
#[must_use]
pub fn effective_effect(declared: Option<Effect>, annotations: Annotations) -> Effect {
    let Some(declared) = declared else { return Effect::Irreversible };
    let read_only = annotations.read_only == Some(true);
    let changes =
        annotations.read_only == Some(false) || (!read_only && annotations.destructive == Some(true));
    let differs_twice = !read_only && annotations.idempotent == Some(false);
    match declared {
        Effect::Pure | Effect::Read if changes => Effect::Irreversible,
        Effect::Idempotent if differs_twice => Effect::Irreversible,
        declared => declared,
    }
}

impl Effect {
    /// Whether the intent must be on disk before the call is made: all that cannot simply be made again.
    #[must_use]
    pub const fn must_survive(self) -> bool {
        !matches!(self, Self::Pure | Self::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINTS: [Option<bool>; 3] = [None, Some(false), Some(true)];

    #[test]
    fn no_hint_lowers_caution() {
        for declared in Effect::ALL.iter().copied().map(Some).chain([None]) {
            let floor = declared.unwrap_or(Effect::Irreversible);
            for read_only in HINTS {
                for destructive in HINTS {
                    for idempotent in HINTS {
                        let hints = Annotations { read_only, destructive, idempotent };
                        assert!(effective_effect(declared, hints) >= floor, "{declared:?} {hints:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_server_that_says_it_changes_things_is_believed() {
        let says = |read_only, destructive, idempotent| Annotations { read_only, destructive, idempotent };
        for (declared, hints, effect) in [
            (Effect::Read, says(Some(false), None, None), Effect::Irreversible),
            (Effect::Pure, says(None, Some(true), None), Effect::Irreversible),
            (Effect::Read, says(Some(true), Some(true), None), Effect::Read),
            (Effect::Read, says(None, None, Some(false)), Effect::Read),
            (Effect::Idempotent, says(None, Some(true), None), Effect::Idempotent),
            (Effect::Idempotent, says(None, None, Some(false)), Effect::Irreversible),
            (Effect::Idempotent, says(Some(true), None, Some(false)), Effect::Idempotent),
            (Effect::Reversible, says(Some(false), Some(true), Some(false)), Effect::Reversible),
        ] {
            assert_eq!(effective_effect(Some(declared), hints), effect, "{declared:?} {hints:?}");
        }
    }
}
