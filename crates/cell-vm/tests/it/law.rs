//! Birth and death: the law's kit, and nothing left over whatever dies.

use std::{
    fs,
    io::{BufRead, BufReader},
    time::{Duration, Instant},
};

use cella_cell::{Spec, kit};

use super::{
    Outcome, Test,
    bench::{Bench, check, script, visible_exe},
    egress, node,
};

pub(crate) const TESTS: &[Test] = &[
    ("the_law_is_kept", law),
    ("the_law_is_kept_in_a_brokered_network", law_in_a_network),
    ("a_killed_node_leaves_nothing_within_two_seconds", killed_node),
    ("a_cancelled_spawn_leaves_nothing", cancelled_spawn),
];

/// For one check: a guest in software translation takes some seconds to start, on a busy machine a quarter of a minute.
const START: Duration = Duration::from_secs(150);
/// The law: two seconds.
const DEATH: Duration = Duration::from_secs(2);

fn law(bench: &Bench) -> Outcome {
    kept(bench, &script)
}

fn law_in_a_network(bench: &Bench) -> Outcome {
    kept(bench, &|text| egress::brokered(script(text)))
}

fn kept(bench: &Bench, script: &(dyn Fn(&str) -> Spec + Sync)) -> Outcome {
    let kit_bench = kit::Bench { cell: &bench.class, script };
    let verdicts = bench.block_on(kit::check_within(&kit_bench, START));
    let broken: Vec<_> = verdicts.iter().filter(|verdict| verdict.broken.is_some()).collect();
    check(broken.is_empty() && verdicts.len() >= 15, || format!("{broken:#?}"))?;
    check(directories(std::process::id()).is_empty(), || format!("{:?}", directories(std::process::id())))
}

/// Host processes whose arguments name this node's private directories.
pub(crate) fn carriers(node: u32) -> usize {
    let mark = format!("-{node}-");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default());
    let names = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    names.filter(|line| line.contains("/cella-vm-") && line.contains(&mark)).count()
}

pub(crate) fn directories(node: u32) -> Vec<String> {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("cella-vm-") && name.contains(&format!("-{node}-"))).collect()
}

/// Looks again and again; there is no event for "the kernel has got that far".
pub(crate) fn until(limit: Duration, holds: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < limit {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    holds()
}

fn killed_node(bench: &Bench) -> Outcome {
    let mut command = std::process::Command::new(visible_exe());
    command.args([node::ARG, &bench.driver]).stdout(std::process::Stdio::piped());
    let mut node = command.spawn().map_err(|error| error.to_string())?;
    let mut line = String::new();
    let read = BufReader::new(node.stdout.take().expect("a pipe")).read_line(&mut line);
    let pid = node.id();
    let alive = (carriers(pid), directories(pid).len());
    node.kill().and_then(|()| node.wait()).map_err(|error| error.to_string())?;
    check(read.is_ok() && line == "ready\n", || format!("the node said {line:?}"))?;
    check(alive.0 > 0 && alive.1 == 1, || format!("control: {alive:?}"))?;
    check(until(DEATH, || carriers(pid) == 0), || format!("{} processes after {DEATH:?}", carriers(pid)))?;
    check(cella_cell_vm::sweep() >= 1, || "the directory was not found".into())?;
    check(directories(pid).is_empty(), || format!("{:?}", directories(pid)))
}

fn cancelled_spawn(bench: &Bench) -> Outcome {
    let spec = script("sleep 1000");
    // The first cell also asks the driver whether it works.
    bench.run(&script("true"));
    for delay in [0, 1, 10, 50, 100] {
        bench.block_on(async {
            let spawn = bench.class.launch(&spec);
            let _cancelled = tokio::time::timeout(Duration::from_millis(delay), spawn).await;
        });
    }
    let own = std::process::id();
    // What was under way is finished first, and nobody holds it then.
    let gone = bench.block_on(async {
        for _ in 0..2000 {
            if carriers(own) == 0 && directories(own).is_empty() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    });
    check(gone, || format!("{} processes, {:?}", carriers(own), directories(own)))
}
