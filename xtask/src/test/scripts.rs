//! Suites that drive a running node from outside. They are scripts under `conformance/`, because the reference server,
//! the official suite and the real clients live in those languages; each line they print that opens with `passed`,
//! `failed` or `skipped` is one test.

use std::{path::Path, process::Command, time::Duration};

use super::{
    Place, install, program,
    tally::{self, Tally},
};

/// Runs the scripts that drive cells, and runs inside of them: every cell shows the system's own.
const PYTHON: &str = "/usr/bin/python3";

/// One suite: its name on the command line, its script, its time, what it shows.
#[derive(Debug)]
pub struct Suite {
    /// For `--only`.
    pub name: &'static str,
    /// Relative to the root.
    pub script: &'static str,
    /// Past it the suite counts as failed.
    pub limit: Duration,
    /// One line for `--list`.
    pub shows: &'static str,
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Every script suite, in the order in which they run.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "conformance",
        script: "conformance/official.mjs",
        limit: minutes(20),
        shows: "the official suite directly and through Cella, in all pairs of eras",
    },
    Suite {
        name: "own",
        script: "conformance/own.mjs",
        limit: minutes(10),
        shows: "what the official suite does not ask: fidelity, ownership, cancellation, lists, restarts",
    },
    Suite {
        name: "servers",
        script: "conformance/servers.mjs",
        limit: minutes(10),
        shows: "third-party servers from npm and PyPI, listed and called through Cella",
    },
    Suite {
        name: "clients",
        script: "conformance/clients.mjs",
        limit: minutes(12),
        shows: "real clients and agents against a running node",
    },
    Suite {
        name: "models",
        script: "conformance/models.mjs",
        limit: minutes(10),
        shows: "official clients of models through the models' door, with scripted providers behind it",
    },
    Suite {
        name: "faults",
        script: "conformance/faults.mjs",
        limit: minutes(15),
        shows: "kills, hangs, a full disk, slow readers, a thousand clients, and nothing left behind",
    },
    Suite {
        name: "cells",
        script: "conformance/escape.py",
        limit: minutes(30),
        shows: "attempts to get out of a cell, started by root and by an ordinary user, each with a control run",
    },
];

/// Runs one suite against the built program.
#[must_use]
pub fn run(place: &Place, suite: &Suite) -> Tally {
    let mut tally = Tally::default();
    let mut command = interpreter(place, suite.script);
    command.arg(place.root.join(suite.script)).current_dir(&place.root);
    command.env("CELLA_BIN", &place.program).env("CELLA_TEST_CACHE", &place.cache);
    let ended = program::lines(&mut command, suite.limit, |line| {
        println!("{line}");
        if let Some(outcome) = tally::outcome(line) {
            tally.count(&outcome);
        }
    });
    match ended {
        Ok(program::Ended::Exited(status)) if status.success() => {}
        Ok(program::Ended::Exited(status)) if tally.failed.is_empty() => {
            tally.failed.push(format!("{}: {} ended with {status}", suite.name, suite.script));
        }
        Ok(program::Ended::Exited(_)) => {}
        Ok(program::Ended::TimedOut) => {
            tally.failed.push(format!("{}: no end after {} s", suite.name, suite.limit.as_secs()));
        }
        Err(why) => tally.failed.push(format!("{}: {why}", suite.name)),
    }
    if tally == Tally::default() {
        tally.failed.push(format!("{}: {} reported no test", suite.name, suite.script));
    }
    tally
}

/// What a script is run by: its language, by its ending.
fn interpreter(place: &Place, script: &str) -> Command {
    if Path::new(script).extension().is_some_and(|ending| ending == "py") {
        let mut python = Command::new(PYTHON);
        // The checkout stays as it is: no compiled files beside the sources.
        python.arg("-B");
        return python;
    }
    Command::new(install::node(&place.cache))
}
