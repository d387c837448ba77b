//! `cargo xtask bench`: builds the program and the load generator, and measures in one run. A peer gateway is measured
//! beside them when it is in the test cache. `cargo xtask bench cell` measures cells instead, `cargo xtask bench intercept` what
//! it costs to put secrets into a cell's requests and to take them out of answers, `cargo xtask bench scrub` the latter alone.
//! `cargo xtask bench run` measures runs and the ledger, `cargo xtask bench fork` forks of runs with a gigabyte of files (4 GB of disk, for
//! a moment).

use std::process::{Command, ExitCode};

use crate::test::{self, Place};

/// Runs `bench/gateway`, or what the first argument names; further arguments go to it.
pub fn main(args: &[String]) -> ExitCode {
    let place = test::place();
    let ran = match args {
        [first, rest @ ..] if first == "cell" => place.and_then(|place| other(&place, "bench-cell", rest)),
        [first, rest @ ..] if first == "run" => place.and_then(|place| other(&place, "bench-run", rest)),
        [first] if first == "fork" => place.and_then(|place| fork(&place)),
        [first, rest @ ..] if first == "intercept" => {
            place.and_then(|place| of(&place, "cella-egress", first, rest))
        }
        [first, rest @ ..] if first == "scrub" => {
            place.and_then(|place| of(&place, "cella-secret", first, rest))
        }
        _ => place.and_then(|place| run(&place, args)),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn other(place: &Place, name: &str, args: &[String]) -> Result<bool, String> {
    build(place, &[name])?;
    let mut bench = Command::new(place.target.join("release").join(name));
    let status = bench.arg("run").args(args).status().map_err(|e| e.to_string())?;
    Ok(status.success())
}

/// Forks are measured where they are tested: by the program, in real cells.
fn fork(place: &Place) -> Result<bool, String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--release", "--package", "cella-cli", "--test", "it", "--"]);
    cargo.args(["luggage::cost", "--ignored", "--nocapture", "--test-threads", "1"]);
    let status = cargo.current_dir(&place.root).status().map_err(|e| e.to_string())?;
    Ok(status.success())
}

/// A bench that lies beside what it measures.
fn of(place: &Place, package: &str, bench: &str, args: &[String]) -> Result<bool, String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--quiet", "--package", package, "--bench", bench, "--"]).args(args);
    let status = cargo.current_dir(&place.root).status().map_err(|e| e.to_string())?;
    Ok(status.success())
}

fn build(place: &Place, packages: &[&str]) -> Result<(), String> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--quiet"]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    let built = build.current_dir(&place.root).status().map_err(|e| e.to_string())?;
    if built.success() { Ok(()) } else { Err("it does not build".to_owned()) }
}

fn run(place: &Place, args: &[String]) -> Result<bool, String> {
    build(place, &["bench-gateway", "cella-cli"])?;
    let mut bench = Command::new(place.target.join("release/bench-gateway"));
    bench.arg("run").arg("--cella").arg(&place.program);
    if let Some(peer) = peer(place) {
        bench.arg("--mcp-proxy").arg(peer);
    }
    let status = bench.args(args).status().map_err(|e| e.to_string())?;
    Ok(status.success())
}

/// `cargo install --root ~/.cache/cella-test/peer mcp-proxy@0.4.3` puts one there.
fn peer(place: &Place) -> Option<std::path::PathBuf> {
    let cached = place.cache.join("peer/bin/mcp-proxy");
    cached.exists().then_some(cached)
}
