//! Follows one cell from its order to its last process, in a task of its own.
//!
//! The task owns everything that must not outlive the cell. Whoever asked for the cell may go away at any moment: the
//! task notices, ends the cell and cleans up.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::unix::pipe,
    sync::{mpsc, oneshot, watch},
};

use super::{
    Ground,
    cgroup::{Controller, Groups},
    identity::Lease,
    order::{self, Order},
    refusal, sys,
    verdict::{self, Abilities},
    wire::{self, Ended, Frame, TERMINATE},
};
use crate::{CellError, CgroupVersion, End, Exit, Handle, LimitHit, Report, Running, Shortfall, Spec};

/// How long setting up may take. Stops a mount of a dead network filesystem from holding a server's start for ever; past
/// it the start fails.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes read from a cell's socket at once.
const READ_BYTES: usize = 4096;

/// Starts a cell and its task.
pub(crate) async fn launch(ground: Arc<Ground>, spec: Spec) -> Result<Running, CellError> {
    let (tell, told) = oneshot::channel();
    tokio::spawn(follow(ground, spec, tell));
    let lost = |_| CellError::Launcher { cause: "the runtime is shutting down".into() };
    told.await.map_err(lost)?
}

/// The life of one cell.
async fn follow(ground: Arc<Ground>, spec: Spec, tell: oneshot::Sender<Result<Running, CellError>>) {
    let prepared = match Prepared::new(&ground, &spec).await {
        Ok(prepared) => prepared,
        Err(error) => return drop(tell.send(Err(error))),
    };
    let born = tokio::time::timeout(LAUNCH_TIMEOUT, prepared.bear(&ground, &spec)).await;
    let born = born.unwrap_or_else(|_elapsed| {
        let cause = format!("the cell was not ready within {LAUNCH_TIMEOUT:?}");
        Err(CellError::Launcher { cause })
    });
    let (mut alive, pipes) = match born {
        Ok(born) => born,
        Err(error) => {
            // First the groups, then the answer: a caller that tries again finds nothing of the first try.
            prepared.clean_up().await;
            return drop(tell.send(Err(error)));
        }
    };
    let (orders, mut end) = mpsc::unbounded_channel();
    let (publish, exit) = watch::channel(None);
    let mut report = prepared.report.clone();
    report.degraded.extend(alive.not_idmapped.iter().map(|path| Shortfall {
        what: format!("owner's rights in {}", path.display()),
        why: "its filesystem has no idmapped mounts; the cell has only everybody's rights there".into(),
        fix: "keep it on ext4, xfs, btrfs or tmpfs".into(),
    }));
    let id: Arc<str> = format!("{}/{}", readable(&spec.name), prepared.name).into();
    let cell = Handle::new(id, Arc::new(report), orders, exit).with_pid(alive.pid());
    let Pipes { stdin, stdout, stderr } = pipes;
    // If nobody waits any more, the handle drops here, and its closed channel is an order to kill.
    drop(tell.send(Ok(Running { stdin, stdout, stderr, cell })));
    alive.until_gone(&mut end).await;
    let exit = prepared.exit_of(&alive, &spec);
    prepared.clean_up().await;
    publish.send_replace(Some(exit));
}

/// What exists before the first process does.
struct Prepared {
    name: String,
    lease: Lease,
    groups: Arc<Groups>,
    report: Report,
    order: Order,
}

/// Why nothing runs, and whether there was a first process.
struct Stillborn {
    error: CellError,
    made: bool,
}

/// The node's ends.
struct Pipes {
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

impl Prepared {
    async fn new(ground: &Arc<Ground>, spec: &Spec) -> Result<Self, CellError> {
        let name = ground.next_name();
        let lease = ground.identities.lease()?;
        let (groups, failure) = make_groups(ground, &name, spec).await;
        let able = abilities(ground, &groups, failure.as_deref());
        let decided = verdict::judge(spec, &able).and_then(|report| {
            let ground = order::Ground {
                layout: &ground.layout,
                identity: lease.identity,
                landlock: able.landlock_abi > 0,
                memory_group: groups.limits_memory(),
            };
            Ok((report, order::compile(spec, &ground)?))
        });
        let groups = Arc::new(groups);
        match decided {
            Ok((report, order)) => Ok(Self { name, lease, groups, report, order }),
            Err(error) => {
                remove(groups).await;
                Err(error)
            }
        }
    }

    /// Has the launcher make it, and waits until the program runs. A launcher that dies before it has made the cell is
    /// replaced once.
    async fn bear(&self, ground: &Ground, spec: &Spec) -> Result<(Alive, Pipes), CellError> {
        match self.try_to_bear(ground, spec).await {
            Err(Stillborn { error: CellError::Launcher { cause }, made: false }) => {
                tracing::warn!(cause, "the cell launcher died before it had made a cell; trying once more");
                self.try_to_bear(ground, spec).await.map_err(|again| again.error)
            }
            other => other.map_err(|stillborn| stillborn.error),
        }
    }

    async fn try_to_bear(&self, ground: &Ground, spec: &Spec) -> Result<(Alive, Pipes), Stillborn> {
        let unmade = |error: CellError| Stillborn { error, made: false };
        let (ours, pipes) = self.request(ground).await.map_err(unmade)?;
        let socket = sys::awaitable(ours, Interest::READABLE | Interest::WRITABLE);
        let mut alive = Alive::new(socket.map_err(|error| unmade(error.into()))?);
        let order = wire::encode(&self.order).map_err(|error| unmade(error.into()))?;
        let lost = |error: io::Error| CellError::Launcher { cause: error.to_string() };
        alive.send(&order).await.map_err(|error| unmade(lost(error)))?;
        match alive.until_started(spec).await {
            Ok(()) => Ok((alive, pipes)),
            Err(error) => Err(Stillborn { error, made: alive.pidfd.is_some() }),
        }
    }

    /// Makes the socket and the pipes, and gives the cell's ends to the launcher.
    async fn request(&self, ground: &Ground) -> Result<(OwnedFd, Pipes), CellError> {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(io::Error::from)?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(io::Error::from)?;
        let (child_in, stdin) = io::pipe()?;
        let (stdout, child_out) = io::pipe()?;
        let (stderr, child_err) = io::pipe()?;
        let procs = self.groups.open_procs()?;
        let fixed = [theirs.as_fd(), child_in.as_fd(), child_out.as_fd(), child_err.as_fd()];
        let fds: Vec<_> = fixed.into_iter().chain(procs.iter().map(AsFd::as_fd)).collect();
        ground.link.request(&fds).await?;
        let pipes = Pipes {
            stdin: pipe::Sender::from_owned_fd(stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
        };
        Ok((ours, pipes))
    }

    fn exit_of(&self, alive: &Alive, spec: &Spec) -> Exit {
        let ended = alive.ended.clone().unwrap_or(Ended { signal: Some(libc::SIGKILL), ..Ended::default() });
        let oom = self.groups.out_of_memory();
        let killed = ended.signal == Some(libc::SIGKILL);
        let cpu = Duration::from_micros(ended.cpu_micros);
        let over_cpu = ended.signal == Some(libc::SIGXCPU)
            || (killed && spec.limits.cpu_time.is_some_and(|limit| cpu >= limit));
        let limit = match () {
            () if ended.wall_limit => Some(LimitHit::WallTime),
            () if oom && killed => Some(LimitHit::Memory),
            () if over_cpu => Some(LimitHit::CpuTime),
            () => None,
        };
        Exit {
            code: ended.code,
            signal: if ended.wall_limit { Some(libc::SIGKILL) } else { ended.signal },
            oom,
            limit,
            wall: alive.began.elapsed(),
            cpu,
            peak_memory_bytes: self.groups.peak_memory().unwrap_or(ended.peak_bytes),
        }
    }

    async fn clean_up(self) {
        remove(self.groups).await;
        drop(self.lease);
    }
}

async fn make_groups(ground: &Arc<Ground>, name: &str, spec: &Spec) -> (Groups, Option<String>) {
    let (ground, name, limits) = (Arc::clone(ground), name.to_owned(), spec.limits);
    let made = tokio::task::spawn_blocking(move || ground.hierarchies.create(&name, &limits)).await;
    match made.map_err(io::Error::other).flatten() {
        Ok(groups) => (groups, None),
        Err(error) => (Groups::default(), Some(error.to_string())),
    }
}

async fn remove(groups: Arc<Groups>) {
    let _runtime_is_gone = tokio::task::spawn_blocking(move || groups.remove()).await;
}

fn abilities(ground: &Ground, groups: &Groups, failure: Option<&str>) -> Abilities {
    let group = |controller: Controller| -> Result<CgroupVersion, String> {
        let able =
            ground.hierarchies.version(controller).ok_or_else(|| ground.hierarchies.why_not(controller));
        failure.map_or(able, |why| Err(why.to_owned()))
    };
    debug_assert!(failure.is_none() || !groups.limits_memory(), "a failed creation leaves no group");
    Abilities {
        landlock_abi: ground.landlock.clone().unwrap_or_default(),
        landlock_why_not: ground.landlock.clone().err().unwrap_or_default(),
        groups: Controller::ALL.map(|controller| (controller.name(), group(controller))).to_vec(),
        private_identity: ground.identities.are_private(),
    }
}

/// A cell whose first process exists.
struct Alive {
    socket: AsyncFd<OwnedFd>,
    received: Vec<u8>,
    /// Of the first process: readable when the whole tree is gone.
    pidfd: Option<AsyncFd<OwnedFd>>,
    not_idmapped: Vec<std::path::PathBuf>,
    ended: Option<Ended>,
    began: Instant,
}

impl Alive {
    fn new(socket: AsyncFd<OwnedFd>) -> Self {
        Self {
            socket,
            received: Vec::new(),
            pidfd: None,
            not_idmapped: Vec::new(),
            ended: None,
            began: Instant::now(),
        }
    }

    async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.socket.writable().await?;
            let sent = ready.try_io(|socket| Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?));
            if let Ok(sent) = sent {
                bytes = &bytes[sent?..];
            }
        }
        Ok(())
    }

    /// The next frame; `None` at end of file.
    async fn frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = wire::decode(&mut self.received)? {
                return Ok(Some(frame));
            }
            let mut ready = self.socket.readable().await?;
            let mut chunk = [0; READ_BYTES];
            let read = ready.try_io(|socket| wire::receive_with_fds(socket.as_fd(), &mut chunk));
            let Ok(read) = read else { continue };
            let (count, fds) = read?;
            if count == 0 {
                return Ok(None);
            }
            self.received.extend_from_slice(&chunk[..count]);
            for fd in fds {
                self.pidfd = Some(sys::awaitable(fd, Interest::READABLE)?);
            }
        }
    }

    /// What the kernel says of the descriptor that stands for the first process (`pidfd_open(2)`).
    fn pid(&self) -> Option<u32> {
        let fd = std::os::fd::AsRawFd::as_raw_fd(self.pidfd.as_ref()?);
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        line.trim().parse().ok()
    }

    async fn until_started(&mut self, spec: &Spec) -> Result<(), CellError> {
        loop {
            let frame =
                self.frame().await.map_err(|error| CellError::Launcher { cause: error.to_string() })?;
            match frame {
                Some(Frame::Made { not_idmapped }) => self.not_idmapped = not_idmapped,
                Some(Frame::Started) => {
                    self.began = Instant::now();
                    return Ok(());
                }
                Some(Frame::Failed(failure)) => return Err(refusal::refuse(&failure, &spec.program)),
                Some(Frame::Ended(_)) | None => {
                    let cause = "the cell's first process died while it was being set up".into();
                    return Err(CellError::Launcher { cause });
                }
            }
        }
    }

    /// Carries out orders until every process is gone.
    async fn until_gone(&mut self, orders: &mut mpsc::UnboundedReceiver<End>) {
        let mut deadline: Option<tokio::time::Instant> = None;
        let mut listening = true;
        while listening {
            let timeout = deadline.unwrap_or_else(|| tokio::time::Instant::now() + LAUNCH_TIMEOUT);
            tokio::select! {
                frame = self.frame() => match frame {
                    Ok(Some(Frame::Ended(ended))) => self.ended = Some(ended),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => listening = false,
                },
                order = orders.recv() => match order {
                    Some(End::Stop(grace)) => {
                        let _gone_already = rustix::net::send(&self.socket, &[TERMINATE], SendFlags::NOSIGNAL);
                        let until = tokio::time::Instant::now() + grace;
                        deadline = Some(deadline.map_or(until, |before| before.min(until)));
                    }
                    Some(End::Kill) | None => listening = false,
                },
                () = tokio::time::sleep_until(timeout) => listening = deadline.is_none(),
            }
        }
        self.kill().await;
    }

    /// Kills the first process, which takes the others along, and waits until that has happened.
    async fn kill(&mut self) {
        let Some(pidfd) = &self.pidfd else { return };
        let _gone_already = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        if self.ended.is_none() {
            // What it said before it was killed.
            self.ended = match wire::decode(&mut self.received) {
                Ok(Some(Frame::Ended(ended))) => Some(ended),
                _ => None,
            };
        }
        let _gone = pidfd.readable().await;
    }
}

/// The specification's name as it may stand in an id.
fn readable(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.chars().take(64).map(|c| if allowed(c) { c } else { '_' }).collect()
}
