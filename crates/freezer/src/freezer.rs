//! Freezing by the unified tree alone: what stands still there can still be killed, while a process in a freezer of the older
//! kind cannot, and would outlive its node. Where a tree's groups lie in trees of one controller each, it gets one in the
//! unified tree for as long as it stands still; its start does not pay for it.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Component, Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::io::Errno;

/// How long processes may take to stand still. One in the middle of a slow system call finishes it first. Past it they run
/// on and the caller hears of it.
const FREEZE_TIME: Duration = Duration::from_secs(2);
/// Between two looks at whether they do.
const LOOK_PAUSE: Duration = Duration::from_micros(500);

/// For whoever looks at what some processes work on. It keeps nothing alive.
#[derive(Clone, Debug, Default)]
pub struct Freezer(Option<Means>);

/// As long as it lives no process of the group runs; signals that kill them still do.
#[derive(Debug)]
pub struct Frozen {
    dir: PathBuf,
    /// Where its processes came from, if it was made for this.
    home: Option<PathBuf>,
}

#[derive(Clone, Debug)]
enum Means {
    /// Their group in the unified tree.
    Own(PathBuf),
    /// A group elsewhere that lists them, and the name for the one that is made.
    Made(PathBuf, String),
}

// === impl Freezer ===

impl Freezer {
    /// Of a group in the unified tree.
    #[must_use]
    pub fn of_unified(group: PathBuf) -> Self {
        Self(Some(Means::Own(group)))
    }

    /// Of a group in a tree of one controller. While its processes stand still they are in a group of this name in the
    /// unified tree, so the name should be one that a later start finds and removes.
    #[must_use]
    pub fn of_separate(group: PathBuf, name: String) -> Self {
        Self(Some(Means::Made(group, name)))
    }

    /// Makes every process stand still until what it gives is dropped. Blocking, some milliseconds. Nothing must be expected
    /// of them meanwhile.
    ///
    /// # Errors
    /// `Unsupported` where there are no means for it, `TimedOut` when they did not stand still, or the operating system's; they
    /// run on then.
    pub fn freeze(&self) -> io::Result<Frozen> {
        match self.0.as_ref().ok_or(io::ErrorKind::Unsupported)? {
            Means::Own(dir) => {
                let frozen = Frozen { dir: dir.clone(), home: None };
                write(&dir.join("cgroup.freeze"), "1")?;
                frozen.wait(|| Ok(true))?;
                Ok(frozen)
            }
            Means::Made(listed, name) => {
                let home = unified().ok_or(io::ErrorKind::Unsupported)?;
                let dir = home.join(name);
                fs::create_dir(&dir)?;
                let frozen = Frozen { dir, home: Some(home) };
                write(&frozen.dir.join("cgroup.freeze"), "1")?;
                // Who comes in stands still, and what it starts is in it from the first; who is not in yet may start others.
                frozen.wait(|| frozen.take_from(listed))?;
                Ok(frozen)
            }
        }
    }
}

// === impl Frozen ===

impl Frozen {
    /// Waits until all are in and stand still.
    fn wait(&self, all_in: impl Fn() -> io::Result<bool>) -> io::Result<()> {
        let until = Instant::now() + FREEZE_TIME;
        loop {
            let all_in = all_in()?;
            let events = fs::read_to_string(self.dir.join("cgroup.events"))?;
            if all_in && events.lines().any(|line| line == "frozen 1") {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    /// Takes in the processes that are listed there; true if all were in already.
    fn take_from(&self, listed: &Path) -> io::Result<bool> {
        let own = processes(&self.dir)?;
        let mut all_in = true;
        for process in processes(listed)?.difference(&own) {
            all_in = false;
            match write(&self.dir.join("cgroup.procs"), process) {
                Err(error) if Errno::from_io_error(&error) != Some(Errno::SRCH) => return Err(error),
                _ => {}
            }
        }
        Ok(all_in)
    }

    /// Lets all go home, with what they start now.
    fn empty(&self, home: &Path) {
        let until = Instant::now() + FREEZE_TIME;
        while let Ok(left) = processes(&self.dir)
            && !left.is_empty()
            && Instant::now() < until
        {
            for process in &left {
                let _ended_meanwhile = write(&home.join("cgroup.procs"), process);
            }
        }
        // The last one may be on its way out.
        while let Err(error) = fs::remove_dir(&self.dir)
            && error.kind() == io::ErrorKind::ResourceBusy
        {
            if Instant::now() >= until {
                tracing::warn!(dir = %self.dir.display(), %error, "a control group is left behind");
                return;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = write(&self.dir.join("cgroup.freeze"), "0") {
            tracing::debug!(%error, "processes that stood still are gone");
        }
        if let Some(home) = &self.home {
            self.empty(home);
        }
    }
}

fn processes(group: &Path) -> io::Result<BTreeSet<String>> {
    Ok(fs::read_to_string(group.join("cgroup.procs"))?.lines().map(str::to_owned).collect())
}

/// Writes a control file; never makes one, as a regular file would on a wrong path.
fn write(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// Our own group in the unified tree.
fn unified() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = Path::new(own.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| below(line, own))
}

/// Where a group lies beneath a mount of the unified tree: `36 35 98:0 /root /point options - type`, see proc_pid_mountinfo(5).
fn below(line: &str, group: &Path) -> Option<PathBuf> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let below = group.strip_prefix(root).ok()?;
    let escapes = below.components().any(|part| part == Component::ParentDir);
    (right.split(' ').next() == Some("cgroup2") && !escapes).then(|| Path::new(point).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_beneath_a_mount_of_the_unified_tree_alone() {
        let two = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let one = "31 23 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids";
        let part = "32 23 0:28 /a /mnt rw shared:1 - cgroup2 cgroup2 rw";
        assert_eq!(below(two, Path::new("/a/b")), Some("/sys/fs/cgroup/a/b".into()));
        assert_eq!(below(one, Path::new("/a/b")), None);
        assert_eq!(below(part, Path::new("/a/b")), Some("/mnt/b".into()));
        assert_eq!(below(part, Path::new("/c")), None);
        assert_eq!(below(two, Path::new("/../c")), None, "our group lies outside of what we see");
    }

    #[test]
    fn without_means_nothing_is_frozen() {
        assert_eq!(Freezer::default().freeze().map_err(|e| e.kind()).err(), Some(io::ErrorKind::Unsupported));
    }
}
