//! Control groups of a sandbox: the guest's kernel and all that runs on it, counted together.
//!
//! Named as those of class `process` are, so that [`cella_cell::sweep`] removes what a killed node left.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use cella_cell::{CgroupVersion, Limits};

/// Period over which a processor share is counted, in microseconds (the kernel's default).
const CPU_PERIOD_MICROS: u64 = 100_000;
/// How long removing a group is tried: its last process may still be on its way out.
const REMOVE_TRIES: u32 = 200;
/// Between two tries.
const REMOVE_PAUSE: Duration = Duration::from_millis(5);

/// What a driver's own parts need, on top of what the program is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overhead {
    /// Bytes of memory.
    pub(crate) memory_bytes: u64,
    /// Threads on the host; `None` if the program's processes are none of the host's.
    pub(crate) threads: Option<u32>,
}

/// The groups of one cell. Dropping removes them.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    dirs: Vec<PathBuf>,
    memory: Option<(PathBuf, CgroupVersion)>,
    cpu: Option<PathBuf>,
    /// What is limited, and what is not and why.
    pub(crate) held: Vec<&'static str>,
    pub(crate) missing: Vec<(&'static str, String)>,
}

// === impl Groups ===

impl Groups {
    /// Makes what the limits ask for, as far as this process may.
    pub(crate) fn make(name: &str, limits: &Limits, overhead: Overhead) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut groups = Self::default();
        for (what, controller) in [("memory", "memory"), ("processes", "pids"), ("processor share", "cpu")] {
            let wanted = match controller {
                "memory" => limits.memory_bytes.value().is_some(),
                "pids" => limits.processes.value().is_some() && overhead.threads.is_some(),
                _ => limits.cpu_milli.value().is_some(),
            };
            if !wanted {
                continue;
            }
            match place(controller, &mounts, &own).and_then(|(version, parent)| {
                groups.join(
                    &parent.join(name),
                    version,
                    controller,
                    &settings(controller, version, limits, overhead),
                )
            }) {
                Ok(()) => groups.held.push(what),
                Err(why) => groups.missing.push((what, why)),
            }
        }
        groups
    }

    fn join(
        &mut self,
        dir: &Path,
        version: CgroupVersion,
        controller: &str,
        settings: &[(&str, String, bool)],
    ) -> Result<(), String> {
        let said = |error: io::Error| format!("{}: {error}", dir.display());
        if !self.dirs.iter().any(|known| known == dir) {
            fs::create_dir(dir).map_err(said)?;
            self.dirs.push(dir.to_owned());
        }
        for (file, value, required) in settings {
            let written = write_existing(&dir.join(file), value);
            if *required {
                written.map_err(said)?;
            }
        }
        match controller {
            "memory" => self.memory = Some((dir.to_owned(), version)),
            "cpu" => self.cpu = Some(dir.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// The files by which a process enters.
    pub(crate) fn entrances(&self) -> Vec<PathBuf> {
        self.dirs.iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Whether the kernel killed for want of memory.
    pub(crate) fn out_of_memory(&self) -> bool {
        let Some((dir, version)) = &self.memory else { return false };
        let file = if *version == CgroupVersion::V1 { "memory.oom_control" } else { "memory.events" };
        let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).is_some_and(|count| count.trim() != "0")
    }

    /// Most memory held at once, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let (dir, version) = self.memory.as_ref()?;
        let file = if *version == CgroupVersion::V1 { "memory.max_usage_in_bytes" } else { "memory.peak" };
        fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
    }

    /// Processor time, where a group counts it.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        let dir = self.cpu.as_ref()?;
        if let Ok(nanos) = fs::read_to_string(dir.join("cpuacct.usage")) {
            return nanos.trim().parse().ok().map(Duration::from_nanos);
        }
        let stat = fs::read_to_string(dir.join("cpu.stat")).ok()?;
        stat.lines()
            .find_map(|line| line.strip_prefix("usage_usec "))?
            .parse()
            .ok()
            .map(Duration::from_micros)
    }
}

impl Drop for Groups {
    /// At once where nobody is left in them, else beside: a process that was killed may still be on its way out.
    fn drop(&mut self) {
        self.dirs
            .retain(|dir| fs::remove_dir(dir).is_err_and(|error| error.kind() != io::ErrorKind::NotFound));
        let left = std::mem::take(&mut self.dirs);
        if !left.is_empty() {
            std::thread::spawn(move || left.iter().for_each(|dir| remove(dir)));
        }
    }
}

// === free functions ===

fn remove(dir: &Path) {
    for _ in 0..REMOVE_TRIES {
        if fs::remove_dir(dir).is_ok() {
            return;
        }
        std::thread::sleep(REMOVE_PAUSE);
    }
    tracing::warn!(dir = %dir.display(), "a control group is left behind");
}

/// File, value, and whether the limit is none without it.
fn settings(
    controller: &str,
    version: CgroupVersion,
    limits: &Limits,
    overhead: Overhead,
) -> Vec<(&'static str, String, bool)> {
    let v1 = version == CgroupVersion::V1;
    match controller {
        "memory" => {
            let bytes = limits.memory_bytes.value().unwrap_or_default().saturating_add(overhead.memory_bytes);
            // Without the second a cell could swap past its limit; kernels without swap accounting lack the file.
            if v1 {
                let bytes = bytes.to_string();
                vec![
                    ("memory.limit_in_bytes", bytes.clone(), true),
                    ("memory.memsw.limit_in_bytes", bytes, false),
                ]
            } else {
                vec![
                    ("memory.max", bytes.to_string(), true),
                    ("memory.swap.max", "0".into(), false),
                    ("memory.oom.group", "1".into(), false),
                ]
            }
        }
        "pids" => {
            let own = overhead.threads.unwrap_or_default();
            let count = limits.processes.value().unwrap_or_default().saturating_add(own);
            vec![("pids.max", count.to_string(), true)]
        }
        _ => {
            let milli = limits.cpu_milli.value().unwrap_or_default();
            // The kernel refuses quotas below one millisecond.
            let quota = (u64::from(milli) * CPU_PERIOD_MICROS / 1000).max(1000);
            if v1 {
                vec![
                    ("cpu.cfs_period_us", CPU_PERIOD_MICROS.to_string(), true),
                    ("cpu.cfs_quota_us", quota.to_string(), true),
                ]
            } else {
                vec![("cpu.max", format!("{quota} {CPU_PERIOD_MICROS}"), true)]
            }
        }
    }
}

/// Where a group with this controller may be made: below our own in its own tree; in the unified tree beside our own, which
/// holds processes and so cannot give controllers to groups below it.
fn place(controller: &str, mounts: &str, own: &str) -> Result<(CgroupVersion, PathBuf), String> {
    let mut why = "no such controller is mounted".to_owned();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (&[_, _, _, root, point, ..], &[kind, _, options, ..]) = (&left[..], &right[..]) else {
            continue;
        };
        let version = match kind {
            "cgroup" if options.split(',').any(|option| option == controller) => CgroupVersion::V1,
            "cgroup2" => CgroupVersion::V2,
            _ => continue,
        };
        let Some(dir) = own_dir(version, controller, root, point, own) else { continue };
        let dir = match version {
            CgroupVersion::V2 => match delegated(controller, &dir, Path::new(point)) {
                Some(dir) => dir,
                None => {
                    why = "not delegated to this process's group".into();
                    continue;
                }
            },
            _ => dir,
        };
        if rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK).is_ok() {
            return Ok((version, dir));
        }
        why = format!("{} cannot be written", dir.display());
    }
    Err(why)
}

/// Our own group's directory: `/proc/self/cgroup` has lines `number:controllers:path`.
fn own_dir(version: CgroupVersion, controller: &str, root: &str, point: &str, own: &str) -> Option<PathBuf> {
    let group = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let wanted = match version {
            CgroupVersion::V1 => names.split(',').any(|name| name == controller),
            _ => names.is_empty(),
        };
        wanted.then_some(path)
    })?;
    let below = Path::new(group).strip_prefix(root).ok()?;
    let escapes = below.components().any(|part| part == std::path::Component::ParentDir);
    (!escapes).then(|| Path::new(point).join(below))
}

fn delegated(controller: &str, own: &Path, point: &Path) -> Option<PathBuf> {
    let has = |dir: &Path, file: &str| {
        fs::read_to_string(dir.join(file))
            .unwrap_or_default()
            .split_whitespace()
            .any(|name| name == controller)
    };
    let dirs = [Some(own), own.parent().filter(|dir| dir.starts_with(point))];
    let mut usable = dirs.into_iter().flatten().filter(|dir| {
        has(dir, "cgroup.controllers")
            && (has(dir, "cgroup.subtree_control")
                || write_existing(&dir.join("cgroup.subtree_control"), &format!("+{controller}")).is_ok())
    });
    usable.next().map(Path::to_owned)
}

/// Writes a control file; never makes one, as a regular file would on a wrong path.
fn write_existing(path: &Path, value: &str) -> io::Result<()> {
    use io::Write;
    fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use cella_cell::CgroupVersion;

    use super::own_dir;

    #[test]
    fn ones_own_group_is_found_below_what_is_mounted() {
        let own = "5:memory:/a/b\n0::/u\n";
        let at = |version, root| own_dir(version, "memory", root, "/sys/fs/cgroup/memory", own);
        assert_eq!(at(CgroupVersion::V1, "/a"), Some(PathBuf::from("/sys/fs/cgroup/memory/b")));
        assert_eq!(at(CgroupVersion::V1, "/c"), None);
        assert_eq!(at(CgroupVersion::V2, "/"), Some(PathBuf::from("/sys/fs/cgroup/memory/u")));
    }
}
