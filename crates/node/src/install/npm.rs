//! Installing npm packages, one step after the other.

use serde_json::{Value, json};

use cella_packages::{
    InstallError, Locked, Pin, lines, pins,
    registry::{Reach, Unreadable},
};

use super::{
    bench::{Around, Bench, Step},
    outcome::Purpose,
};

/// Installs; gives what came of it, and the lock that would give the same.
pub(super) async fn install(bench: &Bench<'_>) -> Result<(Vec<Pin>, Option<Locked>), InstallError> {
    let recipe = bench.recipe();
    bench.has("npm", "install Node.js: apt-get install nodejs npm")?;
    bench.write("package.json", "{\"private\":true}\n")?;
    let reach = reach(bench).await?;
    let around = Around::Registries(&reach);
    let exact = bench.order.locked.and_then(Locked::npms);
    let (args, purpose) = match exact {
        Some(lock) => {
            bench.write("package.json", &format!("{}\n", manifest(lock)))?;
            bench.write("package-lock.json", &format!("{lock:#}\n"))?;
            (lines::npm_exact(recipe), Purpose::Exact)
        }
        None => (lines::npm_install(recipe), Purpose::Find),
    };
    bench.run(Step { program: "npm", args, purpose, around }).await?;
    if recipe.allowed.build_from_source {
        bench.tell("running the install scripts of the package, in a cell without credentials");
        let around = Around::PackageCode;
        bench
            .run(Step { program: "npm", args: lines::npm_scripts(), purpose: Purpose::Find, around })
            .await?;
    }
    let lock: Value = serde_json::from_str(&bench.read("package-lock.json")?).unwrap_or_default();
    Ok((pins::of_npm(&lock), Locked::npm(recipe, lock)))
}

/// The manifest that a lock was made of; npm installs a lock only beside it.
fn manifest(lock: &Value) -> Value {
    let mut manifest = json!({ "private": true });
    let dependencies = &lock["packages"][""]["dependencies"];
    if !dependencies.is_null() {
        manifest["dependencies"] = dependencies.clone();
    }
    manifest
}

async fn reach(bench: &Bench<'_>) -> Result<Reach, InstallError> {
    let args = ["config", "list", "--json"].map(str::to_owned).to_vec();
    let step = Step { program: "npm", args, purpose: Purpose::Find, around: Around::Settings };
    let said = bench.run(step).await?;
    let failed = |why: String| InstallError::NoRegistry { tool: "npm", why };
    let settings: Value = serde_json::from_str(&said).map_err(|e| failed(e.to_string()))?;
    let unreadable = |e: Unreadable| failed(format!("`{}`: {}", e.url, e.why));
    let reach = Reach::of_npm(&settings, bench.recipe(), &bench.surroundings().env).map_err(unreadable)?;
    bench.through_proxies(reach).await.map_err(unreadable)
}
