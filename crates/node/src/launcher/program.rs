//! From a configured command to the specification of a cell.

use std::path::{Path, PathBuf};

use cella_catalog::LaunchError;
use cella_cell::{Access, Enforcement, Mount, Program, Spec, program_files};
use cella_contract::{Mode, StdioProgram};
use cella_transport::FaultKind;

use super::{Launcher, env, error};
use crate::{
    grants::{Grant, Refused},
    install::{InstallError, Recipe},
    load::Served,
};

/// A program that is on disk, with its values looked up.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) program: Program,
    pub(super) env: Vec<(String, String)>,
    mounts: Vec<Mount>,
    masks: Vec<PathBuf>,
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
    let (command, args, extra) = located(by, served, &command, args, &program.env).await?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = program_files(&command, &args, cwd.as_deref(), &path)
        .map_err(|e| error(FaultKind::Unavailable, e.code(), &e.to_string(), Some(e.fix())))?;
    found.files.extend(extra);
    let mounts = mounts(served, &found)?;
    check_own(by, &mounts, &found)?;
    found.hidden_paths.retain(|path| !mounts.iter().any(|m| path.starts_with(&m.source)));
    let roots = mounts.iter().filter(|m| m.source.is_dir()).map(|m| m.target.clone()).collect();
    let masks = by.own_places.masks(&by.loaded.load(), &served.config.name);
    let env = env::resolved(&program.env, &served.base).await?;
    Ok(Ready { program: found, env, mounts, masks, roots })
}

/// The specification of the cell.
pub(super) fn spec(served: &Served, ready: &Ready) -> Spec {
    let mut spec = Spec::from_contract(&served.config.name, &served.contract, ready.program.clone());
    spec.env.extend(ready.env.iter().cloned());
    spec.mounts = ready.mounts.clone();
    spec.masks = ready.masks.clone();
    if served.config.best_effort {
        spec.enforcement = Enforcement::BestEffort;
    }
    spec
}

/// The program to start, its arguments, and directories it needs beside what can be seen from them.
async fn located(
    by: &Launcher,
    served: &Served,
    command: &str,
    args: Vec<String>,
    pairs: &[(String, String)],
) -> Result<(String, Vec<String>, Vec<PathBuf>), LaunchError> {
    if let Some(name) = command.strip_prefix("builtin:") {
        let program = by.own_program.display().to_string();
        let line = ["serve", name].into_iter().map(str::to_owned).chain(args).collect();
        return Ok((program, line, vec![by.own_program.clone()]));
    }
    let refused = |e: InstallError| error(FaultKind::Unavailable, e.code(), &e.to_string(), Some(e.fix()));
    let Some(mut recipe) = Recipe::read(command, &args).map_err(refused)? else {
        let relative = command.contains('/') && !command.starts_with('/');
        let command =
            if relative { served.base.join(command).display().to_string() } else { command.to_owned() };
        return Ok((command, args, Vec::new()));
    };
    recipe.build_from_source = served.config.build_from_source;
    recipe.take_registries(pairs, &|text| env::expanded(text).ok());
    let name = served.config.name.clone();
    let tell = move |text: &str| tracing::info!(server = %name, "{text}");
    let installed = by.store.install(&recipe, &tell).await.map_err(refused)?;
    let line = installed.args.into_iter().chain(recipe.args).collect();
    Ok((installed.command, line, vec![installed.directory]))
}

/// What the contract shows of the host: its file grants, and under a preset that says so what the arguments name.
fn mounts(served: &Served, program: &Program) -> Result<Vec<Mount>, LaunchError> {
    let mut mounts: Vec<Mount> = Vec::new();
    for grant in &served.grants.declared {
        usable(grant, &served.contract.name())?;
        if let Err(e) = std::fs::symlink_metadata(&grant.path) {
            let message = format!("{} of {}: {e}", grant.written.display(), served.contract.name());
            let fix = format!("make {}, or take it out of the contract", grant.written.display());
            return Err(error(FaultKind::Unavailable, "CE4123", &message, Some(fix)));
        }
        mounts.push(mount(grant));
    }
    for grant in &served.grants.named {
        let known = mounts.iter().any(|m| grant.path.starts_with(&m.source)) || is_system(&grant.path);
        let shown = program.files.iter().any(|file| grant.path.starts_with(file));
        if !known && !shown && grant.path.exists() {
            usable(grant, "the arguments")?;
            mounts.push(mount(grant));
        }
    }
    Ok(mounts)
}

/// Refuses a grant that leads elsewhere than it did, or that a cell may redirect.
fn usable(grant: &Grant, source: &str) -> Result<(), LaunchError> {
    let written = grant.written.display();
    let (message, fix) = match (&grant.refused, grant.led_elsewhere()) {
        (Some(Refused::Variable(name)), _) => return Err(env::unset(name)),
        (Some(Refused::Redirectable { link, server }), _) => (
            format!(
                "{written} of {source} leads through the link {}, which `{server}` may change",
                link.display()
            ),
            format!("grant its real path: {}", grant.path.display()),
        ),
        (None, Some(now)) => (
            format!("{written} of {source} now leads to {}, not to {}", now.display(), grant.path.display()),
            "if you changed it, let the node read its configuration again: kill -HUP, or cella up".to_owned(),
        ),
        (None, None) => return Ok(()),
    };
    Err(error(FaultKind::Unavailable, "CE4125", &message, Some(fix)))
}

/// Refuses a mount or a program within Cella's own places. What merely contains them is shown without them.
fn check_own(by: &Launcher, mounts: &[Mount], program: &Program) -> Result<(), LaunchError> {
    let mounted = mounts.iter().find_map(|mount| Some((&mount.source, by.own_places.shown_by(mount)?)));
    let needed = program.files.iter().find_map(|file| Some((file, by.own_places.holds(file)?)));
    let Some((path, own)) = mounted.or(needed) else { return Ok(()) };
    let message = format!("{} lies in {}, which is Cella's own", path.display(), own.display());
    let fix =
        "grant another path, or a directory that contains it: Cella's own places are empty inside".to_owned();
    Err(error(FaultKind::Unavailable, "CE4124", &message, Some(fix)))
}

/// True for what every cell has of its own or sees anyway.
fn is_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys"]
        .iter()
        .any(|top| path.starts_with(top))
}

fn mount(grant: &Grant) -> Mount {
    let access = match grant.mode {
        Mode::Read => Access::Read,
        Mode::Write => Access::Write,
    };
    Mount { target: grant.path.clone(), source: grant.path.clone(), access }
}
