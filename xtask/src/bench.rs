//! `cargo xtask bench`: builds the program and the load generator, and measures in one run. A peer gateway is measured
//! beside them when it is in the test cache.

use std::process::{Command, ExitCode};

use crate::test::{self, Place};

/// Runs `bench/gateway`; further arguments go to it.
pub fn main(args: &[String]) -> ExitCode {
    match test::place().and_then(|place| run(&place, args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(place: &Place, args: &[String]) -> Result<bool, String> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--quiet", "--package", "bench-gateway", "--package", "cella-cli"]);
    if !build.current_dir(&place.root).status().map_err(|e| e.to_string())?.success() {
        return Err("it does not build".to_owned());
    }
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
