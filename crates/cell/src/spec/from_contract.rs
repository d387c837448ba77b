//! What a contract means for a cell, apart from its file grants: which paths they lead to is found out on the host.

use cella_contract::{Contract, Limits as Terms};

use super::{Ask, Program, Spec};

impl Spec {
    /// The limits and hosts that a contract gives a program; nothing is mounted yet. A limit that differs from the
    /// preset's was written down by somebody, so it is required; the preset's own are preferred.
    #[must_use]
    pub fn from_contract(name: &str, contract: &Contract, program: Program) -> Self {
        let mut spec = Self::new(name, program);
        let usual = Contract::preset(contract.preset).limits;
        apply_limits(&mut spec, &contract.limits, &usual);
        spec.egress.clone_from(&contract.egress);
        spec
    }
}

fn apply_limits(spec: &mut Spec, terms: &Terms, usual: &Terms) {
    let limits = &mut spec.limits;
    limits.memory_bytes = ask(terms.memory, usual.memory);
    limits.processes = ask(terms.processes, usual.processes);
    // A percent of a processor is ten thousandths of it.
    let milli = |percent: Option<u32>| percent.map(|percent| percent.saturating_mul(10));
    limits.cpu_milli = ask(milli(terms.cpu), milli(usual.cpu));
    if let Some(files) = terms.open_files {
        limits.open_files = files.into();
    }
    if let Some(bytes) = terms.disk {
        spec.tmpfs.bytes = bytes;
    }
}

fn ask<T: PartialEq + Copy>(value: Option<T>, usual: Option<T>) -> Ask<T> {
    match value {
        None => Ask::No,
        Some(value) if Some(value) == usual => Ask::Prefer(value),
        Some(value) => Ask::Require(value),
    }
}

#[cfg(test)]
mod tests {
    use cella_contract::{Contract, Preset};

    use crate::{Ask, Program, Spec};

    #[test]
    fn what_was_written_down_is_required_and_the_presets_own_is_preferred() {
        let mut contract = Contract::preset(Preset::Untrusted);
        contract.limits.memory = Some(64 << 20);
        contract.limits.cpu = Some(50);
        contract.egress = vec!["a.example:443".into()];
        let spec = Spec::from_contract("s", &contract, Program::default());
        assert_eq!(spec.limits.memory_bytes, Ask::Require(64 << 20));
        assert_eq!(spec.limits.cpu_milli, Ask::Require(500));
        assert!(matches!(spec.limits.processes, Ask::Prefer(_)));
        assert_eq!((spec.egress, spec.mounts.len()), (contract.egress, 0));
    }
}
