//! Whose group is this, and is he still there?

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD};

use super::{CgroupMount, Groups, PREFIX};
use crate::CgroupVersion;

/// How deep below a mount point groups are looked for. Service groups lie four or five deep.
const DEPTH_MAX: usize = 8;

/// A node, named so that it cannot be taken for another: process ids are reused, and mean something only within their
/// pid namespace (two containers may see one group tree).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pid_namespace: u64,
    pid: u32,
    /// Clock ticks from boot to its start.
    started: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> Self {
        let pid = std::process::id();
        Self { pid_namespace: pid_namespace(), pid, started: start_time(pid).unwrap_or_default() }
    }

    /// Whoever started this process.
    pub(crate) fn of_parent() -> Option<Self> {
        let pid = rustix::process::getppid()?.as_raw_nonzero().get().cast_unsigned();
        Some(Self { pid_namespace: pid_namespace(), pid, started: start_time(pid)? })
    }

    /// The name of this owner's group number `number`.
    pub(crate) fn group_name(&self, number: u64) -> String {
        format!("{PREFIX}{:x}-{}-{}-{number}", self.pid_namespace, self.pid, self.started)
    }

    fn of_group(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let pid_namespace = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (pid, started) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next()?.parse::<u64>().ok()?;
        parts.next().is_none().then_some(Self { pid_namespace, pid, started })
    }

    /// Known to be gone. Of another pid namespace nothing is known.
    fn is_gone(&self) -> bool {
        self.pid_namespace == pid_namespace() && start_time(self.pid) != Some(self.started)
    }
}

/// Removes every group whose node is gone, and ends what is still in it; gives how many groups.
pub(crate) fn sweep() -> usize {
    remove_all(&Owner::is_gone)
}

/// Removes every group of a node that is about to be gone.
pub(crate) fn sweep_of(owner: Owner) -> usize {
    remove_all(&|found| *found == owner)
}

fn remove_all(wanted: &dyn Fn(&Owner) -> bool) -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut stale = BTreeSet::new();
    for mount in mounts.lines().filter_map(CgroupMount::parse) {
        find(mount.point, DEPTH_MAX, wanted, &mut stale);
    }
    // Somebody else's are for his next node to remove, and no word to a user who can do nothing about it.
    stale.retain(|dir| dir.parent().is_some_and(is_ours_to_change));
    for dir in &stale {
        kill_all(dir);
        Groups { dirs: vec![(dir.clone(), CgroupVersion::V1)], ..Groups::default() }.remove();
    }
    stale.iter().filter(|dir| !dir.exists()).count()
}

fn is_ours_to_change(dir: &Path) -> bool {
    let access = rustix::fs::Access::WRITE_OK;
    rustix::fs::accessat(CWD, dir, access, AtFlags::EACCESS).is_ok()
}

fn find(dir: &Path, depth: usize, wanted: &dyn Fn(&Owner) -> bool, stale: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        match entry.file_name().to_str().and_then(Owner::of_group) {
            Some(owner) if wanted(&owner) => drop(stale.insert(entry.path())),
            Some(_) => {}
            None if depth > 0 => find(&entry.path(), depth - 1, wanted, stale),
            None => {}
        }
    }
}

/// Normally nobody is left: a cell dies with its node. This is for the case that the kernel was slow about it.
fn kill_all(dir: &Path) {
    if super::write_existing(&dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in procs.lines().filter_map(|line| line.parse().ok()).filter_map(rustix::process::Pid::from_raw) {
        let _gone_already = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map(|metadata| metadata.ino()).unwrap_or_default()
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold spaces and parentheses.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn a_group_name_leads_back_to_its_living_owner() {
        let me = Owner::current();
        let found = Owner::of_group(&me.group_name(7)).unwrap();
        assert_eq!(found, me);
        assert!(!found.is_gone());
    }

    #[test]
    fn a_reused_process_id_is_another_owner() {
        let before = Owner { started: 1, ..Owner::current() };
        assert!(before.is_gone());
    }

    #[test]
    fn an_owner_of_another_pid_namespace_is_never_judged() {
        assert!(!Owner { pid_namespace: 1, pid: 1, started: 1 }.is_gone());
    }

    #[test]
    fn other_peoples_groups_are_not_ours() {
        for name in ["cella-", "cella-x", "user.slice", "cella-f-1-2", "cella-f-1-2-3-4", "cella-trial-1-2"] {
            assert_eq!(Owner::of_group(name), None, "{name}");
        }
    }
}
