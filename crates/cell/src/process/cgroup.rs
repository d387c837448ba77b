//! Control groups: the only thing that limits the memory of a whole process tree.
//!
//! A cell's groups hold the program's tree and nothing of ours. Their names say which node made them, so that what a
//! killed node left behind is found and removed by the next one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use cella_freezer::Freezer;

use crate::{CgroupFacts, CgroupVersion, Limits};

pub(crate) use self::sweep::{Owner, sweep, sweep_of};

mod disks;
mod sweep;

/// Start of every group's name.
const PREFIX: &str = "cella-";
/// Period over which a processor share is counted, in microseconds (the kernel's default).
const CPU_PERIOD_MICROS: u64 = 100_000;
/// How long removing a group is tried: its last process may still be on its way out.
const REMOVE_TRIES: u32 = 200;
/// Between two tries.
const REMOVE_PAUSE: Duration = Duration::from_millis(5);

/// A limit that groups can enforce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Pids,
    Cpu,
    Io,
}

impl Controller {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Pids, Self::Cpu, Self::Io];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Io => "io",
        }
    }

    /// Its name in trees of one controller.
    fn separate_name(self) -> &'static str {
        match self {
            Self::Io => "blkio",
            other => other.name(),
        }
    }
}

/// Where groups of this process may be made, per controller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hierarchies {
    places: Vec<(Controller, CgroupVersion, PathBuf)>,
    why_not: Vec<String>,
}

impl Hierarchies {
    /// Looks at the machine and tries by making and removing an empty group. Once per node.
    pub(crate) fn probe() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut found = Self::default();
        for controller in Controller::ALL {
            match place(controller, &mounts, &own) {
                Ok((version, dir)) => found.places.push((controller, version, dir)),
                Err(why) => found.why_not.push(format!("{}: {why}", controller.name())),
            }
        }
        found
    }

    pub(crate) fn version(&self, controller: Controller) -> Option<CgroupVersion> {
        self.places.iter().find(|(known, ..)| *known == controller).map(|(_, version, _)| *version)
    }

    pub(crate) fn why_not(&self, controller: Controller) -> String {
        let mut reasons = self.why_not.iter().filter_map(|why| why.strip_prefix(controller.name()));
        reasons.next().map_or_else(String::new, |why| why.trim_start_matches(": ").to_owned())
    }

    pub(crate) fn facts(&self) -> CgroupFacts {
        CgroupFacts {
            memory: self.version(Controller::Memory),
            pids: self.version(Controller::Pids),
            cpu: self.version(Controller::Cpu),
            io: self.version(Controller::Io),
            kill: self.places.iter().any(|(_, _, dir)| dir.join("cgroup.kill").exists()),
            why_not: self.why_not.clone(),
        }
    }

    /// Makes the groups that the limits ask for. What was made is removed again if one fails.
    pub(crate) fn create(&self, name: &str, limits: &Limits) -> io::Result<Groups> {
        let mut groups = Groups::default();
        for (controller, version, parent) in &self.places {
            let settings = settings(*controller, *version, limits);
            if settings.is_empty() {
                continue;
            }
            let made = groups.join(&parent.join(name), *version, *controller, &settings);
            match made {
                Ok(()) => {}
                // Which of its files there are depends on each disk's scheduler: the others hold without it.
                Err(error) if *controller == Controller::Io => groups.disks = Some(error.to_string()),
                Err(error) => {
                    groups.remove();
                    return Err(error);
                }
            }
        }
        Ok(groups)
    }
}

/// The groups of one cell.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    dirs: Vec<(PathBuf, CgroupVersion)>,
    memory: Option<(PathBuf, CgroupVersion)>,
    /// Why there is no limit of disks, although there is a group for it.
    disks: Option<String>,
}

impl Groups {
    /// What is known of a controller only when a cell's own group is made.
    pub(crate) fn why_not(&self, controller: Controller) -> Option<&str> {
        self.disks.as_deref().filter(|_| controller == Controller::Io)
    }

    fn join(
        &mut self,
        dir: &Path,
        version: CgroupVersion,
        controller: Controller,
        settings: &[(&str, String, bool)],
    ) -> io::Result<()> {
        if !self.dirs.iter().any(|(known, _)| known == dir) {
            fs::create_dir(dir)?;
            self.dirs.push((dir.to_owned(), version));
        }
        for (file, value, required) in settings {
            let written = write_existing(&dir.join(file), value);
            if *required {
                written?;
            }
        }
        if controller == Controller::Memory {
            self.memory = Some((dir.to_owned(), version));
        }
        Ok(())
    }

    /// A group that limits memory is among them.
    pub(crate) fn limits_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// What makes all of them stand still.
    pub(crate) fn freezer(&self, name: &str) -> Freezer {
        let unified = self.dirs.iter().find(|(_, version)| *version == CgroupVersion::V2);
        match unified.or(self.dirs.first()) {
            Some((dir, CgroupVersion::V2)) => Freezer::of_unified(dir.clone()),
            Some((dir, CgroupVersion::V1)) => Freezer::of_separate(dir.clone(), name.to_owned()),
            None => Freezer::default(),
        }
    }

    /// Opens the files by which the program enters; the right to write them is checked against us, who open them. One
    /// thread enters by `tasks` at once; by `cgroup.procs`, which could bring more, the kernel first waits until no processor
    /// is in the middle of a fork.
    pub(crate) fn open_procs(&self) -> io::Result<Vec<File>> {
        let file = |version: &CgroupVersion| match version {
            CgroupVersion::V1 => "tasks",
            CgroupVersion::V2 => "cgroup.procs",
        };
        let open = |(dir, version): &(PathBuf, CgroupVersion)| {
            OpenOptions::new().write(true).open(dir.join(file(version)))
        };
        self.dirs.iter().map(open).collect()
    }

    /// Whether the kernel killed for want of memory.
    pub(crate) fn out_of_memory(&self) -> bool {
        let Some((dir, version)) = &self.memory else { return false };
        let file = match version {
            CgroupVersion::V1 => "memory.oom_control",
            CgroupVersion::V2 => "memory.events",
        };
        let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
        let killed = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        killed.is_some_and(|count| count.trim() != "0")
    }

    /// Most memory that the tree held at once, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let (dir, version) = self.memory.as_ref()?;
        let file = match version {
            CgroupVersion::V1 => "memory.max_usage_in_bytes",
            CgroupVersion::V2 => "memory.peak",
        };
        fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
    }

    /// Removes them; blocks while the last process is on its way out.
    pub(crate) fn remove(&self) {
        for (dir, _) in &self.dirs {
            for _ in 0..REMOVE_TRIES {
                match fs::remove_dir(dir) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(REMOVE_PAUSE)
                    }
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) => {
                        tracing::warn!(dir = %dir.display(), %error, "a control group is left behind");
                        break;
                    }
                }
            }
        }
    }
}

/// File, value, and whether the limit is none without it.
fn settings(
    controller: Controller,
    version: CgroupVersion,
    limits: &Limits,
) -> Vec<(&'static str, String, bool)> {
    use CgroupVersion::{V1, V2};
    match (controller, version) {
        (Controller::Memory, V1) => limits.memory_bytes.value().map_or_else(Vec::new, |bytes| {
            let bytes = bytes.to_string();
            // Without the second a cell could swap past its limit; kernels without swap accounting lack the file.
            vec![
                ("memory.limit_in_bytes", bytes.clone(), true),
                ("memory.memsw.limit_in_bytes", bytes, false),
            ]
        }),
        (Controller::Memory, V2) => limits.memory_bytes.value().map_or_else(Vec::new, |bytes| {
            vec![
                ("memory.max", bytes.to_string(), true),
                ("memory.swap.max", "0".into(), false),
                ("memory.oom.group", "1".into(), false),
            ]
        }),
        (Controller::Pids, _) => limits
            .processes
            .value()
            .map_or_else(Vec::new, |count| vec![("pids.max", count.to_string(), true)]),
        (Controller::Cpu, version) => limits.cpu_milli.value().map_or_else(Vec::new, |milli| {
            // The kernel refuses quotas below one millisecond.
            let quota = (u64::from(milli) * CPU_PERIOD_MICROS / 1000).max(1000);
            match version {
                V1 => vec![
                    ("cpu.cfs_period_us", CPU_PERIOD_MICROS.to_string(), true),
                    ("cpu.cfs_quota_us", quota.to_string(), true),
                ],
                V2 => vec![("cpu.max", format!("{quota} {CPU_PERIOD_MICROS}"), true)],
            }
        }),
        (Controller::Io, version) => disks::settings(version, limits),
    }
}

/// Where a group with this controller can be made: in the unified tree if it has the controller, else in the controller's
/// own tree.
fn place(controller: Controller, mounts: &str, own: &str) -> Result<(CgroupVersion, PathBuf), String> {
    let mut reasons = Vec::new();
    for mount in mounts.lines().filter_map(CgroupMount::parse) {
        let tried = match mount.version {
            CgroupVersion::V2 => try_unified(controller, &mount, own),
            CgroupVersion::V1 => try_separate(controller, &mount, own),
        };
        match tried {
            Some(Ok(dir)) => return Ok((mount.version, dir)),
            Some(Err(why)) => reasons.push(why),
            None => {}
        }
    }
    if reasons.is_empty() { Err("no such controller is mounted".into()) } else { Err(reasons.join("; ")) }
}

fn try_separate(
    controller: Controller,
    mount: &CgroupMount<'_>,
    own: &str,
) -> Option<Result<PathBuf, String>> {
    if !mount.options.split(',').any(|option| option == controller.separate_name()) {
        return None;
    }
    let own = own_path(own, |names| names.split(',').any(|name| name == controller.separate_name()))?;
    let dir = mount.dir_of(own)?;
    Some(try_make(&dir).map(|()| dir))
}

/// In the unified tree a group that holds processes cannot give controllers to groups below it. So cells' groups go
/// beside our own (which is a leaf of a delegated subtree), or below it where it is the root.
fn try_unified(
    controller: Controller,
    mount: &CgroupMount<'_>,
    own: &str,
) -> Option<Result<PathBuf, String>> {
    let own = own_path(own, str::is_empty)?;
    let own_dir = mount.dir_of(own)?;
    let has = |dir: &Path, file: &str| {
        let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
        text.split_whitespace().any(|name| name == controller.name())
    };
    if !has(&own_dir, "cgroup.controllers") && own_dir != mount.point {
        return Some(Err("not delegated to this process's group".into()));
    }
    let mut reasons = Vec::new();
    for dir in [Some(own_dir.as_path()), own_dir.parent().filter(|dir| dir.starts_with(mount.point))]
        .into_iter()
        .flatten()
    {
        if !has(dir, "cgroup.controllers") {
            continue;
        }
        let enabled = has(dir, "cgroup.subtree_control")
            || write_existing(&dir.join("cgroup.subtree_control"), &format!("+{}", controller.name()))
                .map_err(|error| reasons.push(format!("{}: {error}", dir.display())))
                .is_ok();
        if enabled {
            match try_make(dir) {
                Ok(()) => return Some(Ok(dir.to_owned())),
                Err(why) => reasons.push(why),
            }
        }
    }
    if reasons.is_empty() { None } else { Some(Err(reasons.join("; "))) }
}

/// Making a group is the only honest way to learn whether one may.
fn try_make(dir: &Path) -> Result<(), String> {
    /// Counts down, so that no cell of this process ever has the same number.
    static NUMBER: AtomicU64 = AtomicU64::new(u64::MAX);
    // Named as the groups of cells are: if the node is killed just now, the next one finds it.
    let trial = dir.join(Owner::current().group_name(NUMBER.fetch_sub(1, Ordering::Relaxed)));
    let tried = fs::create_dir(&trial).and_then(|()| {
        let opened = OpenOptions::new().write(true).open(trial.join("cgroup.procs")).map(drop);
        fs::remove_dir(&trial)?;
        opened
    });
    tried.map_err(|error| format!("{}: {error}", dir.display()))
}

/// Writes a control file; never makes one, as a regular file would on a wrong path.
fn write_existing(path: &Path, value: &str) -> io::Result<()> {
    use io::Write;
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// One line of `/proc/self/cgroup`: `number:controllers:path`.
fn own_path(own: &str, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        wanted(names).then_some(path)
    })
}

/// A mounted control group tree.
#[derive(Debug, PartialEq, Eq)]
struct CgroupMount<'a> {
    version: CgroupVersion,
    /// Which group is at the mount point.
    root: &'a str,
    point: &'a Path,
    options: &'a str,
}

impl<'a> CgroupMount<'a> {
    /// `36 35 98:0 /root /point options optional - type source super-options`, see proc_pid_mountinfo(5).
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let version = match right.next()? {
            "cgroup" => CgroupVersion::V1,
            "cgroup2" => CgroupVersion::V2,
            _ => return None,
        };
        Some(Self { version, root, point: Path::new(point), options: right.nth(1)? })
    }

    /// The directory of a group, if it lies below what is mounted.
    fn dir_of(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(self.root).ok()?;
        let escapes = below.components().any(|part| part == std::path::Component::ParentDir);
        (!escapes).then(|| self.point.join(below))
    }
}

#[cfg(test)]
mod tests;
