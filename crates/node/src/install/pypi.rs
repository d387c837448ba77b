//! Installing Python packages, one step after the other: an environment, the files, and out of them the packages.

use std::{fs, io};

use cella_packages::{
    Index, InstallError, Locked, Pin, lines, pins,
    registry::{ASK_PIP, PipSettings, Reach, Unreadable},
    tree,
};

use super::{
    bench::{Around, Bench, Step},
    outcome::Purpose,
};

/// Variables that name indexes which uv asks before the public one.
const UV_INDEXES: [&str; 2] = ["UV_INDEX", "UV_EXTRA_INDEX_URL"];

/// Where fetched files are while they are needed.
const FILES: &str = "files";

/// Installs; gives what came of it, and the lock that would give the same.
pub(super) async fn install(bench: &Bench<'_>) -> Result<(Vec<Pin>, Option<Locked>), InstallError> {
    let recipe = bench.recipe();
    // pip builds what is named by address whatever it is told of wheels.
    let sources = recipe.packages.iter().find(|package| lines::names_sources(package));
    if let Some(package) = sources.filter(|_| !recipe.allowed.build_from_source) {
        let said = "it names sources, not a package of an index".to_owned();
        return Err(InstallError::NoWheel { package: package.clone(), said });
    }
    let python = bench.python()?;
    let args = ["-m", "venv", "venv"].map(str::to_owned).to_vec();
    bench.run(Step { program: &python, args, purpose: Purpose::Find, around: Around::Nothing }).await?;
    let python = bench.home.join("venv/bin/python").to_string_lossy().into_owned();
    let reach = reach(bench, &python).await?;
    // pip takes the highest version of all indexes, so that anybody could publish one under a private name.
    let env = bench.surroundings().env;
    let before = recipe.indexes.iter().any(|index| matches!(index, Index::Before(_)))
        || UV_INDEXES.iter().any(|name| env.contains_key(*name));
    let pins =
        if before { with_uv(bench, &python, &reach).await } else { with_pip(bench, &python, &reach).await }?;
    let locked = pins.iter().all(Option::is_some);
    let mut pins: Vec<Pin> = pins.into_iter().flatten().collect();
    pins.sort();
    let lock = locked.then(|| Locked::pypi(recipe, pins.clone())).flatten();
    Ok((pins, lock))
}

/// Which hosts pip, or uv, may reach: asked of the very pip that will do it.
async fn reach(bench: &Bench<'_>, python: &str) -> Result<Reach, InstallError> {
    let args = vec!["-c".to_owned(), ASK_PIP.to_owned()];
    let around = Around::Settings;
    let said = bench.run(Step { program: python, args, purpose: Purpose::Find, around }).await?;
    let failed = |why: String| InstallError::NoRegistry { tool: "pip", why };
    let settings: PipSettings = serde_json::from_str(said.trim()).map_err(|e| failed(e.to_string()))?;
    let env = bench.surroundings().env;
    let uv = env.get("UV_CONFIG_FILE").and_then(|file| fs::read_to_string(file).ok());
    let unreadable = |e: Unreadable| failed(format!("`{}`: {}", e.url, e.why));
    let reach = Reach::of_pip(&settings, bench.recipe(), &env)
        .and_then(|reach| reach.with_uv(uv.as_deref(), &env))
        .map_err(unreadable)?;
    bench.through_proxies(reach).await.map_err(unreadable)
}

/// The files first, with the registry; then the packages, of wheels without it.
async fn with_pip(bench: &Bench<'_>, python: &str, reach: &Reach) -> Result<Vec<Option<Pin>>, InstallError> {
    let around = Around::Registries(reach);
    let (args, purpose) = match bench.order.locked {
        Some(locked) => {
            bench.write("requirements.txt", &pins::requirements(&locked.pins()))?;
            (lines::pip_exact(bench.recipe()), Purpose::Exact)
        }
        None => (lines::pip_fetch(bench.recipe()), Purpose::Find),
    };
    bench.run(Step { program: python, args, purpose, around }).await?;
    let (files, pins) = fetched(bench)?;
    let all_wheels = files.iter().all(|file| file.ends_with(".whl"));
    let around = if all_wheels { Around::Nothing } else { around };
    let args = lines::pip_install(bench.recipe(), &files);
    bench.run(Step { program: python, args, purpose: Purpose::Find, around }).await?;
    let dir = bench.home.join(FILES);
    fs::remove_dir_all(&dir).map_err(|source| InstallError::Store { path: dir, source })?;
    Ok(pins)
}

/// Fetched files, and the pin of each that has one.
fn fetched(bench: &Bench<'_>) -> Result<(Vec<String>, Vec<Option<Pin>>), InstallError> {
    let dir = bench.home.join(FILES);
    let failed = |source| InstallError::Store { path: dir.clone(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed)? {
        files.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    let pin = |name: &String| {
        let digest = tree::hex(tree::of_file(&dir.join(name))?);
        Ok(pins::of_file(name, &digest))
    };
    let pins = files.iter().map(pin).collect::<Result<Vec<_>, io::Error>>().map_err(failed)?;
    Ok((files.into_iter().map(|name| format!("{FILES}/{name}")).collect(), pins))
}

async fn with_uv(bench: &Bench<'_>, python: &str, reach: &Reach) -> Result<Vec<Option<Pin>>, InstallError> {
    bench.has(
        "uv",
        "install uv, which asks one index after the other, or name a single one: --default-index URL",
    )?;
    let around = Around::Registries(reach);
    let mut purpose = Purpose::Find;
    if let Some(locked) = bench.order.locked {
        bench.write("requirements.txt", &pins::requirements(&locked.pins()))?;
        purpose = Purpose::Exact;
    } else {
        bench.write("requirements.in", &format!("{}\n", bench.recipe().packages.join("\n")))?;
        let args = lines::uv_find(bench.recipe(), python);
        bench.run(Step { program: "uv", args, purpose, around }).await?;
    }
    let args = lines::uv_exact(bench.recipe(), python);
    bench.run(Step { program: "uv", args, purpose, around }).await?;
    Ok(pins::of_requirements(&bench.read("requirements.txt")?).into_iter().map(Some).collect())
}
