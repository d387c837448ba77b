//! From what was seen to a contract, with the reason of each line. Pure.

use std::path::Path;

use cella_contract::{Contract, EditError, Mode, Preset, add_egress, add_file};

use crate::Observation;

/// A contract that would let a server do what it was seen to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The contract file.
    pub text: String,
    /// Why, for each grant of it.
    pub reasons: Vec<Reason>,
    /// What was tried and is not proposed, and why.
    pub left_out: Vec<Reason>,
}

/// A grant and why it stands there, or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A host and port, or a path.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Share of the preset's memory from which on a person should know that it was used, in percent.
const MEMORY_NOTABLE_PERCENT: u64 = 50;

// === impl Proposal ===

impl Proposal {
    /// What follows from an observation.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn of(name: &str, seen: &Observation) -> Result<Self, EditError> {
        let mut proposal = Self { text: head(name), reasons: Vec::new(), left_out: Vec::new() };
        for attempt in &seen.attempts {
            match attempt.grant() {
                Ok(grant) => {
                    let why = format!("{}; not verified", attempt.reason());
                    proposal.text = add_egress(&proposal.text, &grant, Some(&why))?;
                    proposal.reasons.push(Reason { what: grant, why });
                }
                Err(why) => proposal.left_out.push(Reason { what: attempt.to_string(), why }),
            }
        }
        let paths = seen.named.iter().chain(&seen.hidden);
        // The root of all is nothing that anybody means to show.
        for path in paths.filter(|path| path.parent().is_some()) {
            let why = "named in its arguments".to_owned();
            proposal.text = add_file(&proposal.text, &written(path), Mode::Read, &why)?;
            proposal.reasons.push(Reason { what: written(path), why });
        }
        Ok(proposal)
    }

    /// True when it grants nothing that the preset does not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The reason of a line about a grant, which ends with the grant.
    #[must_use]
    pub fn why(&self, line: &str) -> Option<&str> {
        let fits =
            |reason: &&Reason| line.strip_suffix(&*reason.what).is_some_and(|rest| rest.ends_with(' '));
        self.reasons.iter().find(fits).map(|reason| reason.why.as_str())
    }
}

impl Observation {
    /// What a person should know beside the proposal.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if !self.variables.is_empty() {
            remarks.push(format!(
                "it says that it lacks {}: --env NAME=vault:SECRET after cella secret set SECRET",
                self.variables.join(", ")
            ));
        }
        match (&self.failure, &self.exit) {
            (Some(why), Some(exit)) => remarks.push(format!("it {exit} before it could be asked: {why}")),
            (Some(why), None) => remarks.push(format!("it could not be asked for its lists: {why}")),
            _ => {}
        }
        let most = Contract::preset(Preset::Untrusted).limits.memory.unwrap_or(u64::MAX);
        if self.peak_memory_bytes.saturating_mul(100) / most >= MEMORY_NOTABLE_PERCENT {
            remarks.push(format!(
                "it used {} MiB of at most {} MiB of memory before its first call; [limits] memory raises that",
                self.peak_memory_bytes >> 20,
                most >> 20
            ));
        }
        remarks
    }
}

fn head(name: &str) -> String {
    format!(
        "# What the cell of `{name}` may do; what is not granted here is denied. Written by `cella add` from one start\n\
         # that was watched. Its hosts are those that the server itself asked for: nobody has verified them.\n\
         preset = \"{}\"\n",
        Preset::Untrusted.as_str()
    )
}

/// A path as it is written into a contract.
fn written(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use cella_contract::Contract;

    use super::Proposal;
    use crate::{Attempt, Observation, Wanted};

    #[test]
    fn what_was_tried_becomes_a_contract_with_reasons() {
        let host = Wanted::Name("api.example.com".into());
        let local = Wanted::Address("169.254.169.254".parse().expect("an address"));
        let seen = Observation {
            attempts: vec![
                Attempt { host, port: Some(443), datagram: false, times: 3 },
                Attempt { host: local, port: Some(80), datagram: false, times: 1 },
            ],
            named: vec!["/srv/data".into()],
            ..Observation::default()
        };
        let proposal = Proposal::of("x", &seen).expect("a proposal");
        let contract = Contract::parse("c", &proposal.text).expect(&proposal.text);
        assert_eq!(
            (contract.egress.as_slice(), contract.files.len()),
            (&["api.example.com:443".into()][..], 1)
        );
        assert!(proposal.why("may reach api.example.com:443").is_some_and(|why| why.contains("3 times")));
        assert_eq!((proposal.why("may reach xapi.example.com:443"), proposal.left_out.len()), (None, 1));
    }
}
