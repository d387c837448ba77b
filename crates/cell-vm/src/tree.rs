//! A sandbox's processes on the host, as one thing that lives and dies.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use cella_cell::{NetworkEnds, SocketOrder, TreeNetwork};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, PidfdFlags, Signal},
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};

/// `PATH` of what drivers start: nothing of the node's environment is theirs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Between two looks for the first process, and how many.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOOKS_MAX: u32 = 500;
/// How long the end of a tree is waited for whose keeper has ended already. The kernel needs milliseconds; this stops a
/// process that hangs in a dead filesystem from holding the cell's end for ever.
const LAST_WAIT: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// The node's ends of a tree's network.
pub(crate) type Ends = (NetworkEnds, mpsc::Sender<SocketOrder>);

/// A tree that the kernel kills whole. Dropping it does that too.
#[derive(Debug)]
pub(crate) struct Tree {
    keeper: Child,
    /// The first process of its pid namespace: readable when the whole tree is gone. `None` on a kernel that does not tell
    /// children; then the keeper's end has to do.
    first: Option<Arc<OwnedFd>>,
    /// When this ends, the tree is of no more use.
    use_of: Option<JoinHandle<()>>,
}

// === impl Tree ===

impl Tree {
    /// Starts `program` with these streams.
    pub(crate) async fn start(program: &Path, args: &[String], streams: [Stdio; 3]) -> io::Result<Self> {
        Self::run(cella_cell::whole_tree(program), args, streams).await
    }

    /// The same in a network of its own.
    pub(crate) async fn start_in(
        network: TreeNetwork,
        program: &Path,
        args: &[String],
        streams: [Stdio; 3],
    ) -> io::Result<(Self, Ends)> {
        let mut tree = Self::run(network.whole_tree(program), args, streams).await?;
        let ends = tokio::select! {
            ends = network.ends() => ends,
            // Its complaint is on its standard error.
            _ended = tree.keeper.wait() => Err(io::Error::other("no network could be made for the sandbox")),
        };
        match ends {
            Ok(ends) => Ok((tree, ends)),
            Err(error) => {
                tree.kill().await;
                Err(error)
            }
        }
    }

    async fn run(
        mut command: std::process::Command,
        args: &[String],
        streams: [Stdio; 3],
    ) -> io::Result<Self> {
        let [stdin, stdout, stderr] = streams;
        command.args(args).env_clear().env("PATH", PATH).current_dir("/");
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let mut command = Command::from(command);
        let mut tree = Self { keeper: command.kill_on_drop(true).spawn()?, first: None, use_of: None };
        for _ in 0..LOOKS_MAX {
            tree.first = tree.look();
            if tree.first.is_some() || tree.keeper.try_wait()?.is_some() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(tree)
    }

    fn look(&self) -> Option<Arc<OwnedFd>> {
        let keeper = self.keeper.id()?;
        let children = || fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).ok();
        let named: i32 = children()?.split_whitespace().next()?.parse().ok()?;
        let opened = rustix::process::pidfd_open(Pid::from_raw(named)?, PidfdFlags::empty()).ok()?;
        // Had it died in between, the number could be somebody else's by now.
        let still = children()?.split_whitespace().next()?.parse() == Ok(named);
        still.then(|| Arc::new(opened))
    }

    /// Has it killed when that task ends.
    pub(crate) fn ends_with(&mut self, task: JoinHandle<()>) {
        self.use_of = Some(task);
    }

    /// When nothing of it is left; how its program ended.
    pub(crate) async fn gone(&mut self) -> Option<ExitStatus> {
        if let Some(task) = &mut self.use_of {
            tokio::select! {
                _ended = task => self.use_of = None,
                _status = self.keeper.wait() => {}
            }
            self.signal();
        }
        let status = self.keeper.wait().await.ok();
        if let Some(first) = self.first.clone() {
            let _runtime_is_gone = tokio::task::spawn_blocking(move || {
                let mut polled = [PollFd::new(&*first, PollFlags::IN)];
                rustix::event::poll(&mut polled, Some(&LAST_WAIT))
            })
            .await;
        }
        status
    }

    /// Kills every process and waits until that has happened.
    pub(crate) async fn kill(&mut self) {
        self.use_of = None;
        self.signal();
        self.gone().await;
    }

    fn signal(&mut self) {
        if let Some(first) = &self.first {
            let _gone_already = rustix::process::pidfd_send_signal(&**first, Signal::KILL);
        } else {
            let _gone_already = self.keeper.start_kill();
        }
    }

    /// The host's id of the keeper, for displays.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.keeper.id()
    }

    /// Whether its program has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.keeper.try_wait().is_ok_and(|status| status.is_some())
    }
}
