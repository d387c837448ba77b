//! What the tests need from outside: system packages, and npm and PyPI packages at exact versions in a cache of their
//! own, so that nothing is installed into the user's projects. Works without network once everything is there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use toml::{Table, Value};

use super::{Place, program};

/// The table of packages.
const TABLE: &str = "conformance/packages.toml";
/// One installation over a slow line.
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Written last, with what was installed; its absence means the installation was torn.
const STAMP: &str = ".installed";

/// Installs what is missing for the named suites. What cannot be installed is said; the tests that need it then
/// report themselves as skipped.
///
/// # Errors
/// When the table itself cannot be read.
pub fn run(place: &Place, suites: &[&str]) -> Result<(), String> {
    let text = fs::read_to_string(place.root.join(TABLE)).map_err(|e| format!("{TABLE}: {e}"))?;
    let table: Table = text.parse().map_err(|e| format!("{TABLE}: {e}"))?;
    let wanted = |entry: &&Value| {
        let of = strings(entry, "for");
        let for_scripts = suites.iter().any(|suite| *suite != super::UNIT);
        (of.is_empty() && for_scripts) || of.iter().any(|s| suites.contains(&s.as_str()))
    };
    let entries = |kind: &str| -> Vec<&Value> {
        table.get(kind).and_then(Value::as_array).into_iter().flatten().filter(wanted).collect()
    };
    system(&entries("apt"));
    fs::create_dir_all(&place.cache).map_err(|e| format!("{}: {e}", place.cache.display()))?;
    for entry in entries("deb") {
        said(entry, deb(place, entry));
    }
    for entry in entries("npm") {
        said(entry, npm(place, entry));
    }
    for entry in entries("pypi") {
        said(entry, pypi(place, entry));
    }
    Ok(())
}

/// The JavaScript runtime for our scripts: the cached one when there, else the system's.
#[must_use]
pub fn node(cache: &Path) -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let cached = cache.join(format!("node/node_modules/node-linux-{arch}/bin/node"));
    if cached.exists() { cached } else { PathBuf::from("node") }
}

fn said(entry: &Value, result: Result<bool, String>) {
    let (name, why) = (text(entry, "name"), text(entry, "why"));
    match result {
        Ok(true) => println!("installed {name} ({why})"),
        Ok(false) => {}
        Err(error) => println!("not installed: {name} ({why}): {error}"),
    }
}

/// System packages: only what is missing, in one go.
fn system(entries: &[&Value]) {
    let missing: Vec<&&Value> = entries.iter().filter(|e| !present(text(e, "provides"))).collect();
    if missing.is_empty() {
        return;
    }
    let names: Vec<&str> = missing.iter().map(|e| text(e, "name")).collect();
    for entry in &missing {
        println!("installing with apt: {} ({})", text(entry, "name"), text(entry, "why"));
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new(if is_root() { "apt-get" } else { "sudo" });
        if !is_root() {
            command.args(["-n", "apt-get"]);
        }
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        program::run(&mut command, INSTALL_LIMIT).map(drop)
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&names);
    if let Err(why) = apt(&["update"]).and_then(|()| apt(&install)) {
        println!("not installed: {}: {why}", names.join(" "));
    }
}

/// Unpacks what a package of the system depends on. Only the parts that a guest may load are kept.
fn deb(place: &Place, entry: &Value) -> Result<bool, String> {
    let (dir, package) = (place.cache.join(text(entry, "name")), text(entry, "package"));
    if done(&dir, package) {
        return Ok(false);
    }
    let depends = program::run(Command::new("apt-cache").args(["depends", package]), INSTALL_LIMIT)?;
    let real = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let real = real.ok_or_else(|| format!("{package} depends on nothing"))?;
    fresh(&dir)?;
    program::run(Command::new("apt-get").args(["download", real]).current_dir(&dir), INSTALL_LIMIT)?;
    let files = fs::read_dir(&dir).map_err(|e| e.to_string())?.flatten().map(|entry| entry.path());
    for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")) {
        program::run(Command::new("dpkg").arg("-x").arg(&file).arg(&dir), INSTALL_LIMIT)?;
        fs::remove_file(&file).map_err(|e| e.to_string())?;
    }
    for version in fs::read_dir(dir.join("lib/modules")).into_iter().flatten().flatten() {
        for unused in ["sound", "drivers/gpu", "drivers/net", "drivers/media", "drivers/infiniband"] {
            let _is_not_in_this_one = fs::remove_dir_all(version.path().join("kernel").join(unused));
        }
    }
    fs::write(dir.join(STAMP), package).map_err(|e| e.to_string())?;
    Ok(true)
}

fn npm(place: &Place, entry: &Value) -> Result<bool, String> {
    let dir = place.cache.join(text(entry, "name"));
    let packages: Vec<String> =
        strings(entry, "packages").iter().map(|p| p.replace("{arch}", arch())).collect();
    let stamp = packages.join("\n");
    if done(&dir, &stamp) {
        return Ok(false);
    }
    fresh(&dir)?;
    fs::write(dir.join("package.json"), "{\"private\":true}").map_err(|e| e.to_string())?;
    let mut command = Command::new("npm");
    // no install scripts: a test dependency has no business running code before it is tested
    command.args(["install", "--save-exact", "--no-audit", "--no-fund", "--ignore-scripts"]);
    program::run(command.args(&packages).current_dir(&dir), INSTALL_LIMIT)?;
    fs::write(dir.join(STAMP), stamp).map_err(|e| e.to_string())?;
    Ok(true)
}

fn pypi(place: &Place, entry: &Value) -> Result<bool, String> {
    let dir = place.cache.join(text(entry, "name"));
    let packages = strings(entry, "packages");
    let stamp = packages.join("\n");
    if done(&dir, &stamp) {
        return Ok(false);
    }
    fresh(&dir)?;
    program::run(Command::new("python3").args(["-m", "venv"]).arg(&dir), INSTALL_LIMIT)?;
    let mut command = Command::new(dir.join("bin/pip"));
    command.args(["install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    program::run(command.args(&packages), INSTALL_LIMIT)?;
    fs::write(dir.join(STAMP), stamp).map_err(|e| e.to_string())?;
    Ok(true)
}

fn done(dir: &Path, stamp: &str) -> bool {
    fs::read_to_string(dir.join(STAMP)).is_ok_and(|written| written == stamp)
}

fn fresh(dir: &Path) -> Result<(), String> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(|e| e.to_string())?;
    }
    fs::create_dir_all(dir).map_err(|e| e.to_string())
}

/// Whether a program is on the path, or a file is there; `python3:venv` asks whether Python has that module.
fn present(what: &str) -> bool {
    if let Some((python, module)) = what.split_once(':') {
        let import = format!("import {module}, ensurepip");
        return Command::new(python).args(["-c", &import]).output().is_ok_and(|o| o.status.success());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(what).exists())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"))
}

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" }
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn strings(entry: &Value, key: &str) -> Vec<String> {
    let list = entry.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
