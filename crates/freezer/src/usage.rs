//! What the processes of a cell use, as `/proc` tells it.
//!
//! A cell's first process is known by its id; the others are its descendants. Control groups would know the memory better,
//! but not every machine lets a node use them, and figures that mean something else on each machine cannot be compared.

use std::{collections::HashMap, fs};

/// What one cell uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all processes, those that ended included.
    pub cpu_ms: u64,
    /// Resident memory; a page that several processes share is counted for each.
    pub memory_bytes: u64,
    /// Living processes, without the cell's own first one.
    pub processes: usize,
    /// Since its first process started.
    pub uptime_ms: u64,
}

/// One process, in the kernel's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// Ticks of its own and of its buried children.
    ticks: u64,
    /// Ticks after boot.
    started: u64,
    pages: u64,
}

/// All processes of this machine at one moment.
#[derive(Debug)]
pub struct Processes {
    by_parent: HashMap<u32, Vec<Stat>>,
    by_pid: HashMap<u32, Stat>,
    uptime_ms: u64,
    tick_ms: u64,
    page_bytes: u64,
}

// === impl Processes ===

impl Processes {
    /// Reads `/proc`: some hundred small files, blocking.
    pub fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = entries.filter_map(|entry| {
            entry.file_name().to_str()?.parse::<u32>().ok()?;
            // A process that ended meanwhile is none.
            Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?)
        });
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        Self::of(stats, &uptime)
    }

    fn of(stats: impl Iterator<Item = Stat>, uptime: &str) -> Self {
        let (mut by_parent, mut by_pid) = (HashMap::<u32, Vec<Stat>>::new(), HashMap::new());
        for stat in stats {
            by_parent.entry(stat.parent).or_default().push(stat);
            by_pid.insert(stat.pid, stat);
        }
        Self {
            by_parent,
            by_pid,
            uptime_ms: millis(uptime).unwrap_or_default(),
            tick_ms: 1000 / rustix::param::clock_ticks_per_second().clamp(1, 1000),
            page_bytes: rustix::param::page_size() as u64,
        }
    }

    /// When this was read, in milliseconds after boot.
    pub fn at_ms(&self) -> u64 {
        self.uptime_ms
    }

    /// Of the tree below a process; `None` when it is gone.
    pub fn tree(&self, first: u32) -> Option<Usage> {
        let root = self.by_pid.get(&first)?;
        let mut usage = Usage {
            uptime_ms: self.uptime_ms.saturating_sub(root.started * self.tick_ms),
            ..Usage::default()
        };
        let mut waiting = vec![*root];
        let mut seen = 0;
        while let Some(stat) = waiting.pop() {
            seen += 1;
            usage.cpu_ms += stat.ticks * self.tick_ms;
            usage.memory_bytes += stat.pages * self.page_bytes;
            waiting.extend(self.by_parent.get(&stat.pid).into_iter().flatten());
        }
        usage.processes = seen - 1;
        Some(usage)
    }
}

// === impl Stat ===

impl Stat {
    /// `proc_pid_stat(5)`: the second field is in parentheses and may itself contain some.
    fn parse(line: &str) -> Option<Self> {
        let pid = line.split_once(' ')?.0.parse().ok()?;
        let rest: Vec<&str> = line.rsplit_once(") ")?.1.split_whitespace().collect();
        // Fields count from 1, and the third is the first of the rest.
        let field = |number: usize| rest.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: u32::try_from(field(4)?).ok()?,
            ticks: field(14)? + field(15)? + field(16)? + field(17)?,
            started: field(22)?,
            pages: field(24)?,
        })
    }
}

/// `123.45 …` seconds.
fn millis(uptime: &str) -> Option<u64> {
    let (whole, part) = uptime.split_whitespace().next()?.split_once('.')?;
    Some(whole.parse::<u64>().ok()? * 1000 + part.parse::<u64>().ok()? * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: u32, name: &str, parent: u32, ticks: u64) -> String {
        format!(
            "{pid} ({name}) S {parent} 1 1 0 -1 4194560 1 0 0 0 {ticks} 0 2 0 20 0 1 0 500 9 10 18446744073709551615"
        )
    }

    #[test]
    fn a_tree_is_added_up_and_strangers_are_not() {
        let lines =
            [line(10, "init", 1, 1), line(11, "a) b (c", 10, 5), line(12, "x", 11, 7), line(13, "y", 1, 99)];
        let processes = Processes::of(lines.iter().filter_map(|line| Stat::parse(line)), "20.00 1.0\n");
        let usage = processes.tree(10).expect("a tree");
        assert_eq!(usage.processes, 2);
        assert_eq!(usage.cpu_ms, (1 + 5 + 7 + 3 * 2) * processes.tick_ms);
        assert_eq!(usage.memory_bytes, 30 * processes.page_bytes);
        assert_eq!(usage.uptime_ms, 20_000 - 500 * processes.tick_ms);
        assert_eq!(processes.tree(14), None);
    }

    #[test]
    fn this_process_is_found() {
        let usage = Processes::read().tree(std::process::id()).expect("this process");
        assert!(usage.memory_bytes > 0);
    }
}
