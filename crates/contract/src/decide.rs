//! May this call be made? The answer is a value: without a [`Permit`] the next step cannot be written.

use std::fmt;

use crate::{Contract, Effect, Hints, ToolTerms, effective_effect};

/// A call about which to decide.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The tool, by the server's own name; `None` for what is no tool (resources, prompts, completion).
    pub tool: Option<&'a str>,
    /// What the server says of it.
    pub hints: Hints,
    /// The phase of a plan, where there is one.
    pub phase: Option<&'a str>,
}

/// Leave to make one call. Only [`decide`] makes it.
#[derive(Debug)]
#[must_use = "a permit that is not used is a call that is not made"]
pub struct Permit {
    effect: Effect,
}

/// Why a call may not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `CE10##`, with a page in `docs/errors`.
    pub code: &'static str,
    /// The rule that refuses, with its place.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

/// Decides about a call under a contract.
///
/// # Errors
/// The contract does not allow the tool, or not in this phase.
pub fn decide(contract: &Contract, wanted: Wanted<'_>) -> Result<Permit, Refusal> {
    // Resources, prompts and completion are asked for and change nothing, by the specification.
    let Some(tool) = wanted.tool else { return Ok(Permit { effect: Effect::Read }) };
    let terms = contract.terms(tool);
    if terms.allow == Some(false) {
        return Err(Refusal {
            code: "CE1030",
            rule: rule(contract, tool, "is not allowed", |terms| terms.allow.is_some()),
            fix: format!("to allow it, set allow = true under [tools.{tool}] in {}", contract.name()),
        });
    }
    if let Some(phases) = &terms.phases
        && !wanted.phase.is_some_and(|p| phases.iter().any(|allowed| allowed == p))
    {
        let now = wanted.phase.unwrap_or("none");
        return Err(Refusal {
            code: "CE1031",
            rule: rule(
                contract,
                tool,
                &format!("is for the phases {} and this is {now}", phases.join(", ")),
                |terms| terms.phases.is_some(),
            ),
            fix: "call it from a plan step of that phase".to_owned(),
        });
    }
    Ok(Permit { effect: effective_effect(terms.effect, wanted.hints) })
}

// === impl Permit ===

impl Permit {
    /// What the call does to the world, as far as the contract is concerned.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        self.effect
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}

impl std::error::Error for Refusal {}

/// The rule in words, with the entry that says so and its line.
fn rule(contract: &Contract, tool: &str, what: &str, says: impl Fn(&ToolTerms) -> bool) -> String {
    let deciding = contract.deciding(tool, says);
    let by = deciding.map(|(name, _)| name.as_str()).filter(|name| *name != tool);
    let by = by.map(|pattern| format!(" by tools.\"{pattern}\"")).unwrap_or_default();
    let line = deciding.and_then(|(_, terms)| terms.line).map(|line| format!(":{line}"));
    format!("tools.{tool} {what}{by} ({}{})", contract.name(), line.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(tool: &str) -> Wanted<'_> {
        Wanted { tool: Some(tool), hints: Hints::default(), phase: None }
    }

    #[test]
    fn a_tool_that_is_not_allowed_is_refused_with_its_line() {
        let text = "[tools.\"*\"]\neffect = \"read\"\n\n[tools.drop]\nallow = false\n";
        let contract = Contract::parse("db.toml", text).expect("a contract");
        assert_eq!(decide(&contract, wanted("list")).expect("allowed").effect(), Effect::Read);
        let refusal = decide(&contract, wanted("drop")).expect_err("refused");
        assert!(refusal.rule.contains("db.toml:4"), "{}", refusal.rule);
    }

    #[test]
    fn what_is_allowed_by_default_can_be_turned_round() {
        let text = "[tools.\"*\"]\nallow = false\n[tools.list]\nallow = true\neffect = \"pure\"\n";
        let contract = Contract::parse("c", text).expect("a contract");
        assert!(decide(&contract, wanted("other")).is_err());
        assert_eq!(decide(&contract, wanted("list")).expect("allowed").effect(), Effect::Pure);
    }

    #[test]
    fn a_pattern_refuses_every_tool_that_fits_it() {
        let text = "[tools.\"delete_*\"]\nallow = false\n\n[tools.delete_draft]\nallow = true\n\n\
            [tools.delete_log]\neffect = \"idempotent\"\n";
        let contract = Contract::parse("db.toml", text).expect("a contract");
        assert!(
            decide(&contract, wanted("delete_draft")).is_ok() && decide(&contract, wanted("list")).is_ok()
        );
        for tool in ["delete_all", "delete_log"] {
            let refusal = decide(&contract, wanted(tool)).expect_err("refused");
            // The line of the entry that refuses, not of the tool's own.
            assert!(refusal.rule.contains("by tools.\"delete_*\" (db.toml:1)"), "{}", refusal.rule);
        }
    }

    #[test]
    fn the_most_specific_entry_wins_and_gaps_are_filled_from_the_next() {
        let text = "[tools.\"*\"]\neffect = \"read\"\nallow = false\n[tools.\"get_*\"]\nallow = true\n\
            [tools.\"get_*_raw\"]\neffect = \"pure\"\n[tools.\"*_a\"]\nallow = true\n[tools.\"x_*\"]\nallow = false\n";
        let contract = Contract::parse("c", text).expect("a contract");
        assert_eq!(decide(&contract, wanted("get_x")).expect("allowed").effect(), Effect::Read);
        assert_eq!(decide(&contract, wanted("get_x_raw")).expect("allowed").effect(), Effect::Pure);
        assert!(
            decide(&contract, wanted("x_a")).is_err(),
            "of two equally specific the one that does not allow"
        );
    }

    #[test]
    fn without_a_word_a_tool_counts_as_irreversible() {
        let contract = Contract::preset(crate::Preset::Trusted);
        assert_eq!(decide(&contract, wanted("x")).expect("allowed").effect(), Effect::Irreversible);
    }
}
