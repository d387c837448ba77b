//! What a command sees of the host: its own files, the grants of its contract, and nothing of Cella's.

use std::path::{Path, PathBuf};

use cella_cell::{Access, Enforcement, Mount, Network, Program, Spec};
use cella_contract::{CellClass, Contract, Mode};
use cella_program::program_files;

use super::ConfineError;
use crate::{
    grants::{Grant, Grants, Refused},
    install::Installed,
    own::OwnPlaces,
};

/// A command, ready to be looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// A name on `PATH`, or a path.
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    pub(crate) cwd: Option<PathBuf>,
    /// What it needs beside what can be seen from these.
    pub(crate) extra: Vec<PathBuf>,
}

/// A program that is on disk, and what it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) program: Program,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) masks: Vec<PathBuf>,
    /// Directories the contract shows, for a server that asks for roots.
    pub(crate) roots: Vec<PathBuf>,
    /// The package of the store that it is part of.
    pub(crate) package: Option<Installed>,
}

/// Finds the program and what its contract shows it.
pub(crate) fn seen(
    line: &Line,
    contract: &Contract,
    grants: &Grants,
    own: &OwnPlaces,
) -> Result<Sight, ConfineError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut program = program_files(&line.command, &line.args, line.cwd.as_deref(), &path)?;
    program.files.extend(line.extra.iter().cloned());
    let mounts = mounts(contract, grants, &program)?;
    check_own(own, &mounts, &program)?;
    program.hidden_paths.retain(|path| !mounts.iter().any(|m| path.starts_with(&m.source)));
    let roots = mounts.iter().filter(|m| m.source.is_dir()).map(|m| m.target.clone()).collect();
    Ok(Sight { program, mounts, masks: Vec::new(), roots, package: None })
}

/// The specification of the cell. `env` is the whole environment beside a cell's defaults.
pub(crate) fn spec(
    name: &str,
    contract: &Contract,
    sight: &Sight,
    env: &[(String, String)],
    best_effort: bool,
) -> Spec {
    let mut spec = Spec::from_contract(name, contract, sight.program.clone());
    spec.env.extend(env.iter().cloned());
    spec.mounts.clone_from(&sight.mounts);
    spec.masks.clone_from(&sight.masks);
    // An entry that cannot be read is refused when the cell is started.
    let ports = cella_egress::ports(&contract.egress_grants().unwrap_or_default());
    // Without a single grant as well: what such a server tries is refused by its broker and so is on record.
    if !ports.is_empty() || contract.class == CellClass::Process {
        spec.network = Network::Brokered { ports: ports.into_iter().collect() };
    }
    if best_effort {
        spec.enforcement = Enforcement::BestEffort;
    }
    spec
}

/// What the contract shows of the host: its file grants, and under a preset that says so what the arguments name.
fn mounts(contract: &Contract, grants: &Grants, program: &Program) -> Result<Vec<Mount>, ConfineError> {
    let mut mounts: Vec<Mount> = Vec::new();
    for grant in &grants.declared {
        usable(grant, &contract.name())?;
        there(grant, &contract.name())?;
        mounts.push(mount(grant));
    }
    for grant in &grants.named {
        let known = mounts.iter().any(|m| grant.path.starts_with(&m.source)) || is_system(&grant.path);
        let shown = program.files.iter().any(|file| grant.path.starts_with(file));
        if !known && !shown && grant.path.exists() {
            usable(grant, "the arguments")?;
            mounts.push(mount(grant));
        }
    }
    Ok(mounts)
}

/// Refuses a grant of what is not there.
pub(super) fn there(grant: &Grant, source: &str) -> Result<(), ConfineError> {
    std::fs::symlink_metadata(&grant.path).map(drop).map_err(|e| ConfineError::Absent {
        path: grant.written.clone(),
        source_name: source.to_owned(),
        cause: e.to_string(),
    })
}

/// Refuses a grant that leads elsewhere than it did, or that a cell may redirect.
pub(super) fn usable(grant: &Grant, source: &str) -> Result<(), ConfineError> {
    let (written, path, source_name) = (grant.written.clone(), grant.path.clone(), source.to_owned());
    match (&grant.refused, grant.led_elsewhere()) {
        (Some(Refused::Variable(name)), _) => Err(ConfineError::Unset { name: name.clone() }),
        (Some(Refused::Redirectable { link, server }), _) => {
            let (link, server) = (link.clone(), server.to_string());
            Err(ConfineError::Redirectable { written, path, source_name, link, server })
        }
        (None, Some(now)) => Err(ConfineError::LedElsewhere { written, path, source_name, now }),
        (None, None) => Ok(()),
    }
}

/// Refuses a mount or a program within Cella's own places. What merely contains them is shown without them.
fn check_own(own: &OwnPlaces, mounts: &[Mount], program: &Program) -> Result<(), ConfineError> {
    let mounted = mounts.iter().find_map(|mount| Some((&mount.source, own.shown_by(mount)?)));
    let needed = program.files.iter().find_map(|file| Some((file, own.holds(file)?)));
    let Some((path, own)) = mounted.or(needed) else { return Ok(()) };
    Err(ConfineError::Own { path: path.clone(), own: own.to_owned() })
}

/// True for what every cell has of its own or sees anyway.
pub(super) fn is_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys"]
        .iter()
        .any(|top| path.starts_with(top))
}

pub(super) fn mount(grant: &Grant) -> Mount {
    let access = match grant.mode {
        Mode::Read => Access::Read,
        Mode::Write => Access::Write,
        Mode::Copy => Access::Copy,
    };
    Mount { target: grant.path.clone(), source: grant.path.clone(), access }
}
