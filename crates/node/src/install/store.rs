//! Installing a recipe into the store, once.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Ecosystem, Index, InstallError, Recipe, environment};

/// Time one installation may take. Stops an installer that waits for a registry for ever.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(600);

/// Lines of an installer's output kept for an error message.
const SAID_LINES: usize = 6;

/// Variables that name indexes which uv asks before the public one.
const UV_INDEXES: [&str; 2] = ["UV_INDEX", "UV_EXTRA_INDEX_URL"];

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
        // Installers keep their caches at home, and look there for what is none of their business.
        let users_home = self.root.join("home");
        fs::create_dir_all(&users_home).map_err(store(&users_home))?;
        let env = environment::environment(
            &users_home,
            &recipe.registries,
            &|name| std::env::var_os(name),
            &|path| path.exists(),
        );
        let installer = Installer { recipe, home: &home, env };
        let done = match recipe.ecosystem {
            Ecosystem::Npm => installer.npm().await,
            Ecosystem::PyPi => installer.pypi().await,
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

/// Runs installers for one recipe.
struct Installer<'a> {
    recipe: &'a Recipe,
    /// Where the packages go.
    home: &'a Path,
    /// The whole environment.
    env: Vec<(String, OsString)>,
}

impl Installer<'_> {
    async fn npm(&self) -> Result<(), InstallError> {
        fs::write(self.home.join("package.json"), "{\"private\":true}\n")
            .map_err(|source| InstallError::Store { path: self.home.to_path_buf(), source })?;
        let npm = self.tool("npm", "install Node.js: apt-get install nodejs npm")?;
        self.run(&npm, npm_args(self.recipe)).await
    }

    async fn pypi(&self) -> Result<(), InstallError> {
        // pip builds what is named by address whatever it is told of wheels.
        let sources = self.recipe.packages.iter().find(|package| names_sources(package));
        if let Some(package) = sources.filter(|_| !self.recipe.build_from_source) {
            let said = "it names sources, not a package of an index".to_owned();
            return Err(InstallError::NoWheel { package: package.clone(), said });
        }
        let venv = self.home.join("venv");
        self.make_venv(&venv).await?;
        let python = venv.join("bin/python");
        let before = self.recipe.indexes.iter().any(|index| matches!(index, Index::Before(_)));
        let before = before || self.env.iter().any(|(name, _)| UV_INDEXES.contains(&name.as_str()));
        let done = if before {
            // pip takes the highest version of all indexes, so that anybody could publish one under a private name.
            let uv = self.tool(
                "uv",
                "install uv, which asks one index after the other, or name a single one: --default-index URL",
            )?;
            self.run(&uv, uv_args(self.recipe, &python)).await
        } else {
            self.run(&python, pip_args(self.recipe)).await
        };
        match done {
            Err(InstallError::Failed { package, said, .. })
                if !self.recipe.build_from_source && is_no_wheel(&said) =>
            {
                Err(InstallError::NoWheel { package, said })
            }
            done => done,
        }
    }

    /// Of the Python that was asked for, or of any.
    async fn make_venv(&self, venv: &Path) -> Result<(), InstallError> {
        let path = venv.to_string_lossy().into_owned();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let Some(asked) = &self.recipe.python else {
            let python = self.tool("python3", "install Python: apt-get install python3 python3-venv")?;
            return self.run(&python, words(&["-m", "venv", &path])).await;
        };
        let on_path = |name: &str| environment::program(name, &self.env, &is_program);
        let named = match interpreter(asked) {
            Some(file) if file.starts_with('/') => Some(PathBuf::from(file)).filter(|file| is_program(file)),
            Some(name) => on_path(&name),
            None => None,
        };
        if let Some(python) = named {
            return self.run(&python, words(&["-m", "venv", &path])).await;
        }
        // uv knows more ways to say which one, and where to get it
        let uv = on_path("uv").ok_or_else(|| InstallError::NoPython { asked: asked.clone() })?;
        self.run(&uv, words(&["venv", "--quiet", "--seed", "--python", asked, &path])).await
    }

    fn tool(&self, tool: &'static str, fix: &'static str) -> Result<PathBuf, InstallError> {
        environment::program(tool, &self.env, &is_program).ok_or(InstallError::NoInstaller { tool, fix })
    }

    /// Everything that it starts is gone when it has ended, when its time is over, and when this process is gone.
    async fn run(&self, program: &Path, args: Vec<String>) -> Result<(), InstallError> {
        let failed = |said: String| InstallError::Failed {
            ecosystem: self.recipe.ecosystem,
            package: self.recipe.packages.join(" "),
            said,
        };
        let mut command = Command::from(cella_cell::whole_tree(program));
        command
            .args(args)
            .current_dir(self.home)
            .env_clear()
            .envs(self.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().map_err(|e| failed(e.to_string()))?;
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
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The file, or the name of the program, for a Python that is asked for as `3`, `3.12`, `python3.12` or by its path. `None`
/// for everything else that uv understands.
fn interpreter(asked: &str) -> Option<String> {
    if asked.starts_with('/') {
        return Some(asked.to_owned());
    }
    let version = asked.strip_prefix("python").unwrap_or(asked);
    let numbers: Vec<&str> = version.split('.').collect();
    let plain = numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (plain && numbers.len() <= 2).then(|| format!("python{version}"))
}

fn npm_args(recipe: &Recipe) -> Vec<String> {
    // Install scripts would run unconfined; a package that needs them must be built by its user.
    let fixed = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"];
    line(&fixed, &recipe.indexes, |_| "--registry", &recipe.packages)
}

fn pip_args(recipe: &Recipe) -> Vec<String> {
    let fixed = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    let wheels: &[&str] = if recipe.build_from_source { &[] } else { &["--only-binary", ":all:"] };
    line(&[&fixed[..], wheels].concat(), &recipe.indexes, |_| "--index-url", &recipe.packages)
}

fn uv_args(recipe: &Recipe, python: &Path) -> Vec<String> {
    let python = python.to_string_lossy();
    let fixed = ["pip", "install", "--quiet", "--index-strategy", "first-index", "--python", &python];
    let wheels: &[&str] = if recipe.build_from_source { &[] } else { &["--only-binary", ":all:"] };
    let flag = |index: &Index| match index {
        Index::Instead(_) => "--default-index",
        Index::Before(_) => "--index",
    };
    line(&[&fixed[..], wheels].concat(), &recipe.indexes, flag, &recipe.packages)
}

/// Flags, indexes, and after `--` the packages, so that none is taken for a flag.
fn line(
    fixed: &[&str],
    indexes: &[Index],
    flag: fn(&Index) -> &'static str,
    packages: &[String],
) -> Vec<String> {
    let indexes = indexes.iter().flat_map(|index| {
        let (Index::Instead(url) | Index::Before(url)) = index;
        [flag(index).to_owned(), url.clone()]
    });
    let fixed = fixed.iter().map(|word| (*word).to_owned());
    fixed.chain(indexes).chain(["--".to_owned()]).chain(packages.iter().cloned()).collect()
}

/// Whether a requirement is an address or a path, and not that of a wheel.
fn names_sources(package: &str) -> bool {
    let is_place = package.contains("://") || package.starts_with(['.', '/', '~']);
    is_place && !package.split(['#', '?']).next().unwrap_or(package).ends_with(".whl")
}

/// What pip and uv say when there are only sources, or nothing at all; they do not tell the two apart.
fn is_no_wheel(said: &str) -> bool {
    [
        "No matching distribution",
        "Could not find a version",
        "no usable wheels",
        "has no wheels",
        "no wheels with",
    ]
    .iter()
    .any(|words| said.contains(words))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(line: &str) -> Recipe {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Recipe::read(&words[0], &words[1..]).expect("readable").expect("a recipe")
    }

    #[test]
    fn source_is_built_only_when_told_to() {
        let mut tool = recipe("uvx tool");
        let wheels_only = |args: Vec<String>| args.windows(2).any(|pair| pair == ["--only-binary", ":all:"]);
        assert!(wheels_only(pip_args(&tool)) && wheels_only(uv_args(&tool, Path::new("/venv/bin/python"))));
        tool.build_from_source = true;
        assert!(!wheels_only(pip_args(&tool)) && !wheels_only(uv_args(&tool, Path::new("/venv/bin/python"))));
        assert!(npm_args(&recipe("npx tool")).contains(&"--ignore-scripts".to_owned()));
    }

    #[test]
    fn a_python_is_found_by_version_name_or_path() {
        for (asked, program) in [
            ("3.12", Some("python3.12")),
            ("python3.12", Some("python3.12")),
            ("/opt/p/bin/python", Some("/opt/p/bin/python")),
            ("3.12.4", None),
            (">=3.11", None),
            ("pypy", None),
        ] {
            assert_eq!(interpreter(asked).as_deref(), program, "{asked}");
        }
    }

    #[tokio::test]
    async fn a_python_that_is_not_here_is_refused_by_its_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let recipe = recipe("uvx --python 3.99 tool");
        let installer =
            Installer { recipe: &recipe, home: dir.path(), env: vec![("PATH".into(), "/nowhere".into())] };
        let refused = installer.pypi().await.expect_err("refused");
        assert!(refused.code() == "CE2209" && refused.to_string().contains("3.99"), "{refused}");
    }

    #[test]
    fn addresses_and_paths_are_sources_unless_they_are_wheels() {
        for package in ["git+https://a/b", "b @ git+ssh://git@a/b", "./b", "/b", "https://u@a/b-1.tar.gz"] {
            assert!(names_sources(package), "{package}");
        }
        for package in
            ["b", "b==1", "b[extra]>=2,<3", "b @ https://a/b-1-py3-none-any.whl#sha256=1", "/b-1.whl"]
        {
            assert!(!names_sources(package), "{package}");
        }
    }

    #[test]
    fn packages_are_never_flags_and_come_from_the_index_that_was_named() {
        let ends = |args: Vec<String>, with: &[&str]| {
            assert!(args.ends_with(&with.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()), "{args:?}")
        };
        ends(
            npm_args(&recipe("npx --registry https://a -p --global -p b c")),
            &["--registry", "https://a", "--", "--global", "b"],
        );
        ends(
            pip_args(&recipe("uvx --index-url https://a tool@1")),
            &["--index-url", "https://a", "--", "tool==1"],
        );
        let both = recipe("uvx --index https://a --default-index https://b tool");
        ends(
            uv_args(&both, Path::new("/p")),
            &["--index", "https://a", "--default-index", "https://b", "--", "tool"],
        );
    }
}
