//! Where installers work: a cell that may write one directory of the store, reach the registries, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use cella_cell::{Access, Mount};
use cella_contract::{Contract, Preset};
use cella_packages::{
    InstallError, Recipe,
    environment::{self, Surroundings},
    registry::{Reach, Unreadable},
    tree,
};
use cella_program::program_files;
use tokio::{io::AsyncReadExt, net::unix::pipe};

use super::{
    outcome::{Ended, Purpose, Watch},
    store::Order,
};
use crate::confine::{self, ConfineError, Confined, Confinement, Sight};

/// Time one step may take. Stops an installer that waits for a registry for ever; past it the step is killed.
const STEP_TIME_MAX: Duration = Duration::from_secs(600);

/// Bytes that a package may have on disk while it is installed, downloads and temporary files included. Stops a package
/// from filling the disk; past it the installer is killed, at the next look.
const DISK_BYTES_MAX: u64 = 4 << 30;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often somebody who waits is told that it goes on.
const TELL_EVERY: Duration = Duration::from_secs(15);

/// Bytes kept of each output stream: of standard output the first, which are read as JSON; of standard error the last.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// For temporary files, and the cache where the package's own code runs: below the package's directory, so that they count.
pub(super) const WORK: &str = ".work";

/// The name of the contract in messages.
const CONTRACT: &str = "the contract of installers";

/// One package that is being installed.
pub(super) struct Bench<'a> {
    pub(super) order: &'a Order<'a>,
    pub(super) confinement: &'a Confinement,
    /// Where the package goes; no link on the way.
    pub(super) home: &'a Path,
    /// Downloads of all packages.
    pub(super) cache: PathBuf,
}

/// One command.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// A name on `PATH`, or a path.
    pub(super) program: &'a str,
    pub(super) args: Vec<String>,
    pub(super) purpose: Purpose,
    pub(super) around: Around<'a>,
}

/// What a command sees beside its program and the package.
#[derive(Clone, Copy, Debug)]
pub(super) enum Around<'a> {
    /// Settings with the credentials of registries, but no host.
    Settings,
    /// Settings, and these hosts.
    Registries(&'a Reach),
    /// Neither: it unpacks what is there.
    Nothing,
    /// No settings, and the hosts that the user grants: it runs code of the package.
    PackageCode,
}

/// What a command sees, may reach, and is told.
struct Terms {
    sight: Sight,
    contract: Contract,
    env: Vec<(String, String)>,
}

// === impl Bench ===

impl Bench<'_> {
    pub(super) fn recipe(&self) -> &Recipe {
        self.order.recipe
    }

    pub(super) fn tell(&self, text: &str) {
        (self.order.tell)(text);
    }

    /// What an installer is told, before anything is added for its cell.
    pub(super) fn surroundings(&self) -> Surroundings {
        let var = |name: &str| std::env::var_os(name);
        let var = |name: &str| environment::replaced(&self.recipe().registries, name, &var);
        Surroundings::of_installer(&var, &|path| path.exists())
    }

    /// Grants the proxies, by their addresses as this machine knows them.
    pub(super) async fn through_proxies(&self, reach: Reach) -> Result<Reach, Unreadable> {
        let mut addresses = BTreeMap::new();
        for (name, port) in reach.proxy_names() {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            let address = found.ok().and_then(|mut found| found.next());
            addresses.extend(address.map(|address| ((name, port), address.ip())));
        }
        reach.through(&addresses)
    }

    /// Whether an installer is on this machine.
    pub(super) fn has(&self, tool: &'static str, fix: &'static str) -> Result<(), InstallError> {
        let found = program_files(tool, &[], Some(self.home), &search_path());
        found.map(drop).map_err(|_| InstallError::NoInstaller { tool, fix })
    }

    /// The Python that the recipe asks for, or any.
    pub(super) fn python(&self) -> Result<String, InstallError> {
        let Some(asked) = &self.recipe().python else {
            self.has("python3", "install Python: apt-get install python3 python3-venv")?;
            return Ok("python3".to_owned());
        };
        let found = interpreter(asked)
            .filter(|name| program_files(name, &[], Some(self.home), &search_path()).is_ok());
        found.ok_or_else(|| InstallError::NoPython { asked: asked.clone() })
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), InstallError> {
        let path = self.home.join(name);
        fs::write(&path, text).map_err(|source| InstallError::Store { path, source })
    }

    pub(super) fn read(&self, name: &str) -> Result<String, InstallError> {
        let path = self.home.join(name);
        fs::read_to_string(&path).map_err(|source| InstallError::Store { path, source })
    }

    /// Runs one command to its end. Everything that it starts is gone when this returns or is dropped.
    pub(super) async fn run(&self, step: Step<'_>) -> Result<String, InstallError> {
        let purpose = step.purpose;
        let refused = |error: ConfineError| InstallError::Cell {
            package: self.recipe().packages.join(" "),
            code: error.code(),
            said: error.to_string(),
            fix: error.fix(),
        };
        let Terms { sight, contract, env } = self.terms(&step).map_err(refused)?;
        let mut spec = confine::spec("install", &contract, &sight, &env, self.recipe().allowed.best_effort);
        spec.limits.wall_time = Some(STEP_TIME_MAX);
        spec.limits.file_bytes = Some(DISK_BYTES_MAX);
        let watch = Arc::new(Watch::new(self.order.sink.clone()));
        let running =
            self.confinement.start_without_secrets(&spec, &contract, watch.clone()).await.map_err(refused)?;
        self.ended(running, &watch).await.result(self.recipe(), purpose)
    }

    async fn ended(&self, running: Confined, watch: &Watch) -> Ended {
        let Confined { stdin, stdout, stderr, cell, egress, .. } = running;
        drop(stdin);
        let (out, err) = (tokio::spawn(first_bytes(stdout)), tokio::spawn(last_bytes(stderr)));
        let full = tokio::select! {
            _exit = cell.wait() => false,
            () = grown(self.home, DISK_BYTES_MAX, self.order.tell) => true,
        };
        let exit = if full { cell.kill().await } else { cell.wait().await };
        if let Some(egress) = egress {
            egress.close().await;
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (out, err) = (out.await.unwrap_or_default(), err.await.unwrap_or_default());
        Ended { exit, out: text(out), err: text(err), troubles: watch.troubles(), full }
    }

    fn terms(&self, step: &Step<'_>) -> Result<Terms, ConfineError> {
        let mut program = program_files(step.program, &step.args, Some(self.home), &search_path())?;
        program.files.retain(|file| !file.starts_with(self.home));
        let var = |name: &str| -> Option<OsString> { std::env::var_os(name) };
        let (told, grants) = match step.around {
            Around::Settings => (self.surroundings(), Vec::new()),
            Around::Registries(reach) => {
                (with(self.surroundings(), reach), reach.grants.iter().cloned().collect())
            }
            Around::Nothing => (Surroundings::of_code(&var), Vec::new()),
            Around::PackageCode => (Surroundings::of_code(&var), self.recipe().allowed.egress.clone()),
        };
        // What code of one package could write, an installer of another must not read.
        let shared = !self.recipe().allowed.build_from_source;
        let cache = if shared { self.cache.clone() } else { self.home.join(WORK).join("cache") };
        let mut env = told.env;
        env.extend(own_variables(self.home, &cache));
        let mut mounts = shown(&told.files);
        mounts.push(mount(self.home, self.home, Access::Write));
        if shared {
            mounts.push(mount(&self.cache, &self.cache, Access::Write));
        }
        mounts.retain(|mount| !program.files.contains(&mount.target));
        // Generous limits, and none of what this preset grants to names in arguments: the mounts are all there is.
        let mut contract = Contract::preset(Preset::Trusted);
        contract.file = Some(CONTRACT.to_owned());
        contract.egress = grants;
        let sight = Sight { program, mounts, masks: Vec::new(), roots: Vec::new(), package: None };
        Ok(Terms { sight, contract, env: env.into_iter().collect() })
    }
}

/// Completes when a directory has more than so many bytes, and says now and then how many it has.
async fn grown(dir: &Path, most: u64, tell: &(dyn Fn(&str) + Sync)) {
    let (began, mut told) = (Instant::now(), Duration::ZERO);
    loop {
        let looked_at = dir.to_path_buf();
        let bytes =
            tokio::task::spawn_blocking(move || tree::bytes_below(&looked_at)).await.unwrap_or_default();
        if bytes > most {
            return;
        }
        if began.elapsed() - told > TELL_EVERY {
            told = began.elapsed();
            tell(&format!("still at it after {} s, {} MiB", told.as_secs(), bytes >> 20));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the settings name beside, and the proxies by their addresses.
fn with(mut told: Surroundings, reach: &Reach) -> Surroundings {
    told.files.extend(reach.files.iter().cloned());
    let npms = |name: &String| name.to_ascii_lowercase().starts_with("npm_config_");
    // npm takes these in capitals too.
    told.env.retain(|name, _| !npms(name) || !reach.proxies.keys().any(|own| own.eq_ignore_ascii_case(name)));
    told.env.extend(reach.proxies.clone());
    told
}

/// Where installers put what they keep.
fn own_variables(home: &Path, cache: &Path) -> BTreeMap<String, String> {
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    [
        ("TMPDIR", path(home.join(WORK))),
        ("npm_config_cache", path(cache.join("npm"))),
        ("PIP_CACHE_DIR", path(cache.join("pip"))),
        ("UV_CACHE_DIR", path(cache.join("uv"))),
        // The cache and the package are mounts of their own, between which no link can be made.
        ("UV_LINK_MODE", "copy".to_owned()),
        ("UV_PYTHON_DOWNLOADS", "never".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Settings and certificates, at the paths by which they are named. Those that every cell sees need no mount, and those
/// that are not there are not shown: the installer says what it misses.
fn shown(files: &[PathBuf]) -> Vec<Mount> {
    let files: BTreeSet<&PathBuf> = files.iter().collect();
    let outside = files
        .into_iter()
        .filter(|file| !["/usr", "/etc/ssl/certs", "/etc/pki"].iter().any(|d| file.starts_with(d)));
    outside.filter_map(|file| Some(mount(&fs::canonicalize(file).ok()?, file, Access::Read))).collect()
}

fn mount(source: &Path, target: &Path, access: Access) -> Mount {
    Mount { source: source.to_owned(), target: target.to_owned(), access }
}

/// The file, or the name of the program, for a Python that is asked for as `3`, `3.12`, `python3.12` or by its path. `None`
/// for everything else that runners understand.
fn interpreter(asked: &str) -> Option<String> {
    if asked.starts_with('/') {
        return Some(asked.to_owned());
    }
    let version = asked.strip_prefix("python").unwrap_or(asked);
    let numbers: Vec<&str> = version.split('.').collect();
    let plain = numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (plain && numbers.len() <= 2).then(|| format!("python{version}"))
}

fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Reads to the end, so that the program never waits, and keeps the beginning.
async fn first_bytes(mut from: pipe::Receiver) -> Vec<u8> {
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 16 << 10]);
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
    kept
}

/// The same, and keeps the end.
async fn last_bytes(mut from: pipe::Receiver) -> Vec<u8> {
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 16 << 10]);
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..count]);
        if kept.len() > 2 * OUTPUT_BYTES_MAX {
            kept.drain(..kept.len() - OUTPUT_BYTES_MAX);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_that_grows_past_its_limit_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("below")).expect("a directory");
        fs::write(dir.path().join("below/file"), [0; 2000]).expect("a file");
        grown(dir.path(), 1999, &|_| ()).await;
        let below = tokio::time::timeout(Duration::from_millis(100), grown(dir.path(), 2000, &|_| ())).await;
        assert!(below.is_err(), "so much is allowed");
    }

    #[test]
    fn a_proxys_address_is_told_whatever_the_case_of_its_variable() {
        let env = BTreeMap::from([("NPM_CONFIG_PROXY".to_owned(), "http://name".to_owned())]);
        let proxies = BTreeMap::from([("npm_config_proxy".to_owned(), "http://192.0.2.1:1".to_owned())]);
        let told = with(
            Surroundings { env, files: vec![] },
            &Reach { proxies: proxies.clone(), ..Reach::default() },
        );
        assert_eq!(told.env, proxies);
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
}
