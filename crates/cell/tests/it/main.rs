//! Class `process` against this kernel: the kit of the law, and attempts to get out.
//!
//! Rules: an oracle on the host decides, never only an error number; every attempt has a control run outside of a cell
//! that must succeed, else the attempt proves nothing; what is allowed is shown to work; and everything runs as root and as
//! a plain user, in cells that are made when they are asked for and in cells out of shells. This binary is at once the tests, the launcher, a node to be killed, and the program inside.
#![expect(unsafe_code, reason = "the attempts are raw system calls")]
#![expect(clippy::print_stdout, reason = "attempts and skipped tests speak on standard output")]

mod allowed;
mod attempt;
mod bench;
mod broker;
mod copies;
mod files;
mod frozen;
mod image;
mod kernel;
mod life;
mod limits;
mod network;
mod node;
mod processes;
mod shells;
mod tree;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use bench::{Bench, Origin};

/// What a test needs to be found and run.
pub(crate) type Test = (&'static str, fn(&Bench) -> Outcome);
/// `Err` says what was seen.
pub(crate) type Outcome = Result<(), String>;

/// The plain user that everything runs as, besides root: in no group, owner of nothing.
const PLAIN_UID: u32 = 65_534;

fn main() -> ExitCode {
    cella_cell::launcher_main();
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(attempt::ARG) => attempt::main(&args[2..]),
        Some(node::ARG) => node::main(&args[2..]),
        Some(tree::ARG) => tree::main(&args[2..]),
        Some(bench::TEST_ARG) => run_here(&args[2], Origin::parse(&args[3])),
        _ => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

fn tests() -> Vec<Test> {
    [
        allowed::TESTS,
        broker::TESTS,
        copies::TESTS,
        files::TESTS,
        frozen::TESTS,
        image::TESTS,
        kernel::TESTS,
        life::TESTS,
        limits::TESTS,
        network::TESTS,
        processes::TESTS,
        shells::TESTS,
        tree::TESTS,
    ]
    .concat()
}

/// Each test runs in a process of its own: what it counts (descriptors, launchers, groups) must be its own.
fn trials() -> Vec<Trial> {
    let root = rustix::process::geteuid().is_root();
    let users: &[(&str, Option<u32>)] =
        if root { &[("root", None), ("plain", Some(PLAIN_UID))] } else { &[("plain", None)] };
    let mut trials = Vec::new();
    for (name, _) in tests() {
        for (user, uid) in users {
            for origin in [Origin::Cold, Origin::Shell] {
                let (words, uid) = (origin.as_str(), *uid);
                let run = move || bench::run_apart(name, uid, origin).map_err(Failed::from);
                trials.push(Trial::test(format!("{user}::{words}::{name}"), run));
            }
        }
    }
    trials
}

/// One test, in this process.
fn run_here(wanted: &str, origin: Origin) -> ExitCode {
    let Some((name, test)) = tests().into_iter().find(|(name, _)| *name == wanted) else {
        println!("no such test: {wanted}");
        return ExitCode::FAILURE;
    };
    let bench = Bench::new(name, origin);
    let changes = name == files::HOST_CHANGES;
    match test(&bench).and_then(|()| if changes { Ok(()) } else { bench.all_from_shells() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
