//! Whether `runsc` can run a cell here.

use std::path::{Path, PathBuf};

use crate::{Probe, tools};

/// What installs it.
const FIX: &str = "install gVisor's runsc: apt-get install runsc (Debian; bookworm-backports has the newer one), or a release \
                   from gvisor.dev";

pub(super) fn probe(program: Option<&Path>) -> Probe {
    let Some(runsc) = program.map(Path::to_owned).or_else(|| tools::find("runsc")) else {
        return Probe::unusable("runsc is not installed", FIX);
    };
    let version = match tools::first_line(&runsc, "--version") {
        Ok(line) if line.starts_with("runsc version") => line,
        Ok(line) => return Probe::unusable(format!("{} says `{line}` of itself", runsc.display()), FIX),
        Err(error) => return Probe::unusable(format!("{}: {error}", runsc.display()), FIX),
    };
    if tools::find("unshare").is_none() {
        return Probe::unusable("`unshare` is missing", "apt-get install util-linux");
    }
    let root = rustix::process::geteuid().is_root();
    if let Some((why, fix)) = (!root).then(no_user_namespaces).flatten() {
        return Probe::unusable(why, fix);
    }
    let how = if root { "as root" } else { "rootless" };
    Probe::Usable { how: format!("{version}, {how}, no hardware needed") }
}

/// The program to start.
pub(super) fn program(own: Option<PathBuf>) -> Option<PathBuf> {
    own.or_else(|| tools::find("runsc"))
}

/// What of this machine keeps a plain user from making user namespaces, which rootless needs.
fn no_user_namespaces() -> Option<(String, String)> {
    let settings = [
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run the node as root",
        ),
    ];
    let mut forbidden = settings
        .into_iter()
        .filter(|(file, value, _)| std::fs::read_to_string(file).is_ok_and(|text| text.trim() == *value));
    forbidden.next().map(|(file, value, fix)| {
        (format!("{file} is {value}, and rootless needs user namespaces"), fix.into())
    })
}
