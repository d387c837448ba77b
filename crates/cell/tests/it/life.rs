//! Birth and death: the law's kit, and nothing left over whatever dies.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    time::{Duration, Instant},
};

use cella_cell::{Cell, Handle, kit, sweep};
use tokio::io::AsyncReadExt;

use super::{
    Outcome, Test,
    bench::{Bench, PATIENCE, check},
    node,
};

pub(crate) const TESTS: &[Test] = &[
    ("the_law_is_kept", law),
    ("a_killed_node_leaves_nothing_within_two_seconds", killed_node),
    ("a_node_killed_while_its_cells_stand_still_leaves_nothing", killed_while_frozen),
    ("a_node_killed_while_cells_are_born_leaves_nothing", killed_while_born),
    ("a_killed_launcher_takes_no_cell_along_and_is_replaced", killed_launcher),
    ("many_cells_leave_no_trace", many_cells),
    ("a_cancelled_spawn_leaves_nothing", cancelled_spawn),
    ("a_flood_on_standard_output_disturbs_nobody", flood),
];

/// The law: two seconds. A loaded machine gets the same.
pub(crate) const DEATH: Duration = Duration::from_secs(2);

fn law(bench: &Bench) -> Outcome {
    let script = |text: &str| bench.script(text);
    let kit_bench = kit::Bench { cell: &bench.class, script: &script };
    let verdicts = bench.block_on(kit::check(&kit_bench));
    let broken: Vec<_> = verdicts.iter().filter(|verdict| verdict.broken.is_some()).collect();
    check(broken.is_empty() && verdicts.len() >= 15, || format!("{broken:#?}"))
}

/// A number that stands in the arguments of every process of one test.
pub(crate) fn token(name: &str) -> String {
    format!("0.{}{}", std::process::id(), name.len())
}

/// How many living processes of the host carry the token.
pub(crate) fn carriers(token: &str) -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|word| word == token.as_bytes())).count()
}

pub(crate) fn gone_within(limit: Duration, token: &str) -> Result<Duration, String> {
    let began = Instant::now();
    // More than one look: one that is just being born has no arguments yet.
    if settles_at(0, limit, token) {
        return Ok(began.elapsed());
    }
    Err(format!("{} processes after {limit:?}", carriers(token)))
}

/// Looks again and again; there is no event for "the kernel has got that far". Gives whether it held in time.
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

/// Whether so many processes carry the token, and not just on the way to more or fewer.
pub(crate) fn settles_at(count: usize, limit: Duration, token: &str) -> bool {
    until(limit, || (0..5).all(|_| carriers(token) == count))
}

/// A node that does not outlive its test.
pub(crate) struct Node(pub(crate) std::process::Child);

impl Node {
    fn start(bench: &Bench, count: usize, token: &str) -> Self {
        Self::start_with(bench, count, token, &[])
    }

    fn start_with(bench: &Bench, count: usize, token: &str, more: &[&str]) -> Self {
        let count = count.to_string();
        Self(bench.command(node::ARG).arg(count).arg(token).args(more).spawn().expect("a node"))
    }

    pub(crate) fn kill(&mut self) {
        let _gone = self.0.kill();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let _reaped = self.0.wait();
    }
}

fn killed_node(bench: &Bench) -> Outcome {
    killed(bench, &token("killed_node"), &[])
}

fn killed_while_frozen(bench: &Bench) -> Outcome {
    killed(bench, &token("killed_while_frozen"), &["frozen"])
}

fn killed(bench: &Bench, token: &str, more: &[&str]) -> Outcome {
    let mut node = Node::start_with(bench, 3, token, more);
    let mut line = String::new();
    let read = BufReader::new(node.0.stdout.take().expect("a pipe")).read_line(&mut line);
    check(read.is_ok() && line == "ready\n", || format!("the node said {line:?}"))?;
    // Per cell two sleepers and a daemon, and the node itself. The last ones are still being executed.
    // Who was made to stand still may not have been executed yet: of those the groups tell.
    let there = !more.is_empty() || settles_at(10, PATIENCE, token);
    check(there, || format!("control: {} processes", carriers(token)))?;
    let pid = node.0.id();
    check(groups_of(pid).is_empty() != bench.is_root(), || "control: a root node has groups".into())?;
    node.kill();
    gone_within(DEATH, token)?;
    // Nobody swept, and nobody has buried the node yet.
    check(until(DEATH, || groups_of(pid).is_empty()), || format!("{:?}", groups_of(pid)))
}

fn killed_while_born(bench: &Bench) -> Outcome {
    for delay in [0, 5, 15, 30, 60, 90] {
        let token = format!("0.{}77{delay}", std::process::id());
        let mut node = Node::start(bench, 20, &token);
        std::thread::sleep(Duration::from_millis(delay));
        node.kill();
        let gone = gone_within(DEATH, &token);
        gone.map_err(|why| format!("killed after {delay} ms: {why}"))?;
        let pid = node.0.id();
        drop(node);
        sweep();
        check(groups_of(pid).is_empty(), || format!("killed after {delay} ms: {:?}", groups_of(pid)))?;
    }
    Ok(())
}

/// Control groups that a node made, in every mounted tree.
pub(crate) fn groups_of(node: u32) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    let mut dirs: Vec<(PathBuf, u32)> = points.map(|point| (point.into(), 0)).collect();
    let mut found = Vec::new();
    while let Some((dir, depth)) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("cella-") && name.contains(&format!("-{node}-")) {
                found.push(entry.path());
            } else if depth < 5 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

fn launchers() -> Vec<i32> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = entries.filter(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1).map(str::to_owned));
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        parent.as_deref() == Some(&own) && String::from_utf8_lossy(&line).contains(cella_cell::LAUNCHER_ARG)
    });
    children.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect()
}

fn killed_launcher(bench: &Bench) -> Outcome {
    let running = bench.spawn(&bench.script("read line; exit 4")).map_err(|error| error.to_string())?;
    let before = launchers();
    check(before.len() == 1, || format!("control: launchers {before:?}"))?;
    // SAFETY: a signal to a child of ours.
    unsafe { libc::kill(before[0], libc::SIGKILL) };
    // Until then it may still serve.
    check(until(PATIENCE, || launchers().is_empty()), || "the launcher is left".into())?;
    let ran = bench.run(&bench.script("echo again"));
    check(ran.stdout == "again\n", || format!("{ran:?}"))?;
    drop(running.stdin);
    let exit = bench.block_on(running.cell.wait());
    check(exit.code == Some(4), || format!("{exit:?}"))?;
    let after = launchers();
    check(after.len() == 1 && after != before, || format!("{before:?} {after:?}"))
}

fn many_cells(bench: &Bench) -> Outcome {
    let descriptors = || fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines().count();
    bench.run(&bench.script("true"));
    let before = (descriptors(), mounts());
    let ended = bench.block_on(async {
        let mut cells = Vec::new();
        for number in 0..24 {
            let script = if number % 2 == 0 { "sleep 1000" } else { "cat" };
            cells.push(bench.class.spawn(&bench.script(script)).await.map_err(|error| error.to_string())?);
        }
        for (number, running) in cells.into_iter().enumerate() {
            match number % 3 {
                0 => check(running.cell.kill().await.signal == Some(9), || "not killed".into())?,
                1 => check(running.cell.stop(Duration::from_secs(5)).await.signal.is_some(), || {
                    "not stopped".into()
                })?,
                _ => abandon(running.cell).await,
            }
        }
        Ok::<(), String>(())
    });
    ended?;
    let own = std::process::id();
    // Fewer is fine: the first cell's own may still have been on their way out when they were counted.
    let nothing_more = || descriptors() <= before.0 && mounts() <= before.1;
    until(PATIENCE, || nothing_more() && groups_of(own).is_empty());
    check(nothing_more(), || format!("{before:?} became {:?}", (descriptors(), mounts())))?;
    check(groups_of(own).is_empty(), || format!("{:?}", groups_of(own)))
}

async fn abandon(cell: Handle) {
    drop(cell);
    tokio::task::yield_now().await;
}

fn cancelled_spawn(bench: &Bench) -> Outcome {
    let token = token("cancelled");
    let spec = bench.script(&format!("sleep 1000 {token}"));
    for delay in [0, 1, 3, 6, 10, 20] {
        bench.block_on(async {
            let spawn = bench.class.spawn(&spec);
            let _cancelled = tokio::time::timeout(Duration::from_millis(delay), spawn).await;
        });
    }
    // Those that were under way may still be born, but nobody holds them.
    std::thread::sleep(Duration::from_millis(300));
    gone_within(DEATH, &token).map(drop)
}

fn flood(bench: &Bench) -> Outcome {
    let flooding = bench.spawn(&bench.script("yes")).map_err(|error| error.to_string())?;
    let ran = bench.run(&bench.script("echo calm"));
    check(ran.stdout == "calm\n", || format!("{ran:?}"))?;
    let exit = bench.block_on(async {
        let mut stdout = flooding.stdout;
        let mut some = vec![0; 1 << 16];
        stdout.read_exact(&mut some).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(flooding.cell.kill().await)
    });
    check(exit.as_ref().is_ok_and(|exit| exit.signal == Some(9)), || format!("{exit:?}"))
}
