//! From a server's entry in the configuration to the command line of its cell.

use std::{path::Path, sync::Arc};

use cella_catalog::LaunchError;
use cella_contract::StdioProgram;
use cella_transport::FaultKind;

use super::{env, error};
use crate::{
    confine::{self, ConfineError, Line, Sight, Sink},
    install::{Allowed, InstallError, Installed, Lock, Order, Recipe, Store},
    load::{Loaded, Served},
    own::OwnPlaces,
};

/// What a server's command is looked up against.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) store: &'a Store,
    /// Who hears what an installer does outside.
    pub(crate) sink: Arc<dyn Sink>,
    /// The configuration file, beside which the lock is.
    pub(crate) config: &'a Path,
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
    let (line, package) = located(on, served, command, args, &program.env).await?;
    let line = Line { cwd, ..line };
    let mut sight = confine::seen(&line, &served.contract, &served.grants, on.own_places)?;
    sight.masks = on.own_places.masks(on.loaded, &served.config.name);
    sight.package = package;
    Ok(sight)
}

/// The program to start, with its arguments and what it needs beside what can be seen from these, and the package that it
/// is part of.
async fn located(
    on: &Ground<'_>,
    served: &Served,
    command: String,
    args: Vec<String>,
    pairs: &[(String, String)],
) -> Result<(Line, Option<Installed>), LaunchError> {
    let line = |command: String, args, extra| Line { command, args, cwd: None, extra };
    if let Some(name) = command.strip_prefix("builtin:") {
        let program = on.own_program.display().to_string();
        let args = ["serve", name].into_iter().map(str::to_owned).chain(args).collect();
        return Ok((line(program, args, vec![on.own_program.to_owned()]), None));
    }
    let refused = |e: InstallError| error(FaultKind::Unavailable, e.code(), &e.to_string(), Some(e.fix()));
    let Some(mut recipe) = Recipe::read(&command, &args).map_err(refused)? else {
        let relative = command.contains('/') && !command.starts_with('/');
        let command = if relative { served.base.join(command).display().to_string() } else { command };
        return Ok((line(command, args, Vec::new()), None));
    };
    recipe.allowed = Allowed::of(&served.config, &on.loaded.config.install);
    recipe.take_registries(pairs, &|text| env::expanded(text).ok());
    let name = served.config.name.clone();
    let tell = move |text: &str| tracing::info!(server = %name, "{text}");
    let lock = Lock::read(&Lock::path(on.config)).map_err(refused)?;
    let order = Order { recipe: &recipe, locked: lock.get(&recipe), sink: on.sink.clone(), tell: &tell };
    let installed = on.store.install(&order).await.map_err(refused)?;
    let args = installed.args.iter().cloned().chain(recipe.args).collect();
    Ok((line(installed.command.clone(), args, vec![installed.directory.clone()]), Some(installed)))
}
