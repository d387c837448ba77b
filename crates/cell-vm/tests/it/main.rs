//! Class `vm` with its real drivers: the kit of the law, what a program may not reach, and what a killed node leaves.
//!
//! An oracle on the host decides, every attempt has a control run outside of a cell that must succeed, and everything runs
//! as root and as a plain user. This binary is at once the tests, what keeps the sandboxes, and a node to be killed.
#![expect(clippy::print_stdout, reason = "skipped tests speak on standard output")]

mod bench;
mod egress;
mod law;
mod node;
mod walls;
mod woken;

use std::{os::unix::fs::PermissionsExt, path::Path, process::ExitCode};

use cella_cell_vm::{Driver, Gvisor, Qemu};
use libtest_mimic::{Arguments, Failed, Trial};

use bench::Bench;

/// What a test needs to be found and run.
pub(crate) type Test = (&'static str, fn(&Bench) -> Outcome);
/// `Err` says what was seen.
pub(crate) type Outcome = Result<(), String>;

/// The plain user that everything runs as, besides root: in no group, owner of nothing.
const PLAIN_UID: u32 = 65_534;
/// Drivers that start cells. Guests of the second boot; those of the third wake from a snapshot that the first of them left.
const DRIVERS: [&str; 3] = ["gvisor", "qemu", WOKEN];
pub(crate) const WOKEN: &str = "qemu-woken";
/// Where this run's snapshots are, one directory for each user.
const SNAPSHOTS: &str = "CELLA_TEST_SNAPSHOTS";
/// What is tried with QEMU as a plain user where it is also tried as root, under which it is no root either: each guest takes
/// seconds.
const AS_PLAIN: [&str; 7] = [
    "a_port_inside_is_reached_through_the_handle_only",
    "an_uncooperative_client_reaches_the_granted_name",
    "nothing_else_is_reached_and_every_attempt_is_on_record",
    "two_guests_of_one_snapshot_share_no_randomness_and_know_the_time",
    "a_host_file_is_not_there",
    "a_granted_directory_is_written",
    "a_killed_node_leaves_nothing_within_two_seconds",
];

fn main() -> ExitCode {
    cella_cell::launcher_main();
    cella_cell_vm::guest_main();
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(node::ARG) => node::main(&args[2..]),
        Some(bench::TEST_ARG) => run_here(&args[2], &args[3]),
        _ => {
            let snapshots = tempfile::Builder::new().prefix("it-snapshots-").tempdir().expect("a directory");
            let open = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(snapshots.path(), open).expect("permissions");
            let place = snapshots.path().to_owned();
            libtest_mimic::run(&Arguments::from_args(), trials(&place)).exit_code()
        }
    }
}

pub(crate) fn driver(name: &str) -> Box<dyn Driver> {
    if name == "gvisor" { Box::new(Gvisor::new()) } else { Box::new(qemu(name)) }
}

pub(crate) fn qemu(name: &str) -> Qemu {
    let qemu = std::env::var_os(bench::GUEST).map_or_else(Qemu::new, Qemu::with_kernel);
    let snapshots = std::env::var_os(SNAPSHOTS).filter(|_| name == WOKEN);
    qemu.with_snapshots(snapshots.map(|dir| Path::new(&dir).join(rustix::process::geteuid().to_string())))
}

fn tests() -> Vec<Test> {
    [law::TESTS, walls::TESTS, egress::TESTS, woken::TESTS].concat()
}

/// Each test runs in a process of its own, as one of the users.
fn trials(snapshots: &Path) -> Vec<Trial> {
    let root = rustix::process::geteuid().is_root();
    let users: &[(&str, Option<u32>)] =
        if root { &[("root", None), ("plain", Some(PLAIN_UID))] } else { &[("plain", None)] };
    let mut trials = Vec::new();
    for driver in DRIVERS {
        for (user, uid) in users {
            for (name, _) in tests() {
                let slow = driver != "gvisor" && root && uid.is_some() && !AS_PLAIN.contains(&name);
                if slow || !woken::applies(driver, name) {
                    continue;
                }
                let snapshots = snapshots.to_owned();
                trials.push(Trial::test(format!("{driver}::{user}::{name}"), move || {
                    bench::run_apart(driver, name, *uid, &snapshots).map_err(Failed::from)
                }));
            }
        }
    }
    trials
}

/// One test, in this process.
fn run_here(driver: &str, wanted: &str) -> ExitCode {
    let Some((name, test)) = tests().into_iter().find(|(name, _)| *name == wanted) else {
        println!("no such test: {wanted}");
        return ExitCode::FAILURE;
    };
    match Bench::new(driver, name).map_or(Ok(()), |bench| test(&bench)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
