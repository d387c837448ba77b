//! A guest that has booted, or woken, and does not know yet what it is for.
//!
//! There are two ways to one. Booting takes seconds in software translation; waking from a snapshot of the same machine
//! takes a fraction of one. A snapshot that does not wake is thrown away, and the guest boots.

use std::{io, sync::Arc, time::Duration};

use serde_json::json;

use super::{
    machine::{CONTROL, Start, WAKING},
    monitor::Monitor,
    plan::Plan,
    site::Site,
    snapshot::{Store, Stored, Taking},
    talk::Ports,
};
use crate::{
    DriverName, VmError,
    tree::{Ends, Tree},
};

/// How long waking may take. It takes a fraction of a second; past it the guest boots instead.
const WAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long taking a snapshot may take; past it there is none, and the guest goes on.
const SAVE_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks whether a machine has sent everything.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// See the file's head. It is given to one cell, once, and dies with it.
#[derive(Debug)]
pub(super) struct Pristine {
    pub(super) tree: Tree,
    pub(super) ports: Ports,
    /// Where the node's broker listens to it.
    pub(super) network: Option<Ends>,
    pub(super) site: Site,
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
        match wake(plan, &site, stored).await {
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
        let Some(mut ports) = Ports::connect(&site, &mut tree, relay).await? else {
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
            let saved = save(&site, taking).await;
            // Nobody gives the machine orders any more.
            site.forget(CONTROL);
            saved.map_err(|error| VmError::NotSetUp {
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

/// One that does not wake is gone when this returns: the next machine has its place.
async fn wake(plan: &Plan, site: &Site, stored: Stored) -> Result<(Tree, Option<Ends>, Ports), VmError> {
    let (mut tree, network) = site.start(plan, Start::Wake).await?;
    let woken = woken(site, &mut tree, network.is_some(), stored);
    let woken = tokio::time::timeout(WAKE_TIMEOUT, woken).await;
    match woken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(ports) => Ok((tree, network, ports)),
        Err(error) => {
            tree.kill().await;
            Err(error.into())
        }
    }
}

/// The ports must be connected before the machine wakes, as they were when it fell asleep: a guest takes a port whose
/// host is gone for one that has ended.
async fn woken(site: &Site, tree: &mut Tree, relay: bool, stored: Stored) -> io::Result<Ports> {
    let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut ports = Ports::connect(site, tree, relay).await?.ok_or_else(gone)?;
    let waking = site.connect(WAKING, tree).await?.ok_or_else(gone)?.into_std()?;
    waking.set_nonblocking(false)?;
    let sent = tokio::task::spawn_blocking(move || io::copy(&mut &stored.file, &mut &waking)).await;
    sent.map_err(io::Error::other)??;
    if ports.is_awake().await { Ok(ports) } else { Err(gone()) }
}

/// Takes a snapshot of a guest and lets it go on. That it cannot be taken is only said; that it does not go on is an error.
async fn save(site: &Site, taking: Taking) -> io::Result<()> {
    let mut control = Monitor::over(site.connected(CONTROL).await?).await?;
    match tokio::time::timeout(SAVE_TIMEOUT, send_state(site, &mut control, taking)).await {
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
async fn send_state(site: &Site, control: &mut Monitor, taking: Taking) -> io::Result<()> {
    let (listener, place) = site.listen()?;
    control.order("migrate-set-parameters", json!({ "max-bandwidth": 1_u64 << 40 })).await?;
    control.order("migrate", json!({ "uri": format!("unix:{}", place.display()) })).await?;
    let stream = site.accepted(&listener).await?.into_std()?;
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
    let written = written.await.map_err(io::Error::other)??;
    tokio::task::spawn_blocking(move || written.keep()).await.map_err(io::Error::other)?
}
