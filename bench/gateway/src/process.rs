//! What a process tree costs, from /proc.

use std::{collections::BTreeMap, fs};

/// Linux counts CPU time for user space in hundredths of a second.
const MS_PER_TICK: f64 = 10.0;

/// CPU time of a process and everything below it, in milliseconds.
#[must_use]
pub fn cpu_ms(root: u32) -> f64 {
    tree(root).iter().map(|(_, ticks)| *ticks as f64 * MS_PER_TICK).sum()
}

/// Resident memory of one process in MiB.
#[must_use]
pub fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

/// How many processes there are at and below this one.
#[must_use]
pub fn count(root: u32) -> usize {
    tree(root).len()
}

/// Process ids with their CPU ticks.
fn tree(root: u32) -> Vec<(u32, u64)> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut ticks = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // the name in parentheses may hold anything, so count from its end
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        children.entry(number(1) as u32).or_default().push(pid);
        ticks.insert(pid, number(11) + number(12));
    }
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        found.extend(children.get(&found[at]).into_iter().flatten());
        at += 1;
    }
    found.into_iter().filter_map(|pid| ticks.get(&pid).map(|t| (pid, *t))).collect()
}
