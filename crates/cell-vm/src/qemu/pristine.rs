//! A guest that has booted, or woken, and does not know yet what it is for.
//!
//! There are two ways to one. Booting takes seconds in software translation; waking from a snapshot of the same machine
//! takes a fraction of one. A snapshot that does not wake is thrown away, and the guest boots.

use std::{fs, io, path::Path, process::Stdio, sync::Arc, time::Duration};

use cella_cell::TreeNetwork;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::{
    machine::{self, CONTROL, SAVED, Start, WAKING},
    monitor::Monitor,
    plan::Plan,
    snapshot::{Store, Stored, Taking},
    talk::{Ports, connect},
};
use crate::{
    DriverName, VmError,
    groups::Groups,
    tools,
    tree::{Ends, Tree},
};

/// How long waking may take. It takes a fraction of a second; past it the guest boots instead.
const WAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long taking a snapshot may take; past it there is none, and the guest goes on.
const SAVE_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks whether a machine has sent everything.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Bytes of complaints that are shown.
const COMPLAINT_BYTES: usize = 2048;

/// Enters the groups and becomes QEMU, by way of a program that gives up every privilege; its complaints go to a file: standard error is the program's.
const SCRIPT: &str = r#"
log=$1 groups=$2; shift 2
for group in $groups; do echo 0 >"$group" || exit 125; done
exec "$@" >"$log" 2>&1
"#;

/// What a machine needs before it starts.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) groups: Groups,
    pub(super) dir: TempDir,
}

/// See the file's head. It is given to one cell, once, and dies with it.
#[derive(Debug)]
pub(super) struct Pristine {
    pub(super) tree: Tree,
    pub(super) ports: Ports,
    /// Where the node's broker listens to it.
    pub(super) network: Option<Ends>,
    pub(super) site: Site,
}

// === impl Site ===

impl Site {
    /// Blocks.
    pub(super) fn new(plan: &Plan, groups: Groups) -> Result<Self, VmError> {
        let dir = tools::private_dir()?;
        fs::write(dir.path().join("initrd"), super::guest::first_files(&plan.parts)?)?;
        // The machine's user may not be one who can read the kernel where it lies.
        fs::copy(&plan.parts.kernel, dir.path().join("kernel"))?;
        let (uid, gid) = plan.guest.owner;
        for file in [dir.path(), &dir.path().join("kernel"), &dir.path().join("initrd")] {
            std::os::unix::fs::chown(file, Some(uid), Some(gid))?;
        }
        Ok(Self { groups, dir })
    }

    async fn start(&self, plan: &Plan, start: Start) -> Result<(Tree, Option<Ends>), VmError> {
        let (uid, gid) = plan.guest.owner;
        let entrances: Vec<String> =
            self.groups.entrances().iter().map(|file| file.display().to_string()).collect();
        let mut args = vec!["-c".to_owned(), SCRIPT.to_owned(), "sh".to_owned()];
        args.extend([self.dir.path().join("log").display().to_string(), entrances.join(" ")]);
        args.push(plan.parts.setpriv.display().to_string());
        if rustix::process::geteuid().is_root() {
            args.extend([format!("--reuid={uid}"), format!("--regid={gid}")]);
            args.extend(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"].map(str::to_owned));
        }
        args.extend(["--no-new-privs".to_owned(), plan.parts.qemu.display().to_string()]);
        args.extend(machine::arguments(self.dir.path(), &plan.spec, &plan.guest, &plan.parts, start));
        let (shell, streams) = (Path::new("/bin/sh"), [Stdio::null(), Stdio::null(), Stdio::null()]);
        let network =
            TreeNetwork::of(&plan.spec.network, self.dir.path())?.filter(|_| plan.guest.relay.is_some());
        Ok(match network {
            None => (Tree::start(shell, &args, streams).await?, None),
            Some(network) => {
                let (tree, ends) = Tree::start_in(network, shell, &args, streams).await?;
                (tree, Some(ends))
            }
        })
    }

    fn complaint(&self) -> String {
        let log = fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(COMPLAINT_BYTES)..]).trim().to_owned()
    }
}

// === impl Pristine ===

impl Pristine {
    /// By the quickest way that there is.
    pub(super) async fn make(plan: &Arc<Plan>, site: Site, store: Option<&Store>) -> Result<Self, VmError> {
        let Some(store) = store else { return Self::boot(plan, site, None).await };
        let (looking, shape) = (store.clone(), plan.shape.clone());
        let found = tokio::task::spawn_blocking(move || looking.find(&shape)).await;
        let Some(stored) = found.ok().flatten() else {
            return Self::boot(plan, site, store.take(&plan.shape)).await;
        };
        let woken = tokio::time::timeout(WAKE_TIMEOUT, wake(plan, &site, stored)).await;
        let woken = woken.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        match woken {
            Ok((tree, network, ports)) => Ok(Self { tree, ports, network, site }),
            Err(error) => {
                let said = site.complaint();
                tracing::warn!(%error, said, "a guest did not wake from its snapshot, and boots instead");
                store.reject(&plan.shape);
                Self::boot(plan, site, store.take(&plan.shape)).await
            }
        }
    }

    async fn boot(plan: &Plan, site: Site, taking: Option<Taking>) -> Result<Self, VmError> {
        let start = if taking.is_some() { Start::BootAndSave } else { Start::Boot };
        let (mut tree, network) = site.start(plan, start).await?;
        let relay = network.is_some();
        let Some(mut ports) = Ports::connect(site.dir.path(), &mut tree, relay).await? else {
            return Err(refusal(tree, &site, None).await);
        };
        match ports.line().await.as_deref() {
            Some("ready") => {}
            other => {
                let said = other.map(str::to_owned);
                return Err(refusal(tree, &site, said).await);
            }
        }
        if let Some(taking) = taking {
            save(plan, &site, taking).await.map_err(|error| VmError::NotSetUp {
                driver: DriverName::Qemu,
                cause: format!("the machine did not go on after its snapshot: {error}"),
            })?;
        }
        Ok(Self { tree, ports, network, site })
    }

    /// Whether it can still be used.
    pub(super) fn is_there(&mut self) -> bool {
        !self.tree.has_ended()
    }
}

// === free functions ===

pub(super) async fn refusal(mut tree: Tree, site: &Site, said: Option<String>) -> VmError {
    tree.kill().await;
    let cause = said.map_or_else(|| site.complaint(), |word| format!("the guest's init said `{word}`"));
    VmError::NotSetUp { driver: DriverName::Qemu, cause }
}

/// The ports must be connected before the machine wakes, as they were when it fell asleep: a guest takes a port whose
/// host is gone for one that has ended.
async fn wake(plan: &Plan, site: &Site, stored: Stored) -> Result<(Tree, Option<Ends>, Ports), VmError> {
    let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (mut tree, network) = site.start(plan, Start::Wake).await?;
    let ports = Ports::connect(site.dir.path(), &mut tree, network.is_some()).await?;
    let mut ports = ports.ok_or_else(gone)?;
    let waking = connect(&site.dir.path().join(WAKING), &mut tree).await?.ok_or_else(gone)?.into_std()?;
    waking.set_nonblocking(false)?;
    let sent = tokio::task::spawn_blocking(move || io::copy(&mut &stored.file, &mut &waking)).await;
    sent.map_err(io::Error::other)??;
    if ports.is_awake().await { Ok((tree, network, ports)) } else { Err(gone().into()) }
}

/// Takes a snapshot of a guest and lets it go on. That it cannot be taken is only said; that it does not go on is an error.
async fn save(plan: &Plan, site: &Site, taking: Taking) -> io::Result<()> {
    let mut control = Monitor::connect(&site.dir.path().join(CONTROL)).await?;
    match tokio::time::timeout(SAVE_TIMEOUT, send_state(plan, site, &mut control, taking)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "no snapshot could be taken of a guest"),
        Err(_) => {
            tracing::warn!("no snapshot could be taken of a guest within {SAVE_TIMEOUT:?}");
            control.order("migrate_cancel", json!({})).await?;
        }
    }
    // One that was not stopped is told in vain.
    control.order("cont", json!({})).await.map(drop)
}

/// The machine is stopped by itself when it has sent everything, and was running when it began: so who wakes runs.
async fn send_state(plan: &Plan, site: &Site, control: &mut Monitor, taking: Taking) -> io::Result<()> {
    let place = site.dir.path().join(SAVED);
    let listener = UnixListener::bind(&place)?;
    let (uid, gid) = plan.guest.owner;
    std::os::unix::fs::chown(&place, Some(uid), Some(gid))?;
    control.order("migrate-set-parameters", json!({ "max-bandwidth": 1_u64 << 40 })).await?;
    control.order("migrate", json!({ "uri": format!("unix:{}", place.display()) })).await?;
    let (stream, _) = listener.accept().await?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let written = tokio::task::spawn_blocking(move || taking.write(stream));
    loop {
        let state = control.order("query-migrate", json!({})).await?;
        match state["status"].as_str() {
            Some("completed") => break,
            Some("failed" | "cancelled") => return Err(io::Error::other(state.to_string())),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
    written.await.map_err(io::Error::other)?
}
