//! Launching real processes.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use cella_catalog::{BoxFuture, Instance, InstanceKey, Launch, LaunchError, Launched, ServerPlan};
use cella_link::{LinkOptions, Wire};
use cella_transport::FaultKind;
use tokio::process::{Child, Command};

/// Where the reference server is, unless it or Node is not there; then says so.
pub(crate) fn reference() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/refserver.mjs");
    let path = std::env::var_os("CELLA_REFSERVER").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let node = std::process::Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !path.exists() || !node.is_ok_and(|status| status.success()) {
        println!("skipped: needs node and {}", path.display());
        return None;
    }
    Some(path)
}

/// Runs a command line for each server.
#[derive(Clone, Default)]
pub(crate) struct Processes {
    pub(crate) commands: HashMap<String, Vec<String>>,
    pub(crate) pids: Arc<Mutex<HashMap<String, u32>>>,
    pub(crate) running: Arc<AtomicUsize>,
}

struct Process {
    child: Child,
    running: Arc<AtomicUsize>,
}

impl Processes {
    /// Ends the latest process of a server, as the kernel would.
    pub(crate) fn kill(&self, server: &str) {
        let pid = self.pids.lock().unwrap()[server].to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    }
}

impl Launch for Processes {
    async fn launch(&self, server: &ServerPlan, _: &InstanceKey) -> Result<Launched, LaunchError> {
        let line = &self.commands[&*server.name];
        let spawned = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|e| LaunchError {
            kind: FaultKind::Unavailable,
            code: "CE2000",
            message: e.to_string(),
            fix: None,
        })?;
        self.pids.lock().unwrap().insert(server.name.to_string(), child.id().unwrap());
        self.running.fetch_add(1, Ordering::SeqCst);
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let wire = Wire::Stdio { stdin: Box::new(stdin), stdout: Box::new(stdout) };
        let guard = Box::new(Process { child, running: self.running.clone() });
        Ok(Launched::over(wire, LinkOptions::new(&server.name), guard))
    }
}

impl Instance for Process {
    fn stop(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            let _gone_already = self.child.kill().await;
            None
        })
    }

    fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    fn stderr_tail(&self) -> Vec<String> {
        Vec::new()
    }

    fn exit(&self) -> Option<String> {
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}
