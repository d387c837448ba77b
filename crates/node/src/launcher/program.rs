//! From a server's entry in the configuration to the command line of its cell.

use std::path::{Path, PathBuf};

use cella_catalog::LaunchError;
use cella_contract::StdioProgram;
use cella_transport::FaultKind;

use super::{env, error};
use crate::{
    confine::{self, ConfineError, Line, Sight},
    install::{InstallError, Recipe, Store},
    load::{Loaded, Served},
    own::OwnPlaces,
};

/// What a server's command is looked up against.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) store: &'a Store,
    /// This very program: built-in servers are run by it.
    pub(crate) own_program: &'a Path,
    pub(crate) own_places: &'a OwnPlaces,
    pub(crate) loaded: &'a Loaded,
}

/// Finds the program, installing its package first where it is one, and what it is shown.
pub(crate) async fn sight(
    on: &Ground<'_>,
    served: &Served,
    program: &StdioProgram,
) -> Result<Sight, ConfineError> {
    let command = env::expanded(&program.command)?;
    let args = program.args.iter().map(|a| env::expanded(a)).collect::<Result<Vec<_>, _>>()?;
    let cwd = program.cwd.as_ref().map(|c| env::expanded(c)).transpose()?.map(|c| served.base.join(c));
    let (command, args, extra) = located(on, served, &command, args, &program.env).await?;
    let line = Line { command, args, cwd, extra };
    let mut sight = confine::seen(&line, &served.contract, &served.grants, on.own_places)?;
    sight.masks = on.own_places.masks(on.loaded, &served.config.name);
    Ok(sight)
}

/// The program to start, its arguments, and directories it needs beside what can be seen from them.
async fn located(
    on: &Ground<'_>,
    served: &Served,
    command: &str,
    args: Vec<String>,
    pairs: &[(String, String)],
) -> Result<(String, Vec<String>, Vec<PathBuf>), LaunchError> {
    if let Some(name) = command.strip_prefix("builtin:") {
        let program = on.own_program.display().to_string();
        let line = ["serve", name].into_iter().map(str::to_owned).chain(args).collect();
        return Ok((program, line, vec![on.own_program.to_owned()]));
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
    let installed = on.store.install(&recipe, &tell).await.map_err(refused)?;
    let line = installed.args.into_iter().chain(recipe.args).collect();
    Ok((installed.command, line, vec![installed.directory]))
}
