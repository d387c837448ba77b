//! Installing a recipe into the store, once.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Ecosystem, InstallError, Recipe};
use crate::inherit::SUPERVISION;

/// Time one installation may take. Stops an installer that waits for a registry for ever.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(600);

/// Lines of an installer's output kept for an error message.
const SAID_LINES: usize = 6;

/// The directory of installed packages.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// An installed package, ready to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The program to start.
    pub command: String,
    /// Arguments that come before the server's own.
    pub args: Vec<String>,
    /// The directory that a cell needs to read.
    pub directory: PathBuf,
    /// Version of the main package, as the installer resolved it.
    pub version: Option<String>,
}

// === impl Store ===

impl Store {
    /// The store in this directory, which is made when it is first needed.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// What is installed for this recipe, if anything is.
    #[must_use]
    pub fn find(&self, recipe: &Recipe) -> Option<Installed> {
        let text = fs::read_to_string(self.root.join(recipe.key()).join("installed.json")).ok()?;
        let mut found: Installed = serde_json::from_str(&text).ok()?;
        // A store written for another program of the same packages names another command.
        if let Some(program) = &recipe.program
            && !found.args.iter().chain([&found.command]).any(|a| a.ends_with(program.as_str()))
        {
            found = resolve(recipe, &self.root.join(recipe.key())).ok()?;
        }
        Some(found)
    }

    /// Installs the recipe unless it is installed. `tell` hears what is being done.
    ///
    /// # Errors
    /// No installer, an installer that fails, or a store that cannot be written. Nothing half-made is left.
    pub async fn install(
        &self,
        recipe: &Recipe,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Installed, InstallError> {
        if let Some(found) = self.find(recipe) {
            return Ok(found);
        }
        let home = self.root.join(recipe.key());
        let store = |path: &Path| {
            let path = path.to_path_buf();
            move |source| InstallError::Store { path, source }
        };
        fs::create_dir_all(&self.root).map_err(store(&self.root))?;
        // Virtual environments hold absolute paths, so the work is done in the final place; the marker file comes last
        // and a directory without it is swept away here.
        let _lock =
            lock(&self.root.join(format!("{}.lock", recipe.key()))).await.map_err(store(&self.root))?;
        if let Some(found) = self.find(recipe) {
            return Ok(found);
        }
        if home.exists() {
            fs::remove_dir_all(&home).map_err(store(&home))?;
        }
        fs::create_dir_all(&home).map_err(store(&home))?;
        tell(&format!("installing {} from {}", recipe.packages.join(" "), recipe.ecosystem));
        let done = match recipe.ecosystem {
            Ecosystem::Npm => npm(recipe, &home).await,
            Ecosystem::PyPi => pypi(recipe, &home, tell).await,
        };
        let done = done.and_then(|()| resolve(recipe, &home));
        let installed = match done {
            Ok(installed) => installed,
            Err(e) => {
                let _best_effort = fs::remove_dir_all(&home);
                return Err(e);
            }
        };
        let marker = home.join("installed.json");
        let text = serde_json::to_string_pretty(&installed).unwrap_or_default();
        fs::write(&marker, text).map_err(store(&marker))?;
        Ok(installed)
    }
}

async fn npm(recipe: &Recipe, home: &Path) -> Result<(), InstallError> {
    fs::write(home.join("package.json"), "{\"private\":true}\n")
        .map_err(|source| InstallError::Store { path: home.to_path_buf(), source })?;
    let mut command = Command::new("npm");
    // Install scripts would run unconfined; a package that needs them must be built by its user.
    command
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"])
        .args(&recipe.packages);
    run(recipe, command.current_dir(home), "npm", "install Node.js: apt-get install nodejs npm").await
}

async fn pypi(recipe: &Recipe, home: &Path, tell: &(dyn Fn(&str) + Sync)) -> Result<(), InstallError> {
    let fix = "install Python: apt-get install python3 python3-venv";
    let venv = home.join("venv");
    run(recipe, Command::new("python3").args(["-m", "venv"]).arg(&venv), "python3", fix).await?;
    let pip = |extra: &[&str]| {
        let mut command = Command::new(venv.join("bin/python"));
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        command.args(extra).args(&recipe.packages);
        command
    };
    // Wheels only, at first: building a source distribution runs its code unconfined.
    if run(recipe, &mut pip(&["--only-binary", ":all:"]), "python3", fix).await.is_ok() {
        return Ok(());
    }
    tell("no wheel for every requirement; building from source");
    run(recipe, &mut pip(&[]), "python3", fix).await
}

async fn run(
    recipe: &Recipe,
    command: &mut Command,
    tool: &'static str,
    fix: &'static str,
) -> Result<(), InstallError> {
    let failed = |said: String| InstallError::Failed {
        ecosystem: recipe.ecosystem,
        package: recipe.packages.join(" "),
        said,
    };
    for variable in SUPERVISION {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => InstallError::NoInstaller { tool, fix },
        _ => failed(e.to_string()),
    })?;
    let output = tokio::time::timeout(INSTALL_TIME_MAX, child.wait_with_output())
        .await
        .map_err(|_| failed(format!("no end within {} s", INSTALL_TIME_MAX.as_secs())))?
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let last: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    Err(failed(last[last.len().saturating_sub(SAID_LINES)..].join(" | ")))
}

fn resolve(recipe: &Recipe, home: &Path) -> Result<Installed, InstallError> {
    match recipe.ecosystem {
        Ecosystem::Npm => resolve_npm(recipe, home),
        Ecosystem::PyPi => resolve_pypi(recipe, home),
    }
}

fn resolve_npm(recipe: &Recipe, home: &Path) -> Result<Installed, InstallError> {
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
    let version = manifest["version"].as_str().map(str::to_owned);
    if let Some((_, path)) = found {
        let script = package.join(path).to_string_lossy().into_owned();
        return Ok(Installed {
            command: "node".into(),
            args: vec![script],
            directory: home.to_path_buf(),
            version,
        });
    }
    // A program of another package of the recipe, by its link.
    let link = home.join("node_modules/.bin").join(wanted);
    if let Ok(real) = fs::canonicalize(&link) {
        let args = vec![real.to_string_lossy().into_owned()];
        return Ok(Installed { command: "node".into(), args, directory: home.to_path_buf(), version });
    }
    let offered = bins.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    Err(InstallError::NoProgram { package: recipe.packages[0].clone(), wanted: wanted.to_owned(), offered })
}

fn resolve_pypi(recipe: &Recipe, home: &Path) -> Result<Installed, InstallError> {
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
    Ok(Installed { command, args, directory: home.to_path_buf(), version: None })
}

/// Holds a file lock until dropped, so that two processes never install into one place.
async fn lock(path: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Waiting in the kernel would hold one of two runtime threads for minutes.
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(200)).await,
            Err(fs::TryLockError::Error(e)) => return Err(e),
        }
    }
}
