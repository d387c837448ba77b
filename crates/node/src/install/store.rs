//! Installing a recipe into the store, once, and finding it again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use cella_packages::program;

use super::{
    Ecosystem, InstallError, Locked, Pin, Recipe, Tree,
    bench::{Bench, WORK},
    npm, pypi,
};
use crate::confine::{Confinement, NoSink, Sink};

/// The format of `installed.json` that this program reads and writes. What another version wrote is installed anew.
const INSTALLED_SCHEMA: &str = "cella-install/v1";

/// Says what is in a directory of the store; written last, so that a directory without it is half-made.
const MARKER: &str = "installed.json";

/// The directory of installed packages.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    confinement: Confinement,
}

/// What is to be installed.
pub struct Order<'a> {
    /// The packages, and what the user allows their installer.
    pub recipe: &'a Recipe,
    /// What exactly it has to come to, where a lock says so.
    pub locked: Option<&'a Locked>,
    /// Who hears of the installer's connections.
    pub sink: Arc<dyn Sink>,
    /// Who hears what is being done.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// An installed package, ready to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Installed {
    schema: String,
    /// The main package.
    pub package: String,
    /// Version of the main package, as the installer resolved it.
    pub version: Option<String>,
    /// The program to start.
    pub command: String,
    /// Arguments that come before the server's own.
    pub args: Vec<String>,
    /// The directory that a cell needs to read.
    pub directory: PathBuf,
    /// Everything that was installed.
    pub packages: Vec<Pin>,
    /// What would install the same again; `None` where nothing would, as with a checkout of sources.
    pub lock: Option<Locked>,
    /// The files.
    pub tree: Tree,
    /// It was installed just now.
    #[serde(skip)]
    pub fresh: bool,
}

// === impl Order ===

impl<'a> Order<'a> {
    /// An order that is bound to no lock, with nobody listening.
    #[must_use]
    pub fn new(recipe: &'a Recipe) -> Self {
        Self { recipe, locked: None, sink: Arc::new(NoSink), tell: &|_| () }
    }
}

impl std::fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("recipe", &self.recipe).finish_non_exhaustive()
    }
}

// === impl Store ===

impl Store {
    /// The store in this directory, which is made when it is first needed.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self::with(root, Confinement::new())
    }

    /// The same, with the cells of a node.
    #[must_use]
    pub fn with(root: PathBuf, confinement: Confinement) -> Self {
        Self { root, confinement }
    }

    /// What is installed for this recipe, if anything is. Whether its files have changed is seen by their times; when
    /// these are others, all of it is read.
    ///
    /// # Errors
    /// Its files are not those that were installed, or cannot be read.
    pub fn find(&self, recipe: &Recipe, locked: Option<&Locked>) -> Result<Option<Installed>, InstallError> {
        let Some(mut found) = self.homes(recipe, locked).iter().find_map(|home| read(home, recipe, locked))
        else {
            return Ok(None);
        };
        let home = found.directory.clone();
        let failed = |source| InstallError::Store { path: home.clone(), source };
        if !found.tree.looks_unchanged(&home, MARKER).map_err(failed)? {
            let now = verified(&found)?;
            // Touched, or copied from elsewhere. A store that cannot be written is read anew each time.
            found.tree = now;
            let _next_time = write(&home, &found);
        }
        // A directory of the same packages, installed for another program of theirs.
        let program = program::find(recipe, &home)?;
        (found.command, found.args) = (program.command, program.args);
        Ok(Some(found))
    }

    /// Reads every file of what is installed for this recipe. `None` if nothing is.
    ///
    /// # Errors
    /// Its files are not those that were installed, or cannot be read.
    pub fn verify(
        &self,
        recipe: &Recipe,
        locked: Option<&Locked>,
    ) -> Result<Option<Installed>, InstallError> {
        let found = self.homes(recipe, locked).iter().find_map(|home| read(home, recipe, locked));
        found.map(|found| verified(&found).map(|_same| found)).transpose()
    }

    /// Where it may be: what a lock names may have come of itself, else it has a place of its own, so that two projects
    /// with different locks do not take turns.
    fn homes(&self, recipe: &Recipe, locked: Option<&Locked>) -> Vec<PathBuf> {
        let root = fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        // Where code of the package has run, other files are.
        let built = if recipe.allowed.build_from_source { "-built" } else { "" };
        let name = format!("{}{built}", recipe.key());
        let own = locked.map(|locked| {
            let digest: String = locked.digest().chars().skip("sha256:".len()).take(8).collect();
            root.join(format!("{name}-{digest}"))
        });
        own.into_iter().chain([root.join(&name)]).collect()
    }

    /// Installs the recipe unless it is installed.
    ///
    /// # Errors
    /// No installer, an installer that fails, no cell for it, a store that cannot be written, or installed files that have
    /// changed. Nothing half-made is left.
    pub async fn install(&self, order: &Order<'_>) -> Result<Installed, InstallError> {
        let (recipe, locked) = (order.recipe, order.locked);
        if let Some(found) = self.find_aside(recipe, locked).await? {
            return Ok(found);
        }
        let store = |path: &Path| {
            let path = path.to_path_buf();
            move |source| InstallError::Store { path, source }
        };
        fs::create_dir_all(&self.root).map_err(store(&self.root))?;
        let home = self.homes(recipe, locked).swap_remove(0);
        // Virtual environments hold absolute paths, so the work is done in the final place.
        let _lock = lock(&home.with_extension("lock")).await.map_err(store(&home))?;
        if let Some(found) = self.find_aside(recipe, locked).await? {
            return Ok(found);
        }
        if home.exists() {
            fs::remove_dir_all(&home).map_err(store(&home))?;
        }
        let cache = fs::canonicalize(&self.root).map_err(store(&self.root))?.join("cache");
        for dir in [&home.join(WORK), &cache] {
            fs::create_dir_all(dir).map_err(store(dir))?;
        }
        let how = if locked.is_some() { ", as the lock says" } else { "" };
        (order.tell)(&format!("installing {} from {}{how}", recipe.packages.join(" "), recipe.ecosystem));
        let half_made = HalfMade(Some(home.clone()));
        let bench = Bench { order, confinement: &self.confinement, home: &home, cache };
        let (packages, lock) = match recipe.ecosystem {
            Ecosystem::Npm => npm::install(&bench).await?,
            Ecosystem::PyPi => pypi::install(&bench).await?,
        };
        let work = home.join(WORK);
        fs::remove_dir_all(&work).map_err(store(&work))?;
        let installed = finished(recipe, &home, packages, locked.cloned().or(lock))?;
        if let Some(said) = locked.and_then(|locked| difference(&locked.pins(), &installed.packages)) {
            return Err(InstallError::NotAsLocked { package: recipe.packages.join(" "), said });
        }
        write(&home, &installed).map_err(store(&home))?;
        half_made.keep();
        Ok(Installed { fresh: true, ..installed })
    }

    /// [`Store::find`], on a thread where thousands of files may be looked at.
    async fn find_aside(
        &self,
        recipe: &Recipe,
        locked: Option<&Locked>,
    ) -> Result<Option<Installed>, InstallError> {
        let (store, recipe, locked) = (self.clone(), recipe.clone(), locked.cloned());
        let found = tokio::task::spawn_blocking(move || store.find(&recipe, locked.as_ref())).await;
        found.unwrap_or_else(|e| {
            Err(InstallError::Store { path: self.root.clone(), source: io::Error::other(e) })
        })
    }
}

/// A directory that goes when its installation fails or is given up.
struct HalfMade(Option<PathBuf>);

impl HalfMade {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for HalfMade {
    fn drop(&mut self) {
        if let Some(home) = &self.0 {
            let _swept_away_by_the_next = fs::remove_dir_all(home);
        }
    }
}

fn finished(
    recipe: &Recipe,
    home: &Path,
    packages: Vec<Pin>,
    lock: Option<Locked>,
) -> Result<Installed, InstallError> {
    let found = program::find(recipe, home)?;
    let tree = Tree::read(home, MARKER)
        .map_err(|source| InstallError::Store { path: home.to_path_buf(), source })?;
    let name = recipe.package_name().to_owned();
    let same = |pin: &&Pin| pin.name.eq_ignore_ascii_case(&name.replace('_', "-")) || pin.name == name;
    let version = packages.iter().find(same).map(|pin| pin.version.clone());
    Ok(Installed {
        schema: INSTALLED_SCHEMA.to_owned(),
        package: name,
        version,
        command: found.command,
        args: found.args,
        directory: home.to_path_buf(),
        packages,
        lock,
        tree,
        fresh: true,
    })
}

/// What the marker of a directory says, if it is one of this version and of what is wanted.
fn read(home: &Path, recipe: &Recipe, locked: Option<&Locked>) -> Option<Installed> {
    let text = fs::read_to_string(home.join(MARKER)).ok()?;
    let mut found: Installed = serde_json::from_str(&text).ok()?;
    let same = found.schema == INSTALLED_SCHEMA && found.package == recipe.package_name();
    // A store may have been moved.
    found.directory = home.to_path_buf();
    let exact =
        locked.is_none_or(|locked| found.lock.as_ref().is_some_and(|own| own.digest() == locked.digest()));
    (same && exact).then_some(found)
}

/// Reads every file.
fn verified(installed: &Installed) -> Result<Tree, InstallError> {
    let home = &installed.directory;
    let now =
        Tree::read(home, MARKER).map_err(|source| InstallError::Store { path: home.clone(), source })?;
    if now.digest == installed.tree.digest {
        return Ok(now);
    }
    Err(InstallError::Changed { package: installed.package.clone(), directory: home.clone() })
}

fn write(home: &Path, installed: &Installed) -> io::Result<()> {
    let text = serde_json::to_string_pretty(installed)?;
    fs::write(home.join(MARKER), format!("{text}\n"))
}

/// The first package that is not as it should be.
fn difference(wanted: &[Pin], got: &[Pin]) -> Option<String> {
    let named =
        |pin: Option<&Pin>| pin.map_or("nothing".to_owned(), |pin| format!("{} {}", pin.name, pin.version));
    let missing = wanted.iter().find(|wanted| !got.iter().any(|pin| pin.fulfils(wanted)));
    let more = got.iter().find(|pin| !wanted.iter().any(|wanted| pin.fulfils(wanted)));
    (missing.is_some() || more.is_some()).then(|| format!("expected {}, got {}", named(missing), named(more)))
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
