//! From a configured command to the specification of a cell.

use std::path::{Path, PathBuf};

use cella_catalog::LaunchError;
use cella_cell::{Access, Ask, Enforcement, Mount, Program, Spec, program_files};
use cella_contract::{Mode, StdioProgram};
use cella_transport::FaultKind;

use super::{Launcher, env, error};
use crate::{
    install::{InstallError, Recipe},
    load::Served,
};

/// A program that is on disk, with its values looked up.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) program: Program,
    pub(super) env: Vec<(String, String)>,
    mounts: Vec<Mount>,
    /// Directories the contract shows, for a server that asks for roots.
    pub(super) roots: Vec<PathBuf>,
}

/// Finds the program, installing its package first where it is one.
pub(super) async fn prepare(
    by: &Launcher,
    served: &Served,
    program: &StdioProgram,
) -> Result<Ready, LaunchError> {
    let command = env::expanded(&program.command)?;
    let args = program.args.iter().map(|a| env::expanded(a)).collect::<Result<Vec<_>, _>>()?;
    let cwd = program.cwd.as_ref().map(|c| env::expanded(c)).transpose()?.map(|c| served.base.join(c));
    let (command, args, extra) = located(by, served, &command, args).await?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = program_files(&command, &args, cwd.as_deref(), &path)
        .map_err(|e| error(FaultKind::Unavailable, e.code(), &e.to_string(), Some(e.fix())))?;
    found.files.extend(extra);
    let mounts = mounts(served, &found, &args)?;
    found.hidden_paths.retain(|path| !mounts.iter().any(|m| path.starts_with(&m.source)));
    let roots = mounts.iter().filter(|m| m.source.is_dir()).map(|m| m.target.clone()).collect();
    Ok(Ready { program: found, env: env::resolved(&program.env, &served.base)?, mounts, roots })
}

/// The specification of the cell.
pub(super) fn spec(served: &Served, ready: &Ready) -> Result<Spec, LaunchError> {
    let mut spec = Spec::new(served.config.name.clone(), ready.program.clone());
    spec.env.extend(ready.env.iter().cloned());
    spec.mounts = ready.mounts.clone();
    let limits = &served.contract.limits;
    // What a contract file says itself is required; what comes from the preset is wished for.
    let written = served.contract.file.is_some();
    let ask = |value: Option<u64>| match value {
        Some(value) if written => Ask::Require(value),
        Some(value) => Ask::Prefer(value),
        None => Ask::No,
    };
    spec.limits.memory_bytes = match (limits.memory, written) {
        (value, true) if value == cella_contract::Contract::preset(served.contract.preset).limits.memory => {
            value.map_or(Ask::No, Ask::Prefer)
        }
        (value, _) => ask(value),
    };
    spec.limits.processes = limits.processes.map_or(Ask::No, Ask::Prefer);
    spec.limits.cpu_milli = limits.cpu.map_or(Ask::No, |percent| Ask::Require(percent.saturating_mul(10)));
    if let Some(files) = limits.open_files {
        spec.limits.open_files = u64::from(files);
    }
    if let Some(disk) = limits.disk {
        spec.tmpfs.bytes = disk;
    }
    if served.config.best_effort {
        spec.enforcement = Enforcement::BestEffort;
    }
    Ok(spec)
}

/// The program to start, its arguments, and directories it needs beside what can be seen from them.
async fn located(
    by: &Launcher,
    served: &Served,
    command: &str,
    args: Vec<String>,
) -> Result<(String, Vec<String>, Vec<PathBuf>), LaunchError> {
    if let Some(name) = command.strip_prefix("builtin:") {
        let program = by.own_program.display().to_string();
        let line = ["serve", name].into_iter().map(str::to_owned).chain(args).collect();
        return Ok((program, line, vec![by.own_program.clone()]));
    }
    let refused = |e: InstallError| error(FaultKind::Unavailable, e.code(), &e.to_string(), Some(e.fix()));
    let Some(recipe) = Recipe::read(command, &args).map_err(refused)? else {
        let relative = command.contains('/') && !command.starts_with('/');
        let command =
            if relative { served.base.join(command).display().to_string() } else { command.to_owned() };
        return Ok((command, args, Vec::new()));
    };
    let name = served.config.name.clone();
    let tell = move |text: &str| tracing::info!(server = %name, "{text}");
    let installed = by.store.install(&recipe, &tell).await.map_err(refused)?;
    let line = installed.args.into_iter().chain(recipe.args).collect();
    Ok((installed.command, line, vec![installed.directory]))
}

/// What the contract shows of the host: its file grants, and under a preset that says so what the arguments name.
fn mounts(served: &Served, program: &Program, args: &[String]) -> Result<Vec<Mount>, LaunchError> {
    let mut mounts: Vec<Mount> = Vec::new();
    for grant in &served.contract.files {
        let written = env::expanded(&grant.path.to_string_lossy())?;
        let path = real(&served.contract_base.join(written)).map_err(|(path, e)| {
            let message = format!("{} of {}: {e}", path.display(), served.contract.name());
            error(
                FaultKind::Unavailable,
                "CE4123",
                &message,
                Some(format!("make {}, or take it out of the contract", path.display())),
            )
        })?;
        mounts.push(mount(path, grant.mode));
    }
    if let Some(mode) = served.contract.preset.named_files() {
        let named = args.iter().map(Path::new).chain(program.cwd.as_deref());
        for path in named.filter_map(|p| real(p).ok()).filter(|p| p.parent().is_some()) {
            let known = mounts.iter().any(|m| path.starts_with(&m.source)) || is_system(&path);
            if path.is_absolute() && !known && !program.files.iter().any(|f| path.starts_with(f)) {
                mounts.push(mount(path, mode));
            }
        }
    }
    Ok(mounts)
}

/// True for what every cell has of its own or sees anyway.
fn is_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys"]
        .iter()
        .any(|top| path.starts_with(top))
}

fn real(path: &Path) -> Result<PathBuf, (PathBuf, std::io::Error)> {
    if !path.is_absolute() {
        return Err((path.to_path_buf(), std::io::Error::from(std::io::ErrorKind::InvalidInput)));
    }
    std::fs::canonicalize(path).map_err(|e| (path.to_path_buf(), e))
}

fn mount(path: PathBuf, mode: Mode) -> Mount {
    let access = match mode {
        Mode::Read => Access::Read,
        Mode::Write => Access::Write,
    };
    Mount { target: path.clone(), source: path, access }
}
