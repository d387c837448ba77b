//! Many cells, one after the other on each processor: how many in a minute, and what they leave behind.

use std::{
    fs,
    path::PathBuf,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use cella_cell::Process;

use crate::{
    Failed,
    report::{Goal, Report},
    shells,
};

/// Cells that are started on each processor.
const CELLS: usize = 200;
/// Cells that are to be started in a minute on each processor.
const PER_MINUTE: f64 = 200.0;

/// How long what is left may take to go.
const SETTLING: Duration = Duration::from_secs(2);

/// What could be left behind.
#[derive(Debug)]
struct Traces {
    processes: usize,
    mounts: usize,
    groups: usize,
    descriptors: usize,
}

impl Traces {
    /// Of this process alone: others work on this machine, too.
    fn now() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let descriptors = fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default();
        Self {
            processes: descendants(),
            mounts: mounts.lines().count(),
            groups: groups(&mounts),
            descriptors,
        }
    }

    fn beyond(&self, before: &Self) -> [(&'static str, usize); 4] {
        [
            ("processes", self.processes.saturating_sub(before.processes)),
            ("mounts", self.mounts.saturating_sub(before.mounts)),
            ("control groups", self.groups.saturating_sub(before.groups)),
            ("descriptors", self.descriptors.saturating_sub(before.descriptors)),
        ]
    }
}

/// Starts them and counts.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Failed> {
    let class = Process::new();
    let spec = shells::full("/bin/echo", &["x"], 443)?;
    // The launcher and the runtime's own descriptors are no leak.
    shells::start(&class, &spec).await?.output().await?;
    let before = Traces::now();
    let processors = available_parallelism()?.get();
    let began = Instant::now();
    let mut rows = Vec::new();
    for _ in 0..processors {
        let (class, spec) = (class.clone(), spec.clone());
        rows.push(tokio::spawn(async move {
            for _ in 0..CELLS {
                shells::start(&class, &spec).await?.output().await?;
            }
            Ok::<(), Failed>(())
        }));
    }
    for row in rows {
        row.await??;
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let rate = CELLS as f64 / minutes;
    let goal = Goal::at_least(PER_MINUTE, "a minute", "cells", rate);
    report.single("cells started and ended, on each processor", "/min", rate, Some(goal));
    for (what, count) in settled(&before).await {
        let goal = Goal::at_most(0.0, what, "left behind", count as f64);
        report.single(format!("{what} left by {} cells", CELLS * processors), "", count as f64, Some(goal));
    }
    Ok(())
}

/// What is left once nothing goes any more, or after the two seconds that the law of cells allows: packet sockets close a
/// little after their cells.
async fn settled(before: &Traces) -> [(&'static str, usize); 4] {
    let began = Instant::now();
    loop {
        let left = Traces::now().beyond(before);
        if left.iter().all(|(_, count)| *count == 0) || began.elapsed() > SETTLING {
            return left;
        }
        tokio::time::sleep(SETTLING / 20).await;
    }
}

/// Processes whose chain of parents leads to this one.
fn descendants() -> usize {
    let parent = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some(line.trim().to_owned())
    };
    let own = std::process::id().to_string();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().into_string().ok());
    let below = |pid: &String| {
        let mut chain = std::iter::successors(parent(pid), |pid| parent(pid)).take(16);
        chain.any(|ancestor| ancestor == own)
    };
    pids.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(below).count()
}

/// Control groups that this process made.
fn groups(mounts: &str) -> usize {
    let points =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    let mut dirs: Vec<(PathBuf, u32)> = points.map(|point| (point.into(), 0)).collect();
    let mine = format!("-{}-", std::process::id());
    let mut count = 0;
    while let Some((dir, depth)) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("cella-") && name.contains(&mine) {
                count += 1;
            } else if depth < 5 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push((entry.path(), depth + 1));
            }
        }
    }
    count
}
