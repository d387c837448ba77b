//! Programs of the host that drivers need, and names by which what they leave behind is found.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longest time that a program may take to say its version. Stops a hanging one from holding up a probe; past it the
/// driver is called unusable.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(900);
/// Between two looks whether it has answered.
const ANSWER_LOOK: Duration = Duration::from_millis(5);
/// Start of the name of every private directory of a cell, and of the one in which a node lays itself out for guests.
const PREFIX: &str = "cella-vm-";
const OWN_PREFIX: &str = "cella-own-";
/// The same of every file that becomes a guest's snapshot, or a note of one, under another name.
pub(crate) const TAKING_PREFIX: &str = ".taking-";
/// Numbers of this class begin here: those of class `process`, which name control groups in the same way, stay below.
static NUMBER: AtomicU64 = AtomicU64::new(1 << 40);

/// A program on the search path, or in a directory where distributions keep what is not for users.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more =
        ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/libexec"].map(PathBuf::from);
    let dirs = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).chain(more);
    let mut found = dirs.map(|dir| dir.join(name)).filter(|file| {
        fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    });
    found.next()
}

/// The first line of what a program says.
pub(crate) fn first_line(program: &Path, arg: &str) -> io::Result<String> {
    let mut command = Command::new(program);
    command.arg(arg).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > ANSWER_TIMEOUT {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(ANSWER_LOOK);
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// A directory for one cell that nobody else may look into, named after the node.
pub(crate) fn private_dir() -> io::Result<TempDir> {
    dir(PREFIX)
}

/// The same for a node.
pub(crate) fn own_dir() -> io::Result<TempDir> {
    dir(OWN_PREFIX)
}

fn dir(kind: &str) -> io::Result<TempDir> {
    let prefix = marked(kind);
    tempfile::Builder::new().prefix(&prefix).permissions(fs::Permissions::from_mode(0o700)).tempdir()
}

/// The beginning of a name by which [`is_stale`] finds out whether this node is gone.
pub(crate) fn marked(kind: &str) -> String {
    let (namespace, pid, started) = owner();
    format!("{kind}{namespace:x}-{pid}-{started}-")
}

/// The next cell's name: unique on this machine, and in the form by which [`cella_cell::sweep`] finds control groups.
pub(crate) fn next_name() -> String {
    let (namespace, pid, started) = owner();
    format!("cella-{namespace:x}-{pid}-{started}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Whether a directory or a file has this name because a node that is gone gave it. Of another pid namespace nothing is known.
pub(crate) fn is_stale(name: &str) -> bool {
    let rest = [PREFIX, OWN_PREFIX, TAKING_PREFIX].into_iter().find_map(|kind| name.strip_prefix(kind));
    let Some(rest) = rest else { return false };
    let mut parts = rest.split('-');
    let namespace = parts.next().and_then(|part| u64::from_str_radix(part, 16).ok());
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
    let (Some(namespace), Some(pid), Some(started)) = (namespace, number(), number()) else { return false };
    namespace == pid_namespace() && start_time(pid) != Some(started)
}

fn owner() -> (u64, u64, u64) {
    let pid = u64::from(std::process::id());
    (pid_namespace(), pid, start_time(pid).unwrap_or_default())
}

fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map(|meta| meta.ino()).unwrap_or_default()
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold spaces and parentheses.
fn start_time(pid: u64) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{find, first_line, is_stale, private_dir};

    #[test]
    fn what_a_living_node_made_is_not_stale_and_what_a_dead_one_made_is() {
        let dir = private_dir().unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy().into_owned();
        assert!(!is_stale(&name));
        let dead = name.replacen(&format!("-{}-", std::process::id()), "-4194305-", 1);
        assert!(is_stale(&dead), "{dead}");
        assert!(!is_stale("cella-vm-mine") && !is_stale("else"));
    }

    #[test]
    fn a_program_that_does_not_answer_is_given_up() {
        let began = std::time::Instant::now();
        assert!(first_line(Path::new("/bin/sleep"), "30").is_err());
        assert!(began.elapsed() < std::time::Duration::from_secs(2));
        assert!(find("sh").is_some() && find("no-such-program").is_none());
    }
}
