//! `cargo xtask test`: installs what the tests need, runs all of them, counts everything, and ends with one line.

mod install;
mod program;
mod rust;
mod scripts;
mod tally;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use scripts::{SUITES, Suite};
use tally::Tally;

/// Where things are.
#[derive(Debug)]
pub struct Place {
    /// The repository.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// What the tests install; survives between runs.
    pub cache: PathBuf,
    /// The `cella` that the suites drive.
    pub program: PathBuf,
}

/// The suite that needs only cargo.
const UNIT: &str = "unit";
/// The first command of the README.
const DEMO: &str = "demo";
/// What the demo may take, packages installed on the way included.
const DEMO_LIMIT: Duration = Duration::from_secs(10 * 60);

const USAGE: &str = "usage: cargo xtask test [--only NAME,NAME] [--list]\n\
                     CELLA_BIN=PATH drives that program instead of building one";

/// Runs the suites that the arguments name.
pub fn main(args: &[String]) -> ExitCode {
    let only = match args {
        [] => None,
        [flag] if flag == "--list" => return list(),
        [flag, names] if flag == "--only" => Some(names.split(',').collect::<Vec<_>>()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let known = |name: &&str| [UNIT, DEMO].contains(name) || SUITES.iter().any(|s| s.name == *name);
    if let Some(stranger) = only.iter().flatten().find(|name| !known(name)) {
        eprintln!("there is no suite {stranger}; see cargo xtask test --list");
        return ExitCode::from(2);
    }
    let wanted = |name: &str| only.as_ref().is_none_or(|names| names.contains(&name));
    match place() {
        Ok(place) => {
            let suites: Vec<_> = SUITES.iter().filter(|s| wanted(s.name)).collect();
            run(&place, wanted(UNIT), wanted(DEMO), &suites)
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(place: &Place, unit: bool, demo: bool, suites: &[&Suite]) -> ExitCode {
    let started = Instant::now();
    let mut all = Tally::default();
    title("prepare");
    room(place);
    let names: Vec<&str> = suites.iter().map(|s| s.name).chain(unit.then_some(UNIT)).collect();
    if let Err(why) = install::run(place, &names) {
        println!("{why}");
    }
    if unit {
        title(UNIT);
        all.add(rust::run(place));
    }
    if demo || !suites.is_empty() {
        match program(place) {
            Ok(()) => {
                if demo {
                    all.add(show(place));
                }
                suites.iter().for_each(|suite| all.add(one(place, suite)));
            }
            Err(why) => all.check("cargo build --release", Err(why)),
        }
    }
    summary(&all, started.elapsed());
    if all.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Kilobytes of disk that a whole run takes at most, builds and what the tests leave for a moment. With less the tests that write fail, and
/// say so in ways that look like faults of the program.
const ROOM_KB: u64 = 20 * 1024 * 1024;

/// Says when the disk is nearly full.
fn room(place: &Place) {
    for dir in [place.target.as_path(), &std::env::temp_dir()] {
        let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
        let told = std::process::Command::new("df").args(["-Pk"]).arg(there).output();
        let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned()).unwrap_or_default();
        let free = told.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
        if let Some(free) = free.filter(|free| *free < ROOM_KB) {
            let (free, whole) = (free / 1024 / 1024, ROOM_KB / 1024 / 1024);
            println!("{} has {free} GiB left; a whole run may take {whole}", dir.display());
        }
    }
}

/// The main job, as a newcomer sees it.
fn show(place: &Place) -> Tally {
    title(DEMO);
    let mut tally = Tally::default();
    let said = program::run(Command::new(&place.program).arg("demo"), DEMO_LIMIT);
    if let Ok(text) = &said {
        println!("{}", text.trim_end());
    }
    tally.check("cella demo", said.map(drop));
    tally
}

fn one(place: &Place, suite: &Suite) -> Tally {
    title(suite.name);
    let started = Instant::now();
    let tally = scripts::run(place, suite);
    println!("{}: {tally} in {} s", suite.name, started.elapsed().as_secs());
    tally
}

/// Repeats what needs attention, so that nobody has to scroll; the last line stands alone.
fn summary(all: &Tally, took: Duration) {
    title("summary");
    all.skipped.iter().for_each(|test| println!("skipped {test}"));
    all.failed.iter().for_each(|test| println!("failed {test}"));
    println!("took {} s", took.as_secs());
    println!("{all}");
}

fn program(place: &Place) -> Result<(), String> {
    if std::env::var_os("CELLA_BIN").is_some() {
        return Ok(());
    }
    println!("building the program (cargo build --release)");
    let started = Instant::now();
    let built = rust::build(place);
    println!("built in {} s", started.elapsed().as_secs());
    built
}

/// Finds the repository, the target directory and the cache.
///
/// # Errors
/// When cargo cannot say where it is.
pub fn place() -> Result<Place, String> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--format-version=1", "--no-deps"]);
    let text = program::run(&mut metadata, Duration::from_secs(60))?;
    let json = text.lines().find(|l| l.starts_with('{')).unwrap_or_default();
    let facts: serde_json::Value = serde_json::from_str(json).map_err(|e| format!("cargo metadata: {e}"))?;
    let path = |key: &str| PathBuf::from(facts[key].as_str().unwrap_or_default());
    let (root, target) = (path("workspace_root"), path("target_directory"));
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|h| h.join(".cache")));
    let cache = home.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("cella-test");
    let program = std::env::var_os("CELLA_BIN").map_or_else(|| target.join("release/cella"), PathBuf::from);
    Ok(Place { root, target, cache, program })
}

fn title(text: &str) {
    println!("== {text}");
}

fn list() -> ExitCode {
    println!("{UNIT:<12} format, lints, tidy, unit, integration and documentation tests");
    println!("{DEMO:<12} the first command of the README, on the built program");
    SUITES.iter().for_each(|suite| println!("{:<12} {}", suite.name, suite.shows));
    ExitCode::SUCCESS
}
