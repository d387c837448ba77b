//! Packages of servers and the lock beside the configuration.

use std::path::Path;

use cella_contract::{Config, Run, ServerConfig};
use cella_node::install::{Allowed, InstallError, Lock, Order, Recipe, Store};

use crate::{
    args::Global,
    edit,
    exit::{Code, Stop},
    print::Printer,
    target,
};

/// Installs what a server's command names, if it is a package, and enters it in the lock.
pub(crate) async fn install(
    config: &Config,
    server: &str,
    global: &Global,
    printer: Printer,
) -> Result<(), Stop> {
    let Some(recipe) = config.servers.get(server).map(|server| recipe(config, server)).transpose()?.flatten()
    else {
        return Ok(());
    };
    let path = Lock::path(&target::config_path(global));
    let mut lock = Lock::read(&path).map_err(stop)?;
    let tell = |text: &str| printer.note(format!("  … {text}"));
    let order = Order { locked: lock.get(&recipe), tell: &tell, ..Order::new(&recipe) };
    let installed = Store::new(target::places(global).store).install(&order).await.map_err(stop)?;
    let version = installed.version.map(|v| format!(" {v}")).unwrap_or_default();
    printer.done(format!("{}{version} is installed", recipe.package_name()));
    if lock.get(&recipe).is_some() {
        return Ok(());
    }
    match installed.lock {
        Some(locked) => {
            lock.set(&recipe, locked);
            write(&path, &lock)
        }
        None => {
            printer.warn(format!(
                "{} is not in {}: something of it has no digest, or is named by an address",
                recipe.package_name(),
                path.display()
            ));
            Ok(())
        }
    }
}

/// Takes out of the lock what no server of this configuration needs.
pub(crate) fn forget(config: &str, global: &Global, printer: Printer) -> Result<(), Stop> {
    let path = Lock::path(&target::config_path(global));
    let mut lock = match Lock::read(&path) {
        Ok(lock) => lock,
        Err(error) => {
            printer.warn(format!("the lock stays as it is: {error}"));
            return Ok(());
        }
    };
    let Ok((config, _)) = Config::parse("cella.toml", config) else { return Ok(()) };
    let recipes: Vec<Recipe> =
        config.servers.values().filter_map(|server| recipe(&config, server).ok().flatten()).collect();
    if lock.keep(&recipes) { write(&path, &lock) } else { Ok(()) }
}

/// The packages that a server is installed from.
pub(crate) fn recipe(config: &Config, server: &ServerConfig) -> Result<Option<Recipe>, Stop> {
    let Run::Program(program) = &server.run else { return Ok(None) };
    let mut recipe = Recipe::read(&program.command, &program.args).map_err(stop)?;
    if let Some(recipe) = &mut recipe {
        recipe.allowed = Allowed::of(server, &config.install);
        // As the node will: it is the same installation then.
        recipe.take_registries(&program.env, &|text| {
            cella_contract::expand(text, &|name| std::env::var(name).ok()).ok()
        });
    }
    Ok(recipe)
}

fn write(path: &Path, lock: &Lock) -> Result<(), Stop> {
    edit::exchange(path, lock.text().as_bytes()).map_err(Stop::system(path.display()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn stop(error: InstallError) -> Stop {
    Stop::new(Code::Failed, error.code(), &error).fix(error.fix())
}
