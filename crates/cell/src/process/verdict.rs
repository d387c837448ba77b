//! What is asked against what this machine can enforce: a report, or a refusal. Pure.

use super::cgroup::Controller;
use crate::{
    Access, CellError, CgroupVersion, Class, Enforcement, Network, Report, Root, Shortfall, Spec, Wall,
};

/// First Landlock version that controls TCP.
const LANDLOCK_TCP: u32 = 4;
/// First Landlock version that controls signals and abstract sockets.
const LANDLOCK_SCOPES: u32 = 6;

/// What of the machine matters here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Abilities {
    /// 0 if absent.
    pub(crate) landlock_abi: u32,
    pub(crate) landlock_why_not: String,
    /// Groups that hold, per controller, or why not.
    pub(crate) groups: Vec<(&'static str, Result<CgroupVersion, String>)>,
    /// The host uid is nobody else's.
    pub(crate) private_identity: bool,
    /// The tree can be looked at where no group counts it.
    pub(crate) watch: bool,
}

impl Abilities {
    fn group(&self, controller: Controller) -> Result<CgroupVersion, String> {
        let found = self.groups.iter().find(|(name, _)| *name == controller.name());
        found.map_or_else(|| Err("no such controller".into()), |(_, able)| able.clone())
    }
}

/// Judges one specification.
pub(crate) fn judge(spec: &Spec, able: &Abilities) -> Result<Report, CellError> {
    let mut report = Report { class: Class::Process.as_str().into(), ..Report::default() };
    let mut enforced = |what: &str, how: String| report.enforced.push(Wall { what: what.into(), how });
    enforced("namespaces", "user, mount, pid, network, ipc, uts, cgroup; new user namespaces closed".into());
    let root = match &spec.root {
        Root::HostSystem => "the host's system directories",
        Root::Image(_) => "an image",
    };
    enforced("root", format!("read-only, of {root} and declared mounts"));
    enforced("network", network(spec));
    enforced("identity", identity(able));
    enforced("capabilities", "none, no_new_privs".into());
    enforced(
        "seccomp",
        "a list of permitted calls; arguments of sockets, ioctl, prctl, clone checked".into(),
    );
    enforced("process tree", "pid namespace with a reaper that dies with the node".into());
    let tmpfs = spec.tmpfs;
    let how = format!("{} and {} files in /tmp, home and /dev/shm", size(tmpfs.bytes), tmpfs.inodes);
    enforced("tmpfs", how);
    let copies = spec.mounts.iter().filter(|mount| mount.access == Access::Copy).count();
    if copies > 0 {
        enforced("copies", format!("of {copies} of the mounts; what changes lands in layers beside them"));
    }
    if let Some(time) = spec.limits.wall_time {
        enforced("wall time", format!("{time:?}"));
    }
    if let Some(bytes) = spec.limits.output_bytes {
        enforced("output", format!("{} on standard output and error", size(bytes)));
    }
    if !spec.egress.is_empty() && !matches!(spec.network, Network::Brokered { .. }) {
        let why = format!("no network in this cell; granted: {}", spec.egress.join(", "));
        report.degraded.push(shortfall(
            "egress",
            why,
            "start it through the node, or with cella exec: their broker carries it",
        ));
    }
    cpu_time(spec, able, &mut report);
    landlock(spec, able, &mut report)?;
    memory(spec, able, &mut report)?;
    processes(spec, able, &mut report);
    processor_share(spec, able, &mut report)?;
    disks(spec, able, &mut report)?;
    Ok(report)
}

fn network(spec: &Spec) -> String {
    match &spec.network {
        Network::None => "own namespace with loopback only".into(),
        Network::Sealed => "own namespace, no TCP even on loopback".into(),
        Network::Brokered { ports } if ports.is_empty() => {
            "own namespace from which nothing leaves; what is tried is seen by the node's broker".into()
        }
        Network::Brokered { ports } => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!("own namespace; names and TCP ports {} end at the node's broker", ports.join(", "))
        }
    }
}

fn cpu_time(spec: &Spec, able: &Abilities, report: &mut Report) {
    let Some(time) = spec.limits.cpu_time else { return };
    let tree = if able.watch { " of the tree, looked at several times a second, and" } else { "" };
    let how = format!("{time:?}{tree} of each process (RLIMIT_CPU)");
    report.enforced.push(Wall { what: "cpu time".into(), how });
    if !able.watch {
        let why = "this kernel does not tell a process's children, so only each process is counted";
        report.degraded.push(shortfall("cpu time", why.into(), WATCH_FIX));
    }
}

/// What only groups can share out.
fn disks(spec: &Spec, able: &Abilities, report: &mut Report) -> Result<(), CellError> {
    let weight = spec.limits.io_weight;
    let rate = spec.limits.io_bytes_per_second;
    let asked = weight.value().is_some() || rate.value().is_some();
    if !asked {
        return Ok(());
    }
    let words = [
        weight.value().map(|weight| format!("weight {weight}")),
        rate.value().map(|bytes| format!("{bytes} bytes per second and disk")),
    ];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(", ");
    match able.group(Controller::Io) {
        Ok(version) => report.enforced.push(by_group("io", &words, version)),
        Err(why) => {
            fall_short(spec, weight.is_required() || rate.is_required(), "io", &why)?;
            report.degraded.push(shortfall("io", why, GROUP_FIX));
        }
    }
    Ok(())
}

fn identity(able: &Abilities) -> String {
    let who = if able.private_identity { "a host user of its own" } else { "the node's user" };
    format!("uid 1000 inside, {who} outside")
}

fn landlock(spec: &Spec, able: &Abilities, report: &mut Report) -> Result<(), CellError> {
    let abi = able.landlock_abi;
    let strict = spec.enforcement == Enforcement::Strict;
    let sealed = spec.network == Network::Sealed;
    let fix = "a newer kernel: Linux 5.13 for files, 6.7 for TCP, 6.12 for signals and abstract sockets";
    if abi == 0 || (sealed && abi < LANDLOCK_TCP) {
        let cause =
            if abi == 0 { able.landlock_why_not.clone() } else { format!("ABI {abi} knows no TCP rules") };
        if strict {
            return Err(CellError::Landlock { cause });
        }
        report.degraded.push(shortfall("landlock", cause, fix));
    }
    if abi == 0 {
        return Ok(());
    }
    let tcp = if sealed && abi >= LANDLOCK_TCP { ", TCP refused" } else { "" };
    let scopes = if abi >= LANDLOCK_SCOPES { ", signals and abstract sockets" } else { "" };
    report.enforced.push(Wall { what: "landlock".into(), how: format!("ABI {abi}: files{tcp}{scopes}") });
    if abi < LANDLOCK_SCOPES {
        // The namespaces already separate both; this is the second wall only.
        report.degraded.push(shortfall("landlock scopes", format!("ABI {abi} has none"), fix));
    }
    Ok(())
}

fn memory(spec: &Spec, able: &Abilities, report: &mut Report) -> Result<(), CellError> {
    let ask = spec.limits.memory_bytes;
    let Some(bytes) = ask.value() else { return Ok(()) };
    match able.group(Controller::Memory) {
        Ok(version) => report.enforced.push(by_group("memory", &size(bytes), version)),
        Err(why) => {
            fall_short(spec, ask.is_required(), "memory", &why)?;
            let how = format!("{} of private memory per process (RLIMIT_DATA)", size(bytes));
            report.enforced.push(Wall { what: "memory per process".into(), how });
            if able.watch {
                let how = format!(
                    "{} of the tree with shared memory and private files, looked at several times a second",
                    size(bytes)
                );
                report.enforced.push(Wall { what: "memory, watched".into(), how });
            }
            let gap = if able.watch {
                "a burst between two looks is not stopped"
            } else {
                "the tree as a whole and shared memory are not counted"
            };
            let why = format!("{why}; {gap}");
            report.degraded.push(shortfall("memory", why, GROUP_FIX));
        }
    }
    Ok(())
}

fn processes(spec: &Spec, able: &Abilities, report: &mut Report) {
    let Some(count) = spec.limits.processes.value() else { return };
    let wall = match able.group(Controller::Pids) {
        Ok(version) => by_group("processes", &count.to_string(), version),
        // Counted per user namespace since Linux 5.14, so no other cell and no other program shares the count.
        Err(_) => Wall {
            what: "processes".into(),
            how: format!("{count} (RLIMIT_NPROC in its own user namespace)"),
        },
    };
    report.enforced.push(wall);
}

fn processor_share(spec: &Spec, able: &Abilities, report: &mut Report) -> Result<(), CellError> {
    let ask = spec.limits.cpu_milli;
    let Some(milli) = ask.value() else { return Ok(()) };
    match able.group(Controller::Cpu) {
        Ok(version) => {
            report.enforced.push(by_group("cpu", &format!("{milli}/1000 of a processor"), version))
        }
        Err(why) => {
            fall_short(spec, ask.is_required(), "cpu", &why)?;
            report.degraded.push(shortfall("cpu", why, GROUP_FIX));
        }
    }
    Ok(())
}

const WATCH_FIX: &str = "a kernel with CONFIG_PROC_CHILDREN";
const GROUP_FIX: &str =
    "run the node as root, or as a systemd service with Delegate=yes and DelegateSubgroup=node";

fn fall_short(spec: &Spec, required: bool, limit: &'static str, why: &str) -> Result<(), CellError> {
    if required && spec.enforcement == Enforcement::Strict {
        return Err(CellError::Limit { limit, cause: why.to_owned(), fix: GROUP_FIX.into() });
    }
    Ok(())
}

fn by_group(what: &str, value: &str, version: CgroupVersion) -> Wall {
    let version = match version {
        CgroupVersion::V1 => "v1",
        CgroupVersion::V2 => "v2",
    };
    Wall { what: what.into(), how: format!("{value} (cgroup {version})") }
}

fn shortfall(what: &str, why: String, fix: &str) -> Shortfall {
    Shortfall { what: what.into(), why, fix: fix.into() }
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::{Abilities, judge};
    use crate::{Ask, CgroupVersion, Enforcement, Network, Program, Spec};

    fn able() -> Abilities {
        let groups = ["memory", "pids", "cpu", "io"].map(|name| (name, Ok(CgroupVersion::V1))).to_vec();
        Abilities { landlock_abi: 7, groups, private_identity: true, watch: true, ..Abilities::default() }
    }

    fn poor() -> Abilities {
        let groups = ["memory", "pids", "cpu"].map(|name| (name, Err("not writable".to_owned()))).to_vec();
        Abilities { landlock_abi: 7, groups, ..Abilities::default() }
    }

    fn spec() -> Spec {
        Spec::new("s", Program::default())
    }

    #[test]
    fn a_machine_that_has_everything_falls_short_of_nothing() {
        let mut spec = spec();
        spec.limits.cpu_milli = Ask::Require(500);
        let report = judge(&spec, &able()).unwrap();
        assert!(report.degraded.is_empty());
        assert!(
            report.enforced.iter().any(|wall| wall.what == "memory" && wall.how == "1024 MiB (cgroup v1)")
        );
    }

    #[test]
    fn a_required_limit_without_groups_is_a_refusal_and_a_preferred_one_a_shortfall() {
        let mut spec = spec();
        let report = judge(&spec, &poor()).unwrap();
        assert_eq!(report.degraded[0].what, "memory");
        spec.limits.memory_bytes = Ask::Require(1 << 20);
        let refusal = judge(&spec, &poor()).unwrap_err();
        assert_eq!(refusal.code(), "CE2005");
        spec.enforcement = Enforcement::BestEffort;
        assert_eq!(judge(&spec, &poor()).unwrap().degraded.len(), 1);
    }

    #[test]
    fn shares_of_disks_and_the_trees_time_are_said_or_refused() {
        let mut spec = spec();
        spec.limits.memory_bytes = Ask::No;
        spec.limits.io_weight = Ask::Require(50);
        assert_eq!(judge(&spec, &poor()).unwrap_err().code(), "CE2005");
        spec.limits.io_weight = Ask::Prefer(50);
        spec.limits.cpu_time = Some(std::time::Duration::from_secs(1));
        let report = judge(&spec, &poor()).unwrap();
        let short: Vec<&str> = report.degraded.iter().map(|short| short.what.as_str()).collect();
        assert_eq!(short, ["cpu time", "io"]);
        assert!(judge(&spec, &able()).unwrap().degraded.is_empty());
    }

    #[test]
    fn granted_hosts_fall_short_only_without_a_broker() {
        let mut spec = spec();
        spec.egress = vec!["a.example:443".into()];
        assert_eq!(judge(&spec, &able()).unwrap().degraded[0].what, "egress");
        spec.network = Network::Brokered { ports: vec![443] };
        assert!(judge(&spec, &able()).unwrap().degraded.is_empty());
    }

    #[test]
    fn without_landlock_strict_refuses_and_best_effort_says_so() {
        let none = Abilities { landlock_abi: 0, landlock_why_not: "ENOSYS".into(), ..able() };
        let mut spec = spec();
        assert_eq!(judge(&spec, &none).unwrap_err().code(), "CE2004");
        spec.enforcement = Enforcement::BestEffort;
        assert_eq!(judge(&spec, &none).unwrap().degraded[0].what, "landlock");
    }

    #[test]
    fn an_old_landlock_degrades_openly_and_cannot_seal() {
        let old = Abilities { landlock_abi: 3, ..able() };
        let mut spec = spec();
        assert_eq!(judge(&spec, &old).unwrap().degraded[0].what, "landlock scopes");
        spec.network = Network::Sealed;
        assert!(judge(&spec, &old).is_err());
    }
}
