//! From a specification to a program that runs in a virtual machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, PoisonError},
};

use cella_cell::{CellError, Running, Spec};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{
    guest::Guest,
    machine::{self, EXPORTS_MAX},
    probe::{self, Parts},
    talk::{Talk, Told},
};
use crate::{
    DriverName, Probe, VmError,
    capped::Allowance,
    groups::{Groups, Overhead},
    judge::{Claims, judge},
    tools,
    tree::Tree,
    ward,
};

/// What QEMU and the guest's kernel need for themselves, beyond the machine's own memory.
const OVERHEAD: Overhead = Overhead { memory_bytes: 512 << 20, threads: None };
/// Bytes of complaints that are shown.
const COMPLAINT_BYTES: usize = 2048;

/// Enters the groups and becomes QEMU, by way of a program that gives up every privilege; its complaints go to a file: standard error is the program's.
const SCRIPT: &str = r#"
log=$1 groups=$2; shift 2
for group in $groups; do echo 0 >"$group" || exit 125; done
exec "$@" >"$log" 2>&1
"#;

pub(super) async fn launch(places: Vec<PathBuf>, spec: Spec) -> Result<Running, VmError> {
    let (name, limits) = (spec.name.clone(), spec.limits);
    ward::keep(&name, limits, |id, allowance| make(places, spec, id, allowance)).await
}

async fn make(
    places: Vec<PathBuf>,
    spec: Spec,
    id: String,
    allowance: Allowance,
) -> Result<ward::Guest, VmError> {
    let prepared = tokio::task::spawn_blocking(move || Prepared::new(&places, &spec, &id));
    let Prepared { args, dir, groups, report } = prepared.await.map_err(std::io::Error::other)??;
    let streams = [Stdio::null(), Stdio::null(), Stdio::null()];
    let mut tree = Tree::start(Path::new("/bin/sh"), &args, streams).await?;
    let Some((mut talk, streams)) = Talk::with(dir.path(), &mut tree, &allowance).await? else {
        return Err(refusal(tree, &dir, None).await);
    };
    match talk.line().await.as_deref() {
        Some("ready") => talk.answer("go").await?,
        other => {
            let said = other.map(str::to_owned);
            return Err(refusal(tree, &dir, said).await);
        }
    }
    let (orders, ordered) = mpsc::unbounded_channel();
    let told = Told::default();
    let end = Arc::clone(&told);
    let attended = tokio::spawn(talk.attend(ordered, Arc::clone(&told)));
    // The machine does not know that it is of no more use.
    tree.ends_with(attended);
    Ok(ward::Guest {
        tree,
        ask: Box::new(move || {
            // A guest that has told its end needs no orders.
            let _ended = orders.send("term");
        }),
        verdict: Box::new(move |_| *end.lock().unwrap_or_else(PoisonError::into_inner)),
        streams,
        network: None,
        report,
        groups,
        dir,
    })
}

/// What exists before the first process does.
struct Prepared {
    args: Vec<String>,
    dir: TempDir,
    groups: Groups,
    report: cella_cell::Report,
}

impl Prepared {
    fn new(places: &[PathBuf], spec: &Spec, id: &str) -> Result<Self, VmError> {
        let driver = DriverName::Qemu;
        let parts = probe::find(places).map_err(|probe| match probe {
            Probe::Unusable { why, fix } => VmError::Unusable { driver, why, fix },
            Probe::Usable { how } => VmError::NotSetUp { driver, cause: how },
        })?;
        let guest = Guest::of(spec)?;
        let exports = guest.exports().count();
        if exports > EXPORTS_MAX {
            return Err(CellError::Spec {
                what: format!("{exports} directories, {EXPORTS_MAX} fit a machine"),
            }
            .into());
        }
        let mib = machine::memory_mib(spec);
        let overhead = Overhead { memory_bytes: OVERHEAD.memory_bytes, ..OVERHEAD };
        let groups = Groups::make(id, &spec.limits, overhead);
        let report = judge(spec, &groups, &claims(&guest, &parts, mib))?;
        let dir = tools::private_dir()?;
        fs::write(dir.path().join("initrd"), guest.archive(spec, &parts)?)?;
        // The machine's user may not be one who can read the kernel where it lies.
        fs::copy(&parts.kernel, dir.path().join("kernel"))?;
        let (uid, gid) = guest.owner;
        for file in [dir.path(), &dir.path().join("kernel"), &dir.path().join("initrd")] {
            std::os::unix::fs::chown(file, Some(uid), Some(gid))?;
        }
        let entrances: Vec<String> =
            groups.entrances().iter().map(|file| file.display().to_string()).collect();
        let mut args = vec!["-c".to_owned(), SCRIPT.to_owned(), "sh".to_owned()];
        args.extend([dir.path().join("log").display().to_string(), entrances.join(" ")]);
        args.push(parts.setpriv.display().to_string());
        if rustix::process::geteuid().is_root() {
            args.extend([format!("--reuid={uid}"), format!("--regid={gid}")]);
            args.extend(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"].map(str::to_owned));
        }
        args.extend(["--no-new-privs".to_owned(), parts.qemu.display().to_string()]);
        args.extend(machine::arguments(dir.path(), spec, &guest, &parts));
        Ok(Self { args, dir, groups, report })
    }
}

async fn refusal(mut tree: Tree, dir: &TempDir, said: Option<String>) -> VmError {
    tree.kill().await;
    let log = fs::read(dir.path().join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log[log.len().saturating_sub(COMPLAINT_BYTES)..]).trim().to_owned();
    let cause = said.map_or(log, |word| format!("the guest's init said `{word}`"));
    VmError::NotSetUp { driver: DriverName::Qemu, cause }
}

fn claims(guest: &Guest, parts: &Parts, mib: u64) -> Claims {
    let speed = if parts.hardware.is_ok() { "KVM" } else { "software translation" };
    Claims {
        driver: DriverName::Qemu,
        walls: vec![
            (
                "kernel",
                format!(
                    "a Linux of its own in a virtual machine of QEMU ({speed}), which a system call filter holds"
                ),
            ),
            ("root", "read-only, and declared mounts, as 9p exports of single directories".into()),
            ("network", "none: the machine has no network device".into()),
            (
                "identity",
                format!("uid {} inside and QEMU's own outside, no capability, no_new_privs", guest.owner.0),
            ),
        ],
        by_group: Vec::new(),
        by_itself: vec![
            ("memory", format!("the machine has {mib} MiB, its kernel's own included")),
            ("processes", "RLIMIT_NPROC in the guest".into()),
        ],
        brokers: false,
    }
}
