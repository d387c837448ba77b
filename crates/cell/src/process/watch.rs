//! Looks at a cell's tree from outside, where no control group counts it: memory and processor time.
//!
//! The node owns the cell's user namespace (or is root), so the kernel tells it of every process in it, also of one
//! that hides from its equals. What is counted: private memory with what is swapped out, shared memory by share
//! (`Pss`), the private files, and memory files that are open. A memory file that is also mapped counts twice, which
//! errs on the machine's side.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::LimitHit;

/// Processes looked at in one look, and open files of each. Stops a cell without a process limit from making the node's
/// looks slow; past it the rest is not counted.
const PROCESSES_MAX: usize = 4096;
const FILES_MAX: usize = 1024;

/// What to look for.
#[derive(Debug)]
pub(crate) struct Watch {
    init: PathBuf,
    memory: Option<u64>,
    cpu: Option<Duration>,
    seen: Seen,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Bytes, the most of all looks.
    pub(crate) memory: u64,
    /// Of the tree, ended processes included.
    pub(crate) cpu: Duration,
    /// Bytes at the last look.
    now: u64,
}

impl Watch {
    /// For the tree of the process with this id; `None` if nothing is to be looked for.
    pub(crate) fn new(init: u32, memory: Option<u64>, cpu: Option<Duration>) -> Option<Self> {
        let wanted = memory.is_some() || cpu.is_some();
        let init = PathBuf::from(format!("/proc/{init}"));
        wanted.then(|| Self { init, memory, cpu, seen: Seen::default() })
    }

    /// Whether the kernel tells who a process's children are (`CONFIG_PROC_CHILDREN`).
    pub(crate) fn is_possible() -> bool {
        let own = std::process::id();
        Path::new(&format!("/proc/{own}/task/{own}/children")).exists()
    }

    /// Blocks, for well under a millisecond in a usual cell.
    pub(crate) fn look(&mut self) -> Seen {
        let tree = tree(&self.init);
        if self.cpu.is_some() {
            let ticks: u64 = tree.iter().filter_map(|process| ticks(process)).sum();
            let millis = ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1);
            self.seen.cpu = self.seen.cpu.max(Duration::from_millis(millis));
        }
        if let Some(limit) = self.memory {
            // The first process is the node's, not the program's.
            let workload = tree.get(1..).unwrap_or_default();
            let files = private_files(workload).saturating_add(memory_files(workload));
            let sum =
                |bytes: fn(&Path) -> u64| -> u64 { workload.iter().map(|process| bytes(process)).sum() };
            // Cheap, and too much where processes share pages; only then the exact figure is worth its price.
            let rough = files.saturating_add(sum(resident));
            let now = if rough > limit { files.saturating_add(sum(proportional)) } else { rough };
            self.seen = Seen { now, memory: self.seen.memory.max(now), ..self.seen };
        }
        self.seen
    }

    /// The limit that is overstepped.
    pub(crate) fn judge(&self, seen: &Seen) -> Option<LimitHit> {
        match () {
            () if self.memory.is_some_and(|limit| seen.now > limit) => Some(LimitHit::Memory),
            () if self.cpu.is_some_and(|limit| seen.cpu > limit) => Some(LimitHit::CpuTime),
            () => None,
        }
    }
}

/// The first process and everything below it; orphans are the first one's children.
fn tree(init: &Path) -> Vec<PathBuf> {
    let mut found = vec![init.to_owned()];
    let mut next = 0;
    while let Some(process) = found.get(next).filter(|_| found.len() < PROCESSES_MAX) {
        let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<PathBuf> = children
            .flat_map(|pids| {
                pids.split_whitespace().map(|pid| Path::new("/proc").join(pid)).collect::<Vec<_>>()
            })
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// Processor time of a process and of its ended children, in clock ticks (`proc_pid_stat(5)`, fields 14 to 17).
fn ticks(process: &Path) -> Option<u64> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name before it may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// Bytes of its memory that are in no file of a disk, pages shared with others in full.
fn resident(process: &Path) -> u64 {
    sum_of(&process.join("status"), &["RssAnon:", "RssShmem:", "VmSwap:"])
}

/// The same, pages shared with others by share.
fn proportional(process: &Path) -> u64 {
    sum_of(&process.join("smaps_rollup"), &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"])
}

/// Sum of lines `Name:  123 kB`, in bytes.
fn sum_of(file: &Path, names: &[&str]) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let wanted = text.lines().filter_map(|line| names.iter().find_map(|name| line.strip_prefix(name)));
    wanted.filter_map(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok()).sum::<u64>() * 1024
}

/// Bytes in the private directories, which are one filesystem. The first process, which never executed anything in the
/// cell's user namespace, does not show a plain user its root; those that did have the same.
fn private_files(workload: &[PathBuf]) -> u64 {
    let mut seen = workload.iter().filter_map(|process| rustix::fs::statfs(process.join("root/tmp")).ok());
    let Some(filesystem) = seen.next() else { return 0 };
    let used = filesystem.f_blocks.saturating_sub(filesystem.f_bfree);
    used.saturating_mul(u64::try_from(filesystem.f_bsize).unwrap_or_default())
}

/// Bytes of memory files (`memfd_create(2)`) that are open somewhere, each once.
fn memory_files(tree: &[PathBuf]) -> u64 {
    let mut found = BTreeMap::new();
    for process in tree {
        for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten().take(FILES_MAX) {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            if !link.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
                continue;
            }
            if let Ok(file) = fs::metadata(entry.path()) {
                found.insert(file.ino(), file.blocks().saturating_mul(512));
            }
        }
    }
    found.values().sum()
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command, time::Duration};

    use super::{Watch, proportional, resident, ticks, tree};

    #[test]
    fn a_child_is_found_and_measured() {
        let mut child = Command::new("/bin/sleep").arg("30").spawn().unwrap();
        let own = Path::new("/proc").join(std::process::id().to_string());
        let found = tree(&own);
        let child_dir = Path::new("/proc").join(child.id().to_string());
        let measured = (found.contains(&child_dir), resident(&own) > 0, proportional(&own) > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(measured, (true, true, true));
        assert!(ticks(&own).is_some());
    }

    #[test]
    fn nothing_to_look_for_is_no_watch() {
        assert!(Watch::new(1, None, None).is_none());
        assert!(Watch::new(1, None, Some(Duration::from_secs(1))).is_some());
    }
}
