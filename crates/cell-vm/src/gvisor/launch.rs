//! From a specification to a program that runs behind gVisor's kernel.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use cella_cell::{CellError, Network, Report, Running, Spec, TreeNetwork};
use rustix::fs::{FileType, Mode};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::unix::pipe};

use super::{bundle, probe};
use crate::{
    DriverName, VmError,
    capped::Allowance,
    groups::{Groups, Overhead},
    judge::{Claims, judge},
    tools,
    tree::Tree,
    view::View,
    ward::{self, Ended, Guest},
};

/// What gVisor's kernel, its file server and their runtime need for themselves. Measured at 60 to 90 MiB; too little would
/// kill programs within their own limit.
const OVERHEAD: Overhead = Overhead { memory_bytes: 160 << 20, threads: Some(256) };
/// Between two looks whether the program runs.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Bytes of complaints that are kept.
const COMPLAINT_BYTES: u64 = 4096;

/// Started by a shell in the sandbox's own pid and mount namespace: enters the groups, passes signals on as they are
/// ordered, and becomes `runsc`. A second `runsc` must run beside the first one, in the same pid namespace, to reach it.
///
/// What may only be read is made read-only by the host's kernel first, each mount within it too. `runsc` is told so as
/// well, but cannot be relied on for it: the one of 2024 refuses to open such a file for writing after it has emptied it.
const SCRIPT: &str = r#"
runsc=$1 dir=$2 id=$3 groups=$4; shift 4
show() { mount --rbind "$1" "$dir/shown/$2" || exit 125; }
. "$dir/shown.sh"
while read -r _ _ _ _ point _; do
  case $point in "$dir/shown/"*) mount -o remount,bind,ro,nosuid,nodev "$(printf %b "$point")" || exit 125;; esac
done </proc/self/mountinfo
for group in $groups; do echo 0 >"$group" || exit 125; done
(while read -r signal; do "$runsc" "$@" kill --all "$id" "$signal"; done <"$dir/orders") </dev/null >/dev/null 2>&1 &
exec "$runsc" "$@" run --bundle "$dir" "$id"
"#;

pub(super) async fn launch(program: Option<PathBuf>, spec: Spec) -> Result<Running, VmError> {
    let (name, limits) = (spec.name.clone(), spec.limits);
    ward::keep(&name, limits, |id, allowance| make(program, spec, id, allowance)).await
}

async fn make(own: Option<PathBuf>, spec: Spec, id: String, allowance: Allowance) -> Result<Guest, VmError> {
    let missing = |what: &str| VmError::Unusable {
        driver: DriverName::Gvisor,
        why: format!("{what} is not installed"),
        fix: "run `cella doctor`".into(),
    };
    let runsc = probe::program(own).ok_or_else(|| missing("runsc"))?;
    let unshare = tools::find("unshare").ok_or_else(|| missing("unshare"))?;
    let prepared = tokio::task::spawn_blocking(move || Prepared::new(spec, id));
    let prepared = prepared.await.map_err(std::io::Error::other)??;
    let args = arguments(&runsc, &prepared);
    let orders = orders(prepared.dir.path())?;
    let (theirs, mut streams) = ward::pipes()?;
    let (mut tree, ends) = match TreeNetwork::of(&prepared.spec.network, prepared.dir.path())? {
        None => (Tree::start(&unshare, &args, theirs).await?, None),
        Some(network) => {
            let (tree, ends) = Tree::start_in(network, &unshare, &args, theirs).await?;
            (tree, Some(ends))
        }
    };
    let (network, sockets) = ends.unzip();
    if !until_started(&mut tree, &prepared).await {
        tree.kill().await;
        return Err(refusal(&prepared, streams.stderr).await);
    }
    let Prepared { dir, groups, report, log, .. } = prepared;
    streams.stdout = allowance.capped(streams.stdout)?;
    streams.stderr = allowance.capped(streams.stderr)?;
    Ok(Guest {
        tree,
        // A full pipe has orders enough in it.
        ask: Box::new(move || drop(orders.try_write(b"TERM\n"))),
        verdict: Box::new(move |status| verdict(status, &log)),
        streams,
        network,
        sockets,
        report,
        groups,
        dir,
    })
}

/// What exists before the first process does.
struct Prepared {
    id: String,
    spec: Spec,
    dir: TempDir,
    groups: Groups,
    report: Report,
    /// What `runsc run` says of itself.
    log: PathBuf,
}

impl Prepared {
    fn new(spec: Spec, id: String) -> Result<Self, VmError> {
        let view = View::of(&spec)?;
        view.check_program(&spec)?;
        let groups = Groups::make(&id, &spec.limits, OVERHEAD);
        let report = judge(&spec, &groups, &claims(&spec, &view))?;
        let dir = tools::private_dir()?;
        bundle::write(dir.path(), &spec, &view)?;
        // The guest's kernel writes what the program makes it say: that must not fill the disk.
        for part in ["boot", "gofer", "umount"] {
            std::os::unix::fs::symlink("/dev/null", dir.path().join(format!("log.{part}")))?;
        }
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("orders"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .map_err(std::io::Error::from)?;
        let log = dir.path().join("log.run");
        Ok(Self { id, spec, dir, groups, report, log })
    }
}

/// Of `unshare`. `runsc` looks up its children under `/proc` by number, so its pid namespace needs a `/proc` of its own;
/// a plain user gets that only in a user namespace in which he is root.
fn arguments(runsc: &Path, prepared: &Prepared) -> Vec<String> {
    let root = rustix::process::geteuid().is_root();
    let dir = prepared.dir.path().display();
    let user: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
    let groups: Vec<String> =
        prepared.groups.entrances().iter().map(|file| file.display().to_string()).collect();
    let mut args: Vec<String> = user.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(
        ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", SCRIPT, "sh"]
            .map(str::to_owned),
    );
    args.extend([runsc.display().to_string(), dir.to_string(), prepared.id.clone(), groups.join(" ")]);
    args.extend([format!("--root={dir}/state"), format!("--debug-log={dir}/log.%COMMAND%")]);
    // The host of a brokered network is a namespace in which every address is local.
    let brokered = matches!(prepared.spec.network, Network::Brokered { .. });
    args.extend(
        [if brokered { "--network=host" } else { "--network=none" }, "--ignore-cgroups"].map(str::to_owned),
    );
    args.extend((!root).then(|| "--rootless".to_owned()));
    args
}

fn orders(dir: &Path) -> Result<pipe::Sender, VmError> {
    // Read and write, so that it opens before its reader does and outlives him.
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    Ok(pipe::Sender::from_file_unchecked(file.open(dir.join("orders"))?)?)
}

/// Whether the program began; until then nothing of it has run.
async fn until_started(tree: &mut Tree, prepared: &Prepared) -> bool {
    let state = prepared.dir.path().join(format!("state/{0}_sandbox:{0}.state", prepared.id));
    loop {
        let ended = tree.has_ended();
        let text = fs::read_to_string(&state).unwrap_or_default();
        if text.contains("\"status\":\"running\"") || wait_status(&prepared.log).is_some() {
            return true;
        }
        if ended {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What it said instead of starting.
async fn refusal(prepared: &Prepared, stderr: pipe::Receiver) -> VmError {
    let mut said = Vec::new();
    let _what_there_is = stderr.take(COMPLAINT_BYTES).read_to_end(&mut said).await;
    let cause = String::from_utf8_lossy(&said).trim().to_owned();
    let path = prepared.spec.program.command.clone();
    let loading = cause.contains("failed to load") || cause.contains("finding executable");
    match () {
        () if loading && cause.contains("no such file") => {
            CellError::MissingInside { path, hint: Some("it, or the interpreter in its first line".into()) }
                .into()
        }
        () if loading => {
            let cause = cause.rsplit(": ").next().unwrap_or_default().to_owned();
            CellError::Exec { path, cause }.into()
        }
        () => VmError::NotSetUp { driver: DriverName::Gvisor, cause },
    }
}

/// The status that `runsc` notes in its log. Its own exit status does not tell a signal from a status above 128.
fn wait_status(log: &Path) -> Option<i32> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().rev().find_map(|line| line.split_once("Exiting with status: ")?.1.trim().parse().ok())
}

fn verdict(status: Option<ExitStatus>, log: &Path) -> Option<Ended> {
    // Nothing to be told of a sandbox that was killed.
    let status = status?;
    if let Some(status) = wait_status(log) {
        let signal = status & 0x7f;
        return Some(match signal {
            0 => Ended { code: Some((status >> 8) & 0xff), signal: None },
            signal => Ended { code: None, signal: Some(signal) },
        });
    }
    // It died without a word: killed from outside, or for want of memory.
    tracing::warn!(%status, "runsc ended without saying how its program did");
    None
}

fn claims(spec: &Spec, view: &View) -> Claims {
    let threads = OVERHEAD.threads.unwrap_or_default();
    Claims {
        driver: DriverName::Gvisor,
        walls: vec![
            (
                "kernel",
                "gVisor: system calls end in a kernel of its own, which a system call filter holds".into(),
            ),
            ("root", "read-only, and declared mounts, through a file server of its own".into()),
            ("network", network(&spec.network)),
            ("identity", format!("uid {} inside, no capability, no_new_privs", view.owner.0)),
        ],
        by_group: vec![
            ("memory", format!("as asked and {} MiB for gVisor itself", OVERHEAD.memory_bytes >> 20)),
            (
                "processes",
                format!(
                    "as asked and {threads} threads for gVisor itself; past it the cell ends, instead of `fork` failing"
                ),
            ),
        ],
        by_itself: Vec::new(),
        brokers: true,
    }
}

fn network(asked: &Network) -> String {
    match asked {
        Network::Brokered { ports } => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!(
                "this kernel's, in a namespace of its own; names and TCP ports {} end at the node's broker",
                ports.join(", ")
            )
        }
        _ => "none but its own loopback, inside gVisor".into(),
    }
}
