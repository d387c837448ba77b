//! What a contract means for a cell.

use std::path::{Component, Path, PathBuf};

use cella_contract::{Contract, Limits as Terms, Mode};

use super::{Access, Ask, Mount, Program, Spec};

impl Spec {
    /// The cell that a contract describes. `base` is the directory of the contract file, which its relative paths start
    /// from. A limit that differs from the preset's was written down by somebody, so it is required; the preset's own are
    /// preferred. Paths that the program is given as arguments are shown as far as the preset grants them.
    #[must_use]
    pub fn from_contract(name: &str, contract: &Contract, program: &Program, base: &Path) -> Self {
        let mut spec = Self::new(name, program.clone());
        let usual = Contract::preset(contract.preset).limits;
        apply_limits(&mut spec, &contract.limits, &usual);
        spec.egress.clone_from(&contract.egress);
        let granted = contract.files.iter().map(|grant| (resolve(base, &grant.path), access(grant.mode)));
        let named = contract.preset.named_files().map(access);
        let named = named
            .into_iter()
            .flat_map(|access| program.hidden_paths.iter().map(move |path| (resolve(base, path), access)));
        for (path, access) in granted.chain(named) {
            // The contract's own words come first, and may grant less than the preset.
            if !spec.mounts.iter().any(|mount| mount.target == path) {
                spec.mounts.push(Mount { source: path.clone(), target: path, access });
            }
        }
        spec
    }
}

fn apply_limits(spec: &mut Spec, terms: &Terms, usual: &Terms) {
    let limits = &mut spec.limits;
    limits.memory_bytes = ask(terms.memory, usual.memory);
    limits.processes = ask(terms.processes, usual.processes);
    // A percent of a processor is ten thousandths of it.
    limits.cpu_milli = ask(terms.cpu.map(|percent| percent.saturating_mul(10)), usual.cpu);
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

fn access(mode: Mode) -> Access {
    match mode {
        Mode::Read => Access::Read,
        Mode::Write => Access::Write,
    }
}

/// Absolute and normalised by its words alone. Links are not looked at: a mount through one is refused later.
fn resolve(base: &Path, path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use cella_contract::{Contract, FileGrant, Mode, Preset};

    use crate::{Access, Ask, Program, Spec};

    fn spec(contract: &Contract) -> Spec {
        let program = Program { hidden_paths: vec!["/data/work".into()], ..Program::default() };
        Spec::from_contract("s", contract, &program, Path::new("/etc/cella"))
    }

    #[test]
    fn what_was_written_down_is_required_and_the_presets_own_is_preferred() {
        let mut contract = Contract::preset(Preset::Untrusted);
        contract.limits.memory = Some(64 << 20);
        contract.limits.cpu = Some(50);
        let limits = spec(&contract).limits;
        assert_eq!(limits.memory_bytes, Ask::Require(64 << 20));
        assert_eq!(limits.cpu_milli, Ask::Require(500));
        assert!(matches!(limits.processes, Ask::Prefer(_)));
    }

    #[test]
    fn paths_named_in_arguments_are_shown_as_far_as_the_preset_grants() {
        let access = |preset| spec(&Contract::preset(preset)).mounts.first().map(|mount| mount.access);
        assert_eq!(access(Preset::Trusted), Some(Access::Write));
        assert_eq!(access(Preset::SemiTrusted), Some(Access::Read));
        assert_eq!(access(Preset::Untrusted), None);
    }

    #[test]
    fn a_grant_is_relative_to_its_file_and_goes_before_the_preset() {
        let mut contract = Contract::preset(Preset::Trusted);
        let grant = |path: &str| FileGrant { path: path.into(), mode: Mode::Read };
        contract.files = vec![grant("../shared/./x"), grant("/data/work")];
        let mounts = spec(&contract).mounts;
        assert_eq!(mounts[0].source, PathBuf::from("/etc/shared/x"));
        assert_eq!((mounts.len(), mounts[1].access), (2, Access::Read));
    }
}
