//! Finding the program of a package that is installed.

use std::{fs, path::Path};

use crate::{Ecosystem, InstallError, Recipe};

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Name or path.
    pub command: String,
    /// Before the server's own.
    pub args: Vec<String>,
}

/// Finds what the recipe is to run, below the directory that it was installed into.
///
/// # Errors
/// [`InstallError::NoProgram`], with what is there, or a directory that cannot be read.
pub fn find(recipe: &Recipe, home: &Path) -> Result<Found, InstallError> {
    match recipe.ecosystem {
        Ecosystem::Npm => of_npm(recipe, home),
        Ecosystem::PyPi => of_pypi(recipe, home),
    }
}

fn of_npm(recipe: &Recipe, home: &Path) -> Result<Found, InstallError> {
    let package = home.join("node_modules").join(recipe.package_name());
    let manifest = package.join("package.json");
    let read = fs::read_to_string(&manifest)
        .map_err(|source| InstallError::Store { path: manifest.clone(), source })?;
    let manifest: serde_json::Value = serde_json::from_str(&read).unwrap_or_default();
    let own = recipe.package_name().rsplit('/').next().unwrap_or_default();
    let bins: Vec<(String, String)> = match &manifest["bin"] {
        serde_json::Value::String(path) => vec![(own.to_owned(), path.clone())],
        serde_json::Value::Object(map) => {
            map.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
        }
        _ => Vec::new(),
    };
    let wanted = recipe.program.as_deref().unwrap_or(own);
    let found = bins.iter().find(|(name, _)| name == wanted).or(match (&recipe.program, bins.as_slice()) {
        (None, [only]) => Some(only),
        _ => None,
    });
    let script = |path: &Path| {
        // Around a script its package is shown, so a manifest must not lead anywhere else.
        let real = fs::canonicalize(path).ok().filter(|real| real.starts_with(home) && real.is_file())?;
        Some(Found { command: "node".into(), args: vec![real.to_string_lossy().into_owned()] })
    };
    if let Some(found) = found.and_then(|(_, path)| script(&package.join(path))) {
        return Ok(found);
    }
    // A program of another package of the recipe, by its link.
    if let Some(found) = script(&home.join("node_modules/.bin").join(wanted)) {
        return Ok(found);
    }
    let offered = bins.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    Err(InstallError::NoProgram { package: recipe.packages[0].clone(), wanted: wanted.to_owned(), offered })
}

fn of_pypi(recipe: &Recipe, home: &Path) -> Result<Found, InstallError> {
    let bin = home.join("venv/bin");
    let wanted = recipe.program.as_deref().unwrap_or_else(|| recipe.package_name());
    let path = bin.join(wanted);
    if !path.is_file() {
        let ours = ["python", "pip", "activate", "Activate", "wheel"];
        let mut offered: Vec<String> = fs::read_dir(&bin)
            .into_iter()
            .flatten()
            .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| !ours.iter().any(|o| name.starts_with(o)))
            .collect();
        offered.sort();
        let (package, wanted) = (recipe.packages[0].clone(), wanted.to_owned());
        return Err(InstallError::NoProgram { package, wanted, offered: offered.join(", ") });
    }
    // Started by its interpreter, so that the length and form of the script's first line do not matter.
    let command = bin.join("python").to_string_lossy().into_owned();
    let args = vec![path.to_string_lossy().into_owned()];
    Ok(Found { command, args })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_leads_out_of_the_package_has_no_program() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = fs::canonicalize(dir.path()).expect("a path");
        let home = dir.join("home");
        fs::create_dir_all(home.join("node_modules/tool")).expect("a directory");
        fs::write(dir.join("secret.js"), "").expect("a file");
        fs::write(home.join("node_modules/tool/own.js"), "").expect("a file");
        let recipe = Recipe::read("npx", &["tool".into()]).expect("readable").expect("a recipe");
        let with = |bin: &str| {
            let manifest = serde_json::json!({ "bin": { "tool": bin } }).to_string();
            fs::write(home.join("node_modules/tool/package.json"), manifest).expect("a file");
            find(&recipe, &home)
        };
        assert_eq!(with("../../../secret.js").expect_err("refused").code(), "CE2205");
        assert!(with("own.js").expect("found").args[0].ends_with("home/node_modules/tool/own.js"));
    }
}
