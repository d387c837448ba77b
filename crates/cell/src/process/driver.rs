//! Follows one cell from its order to its last process, in a task of its own.
//!
//! The task owns everything that must not outlive the cell. Whoever asked for the cell may go away at any moment: the
//! task notices, ends the cell and cleans up. A shell's task is the same with a pause in it, between the last wall and the
//! program.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::{
    io::Interest,
    net::unix::pipe,
    sync::{mpsc, oneshot, watch},
};

use super::{
    Ground,
    alive::{Alive, Unstarted, Wants},
    capped::Allowance,
    cgroup::{Controller, Groups},
    identity::Lease,
    layout::Layout,
    order::{self, Order},
    refusal,
    shells::Place,
    sights::Sights,
    sys,
    verdict::{self, Abilities},
    watch::Watch,
    wire::{self, Ended},
};
use crate::{
    CellError, CgroupVersion, Exit, Handle, LimitHit, Limits, Network, Program, Report, Root, Running,
    Shortfall, Spec,
};

/// How long setting up may take. Stops a mount of a dead network filesystem from holding a server's start for ever; past
/// it the start fails.
pub(super) const LAUNCH_TIMEOUT: Duration = Duration::from_secs(20);
/// Sockets that may be asked for before the cell has made them. Stops a flood of connections from filling its queue of
/// orders; past it whoever asks waits.
const SOCKETS_WAITING: usize = 16;

/// Whom to give what came of it. Dropped unused, nothing has run.
pub(super) type Tell = oneshot::Sender<Result<Running, CellError>>;

/// A cell that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) spec: Spec,
    /// What goes to the process that becomes the program.
    exec: Vec<u8>,
}

impl Wanted {
    fn new(spec: Spec) -> Result<Self, CellError> {
        let exec = wire::encode(&order::exec(&spec)?)?;
        Ok(Self { spec, exec })
    }
}

/// What is remembered of a specification while its program runs; not the environment, for one.
struct Memory {
    name: String,
    limits: Limits,
}

impl Memory {
    fn of(wanted: &Wanted) -> Self {
        Self { name: readable(&wanted.spec.name), limits: wanted.spec.limits }
    }
}

/// Starts a cell and its task: out of a shell that waits for one of this shape, or from the beginning.
pub(crate) async fn launch(ground: Arc<Ground>, spec: Spec) -> Result<Running, CellError> {
    let wanted = Arc::new(Wanted::new(spec)?);
    while let Some(shell) = ground.shells.take(&wanted.spec) {
        if let Some(answer) = shell.become_cell(&wanted).await {
            return answer;
        }
    }
    let (tell, told) = oneshot::channel();
    tokio::spawn(follow(ground, wanted, tell));
    let lost = |_| CellError::Launcher { cause: "the runtime is shutting down".into() };
    told.await.map_err(lost)?
}

/// The life of one cell.
async fn follow(ground: Arc<Ground>, wanted: Arc<Wanted>, tell: Tell) {
    let prepared = match Prepared::new(&ground, &wanted.spec).await {
        Ok(prepared) => prepared,
        Err(error) => return drop(tell.send(Err(error))),
    };
    match prepared.bear(&ground, Some(&wanted)).await {
        Ok((alive, pipes)) => {
            let memory = Memory::of(&wanted);
            drop(wanted);
            prepared.live(alive, pipes, &memory, tell).await;
        }
        Err(error) => {
            // First the groups, then the answer: a caller that tries again finds nothing of the first try.
            prepared.clean_up().await;
            drop(tell.send(Err(error)));
        }
    }
}

/// The life of a shell: it waits to become the cell that is asked for, or ends unused.
pub(super) async fn wait(ground: Arc<Ground>, spec: Arc<Spec>, place: Place) {
    let prepared = match Prepared::new(&ground, &spec).await {
        Ok(prepared) => prepared,
        Err(error) => return place.failed(&error),
    };
    let sights = Sights::of(&prepared.order).await;
    let (mut alive, pipes) = match prepared.bear(&ground, None).await {
        Ok(born) => born,
        Err(error) => {
            prepared.clean_up().await;
            return place.failed(&error);
        }
    };
    let pid = alive.pid();
    let asked = tokio::select! {
        biased;
        () = alive.until_disturbed() => None,
        asked = place.until_asked(pid) => asked,
    };
    // What waits shows the host as it was. If a path has come to lead elsewhere since, a program started now must see it.
    let fit = asked.as_ref().is_some_and(|(_, tell)| !tell.is_closed())
        && Sights::of(&prepared.order).await == sights
        && alive.is_quiet();
    let Some((wanted, tell)) = asked.filter(|_| fit) else {
        alive.kill().await;
        return prepared.clean_up().await;
    };
    drop(place);
    match execute(&mut alive, &wanted).await {
        Ok(()) => {
            let memory = Memory::of(&wanted);
            drop((wanted, spec));
            prepared.live(alive, pipes, &memory, tell).await;
        }
        Err(why) => {
            alive.kill().await;
            prepared.clean_up().await;
            let has_run_nothing = match &why {
                Unstarted::Said(failure) => !failure.step.is_of_program(),
                Unstarted::Unread(_) => true,
                Unstarted::Lost(_) => false,
            };
            if !has_run_nothing {
                drop(tell.send(Err(refusal_of(why, Some(&wanted.spec.program)))));
            }
        }
    }
}

/// Has a shell become the program.
async fn execute(alive: &mut Alive, wanted: &Wanted) -> Result<(), Unstarted> {
    let sent = async {
        alive.send(&wanted.exec).await.map_err(Unstarted::broken)?;
        alive.until_started().await
    };
    tokio::time::timeout(LAUNCH_TIMEOUT, sent).await.unwrap_or_else(|_elapsed| Err(too_slow().into()))
}

/// In words, which say more where it is known what was to be executed.
fn refusal_of(why: Unstarted, program: Option<&Program>) -> CellError {
    match why {
        Unstarted::Said(failure) => {
            program.map_or_else(|| refusal::explain(&failure), |program| refusal::refuse(&failure, program))
        }
        Unstarted::Unread(error) => CellError::Launcher { cause: error.to_string() },
        Unstarted::Lost(error) => error,
    }
}

fn too_slow() -> CellError {
    CellError::Launcher { cause: format!("the cell was not ready within {LAUNCH_TIMEOUT:?}") }
}

/// What exists before the first process does.
struct Prepared {
    name: String,
    lease: Lease,
    groups: Arc<Groups>,
    network: Network,
    report: Report,
    order: Order,
}

/// Why nothing runs, and whether there was a first process.
struct Stillborn {
    error: CellError,
    made: bool,
    /// The launcher that took the request.
    launcher: Option<u32>,
}

/// The node's ends.
struct Pipes {
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

impl Pipes {
    /// The same with an end to what may come out.
    fn capped(self, allowance: Option<&Arc<Allowance>>) -> io::Result<Self> {
        let Some(allowance) = allowance else { return Ok(self) };
        let (stdout, stderr) = (allowance.capped(self.stdout)?, allowance.capped(self.stderr)?);
        Ok(Self { stdin: self.stdin, stdout, stderr })
    }
}

impl Prepared {
    /// What has to be looked at from outside, because nothing of the kernel ends the cell for it.
    fn watch(&self, alive: &Alive, limits: &Limits) -> Option<Watch> {
        let memory = limits.memory_bytes.value().filter(|_| !self.groups.limits_memory());
        Watch::new(alive.pid()?, memory, limits.cpu_time)
    }

    async fn new(ground: &Arc<Ground>, spec: &Spec) -> Result<Self, CellError> {
        let name = ground.next_name();
        let lease = ground.identities.lease()?;
        let (groups, failure) = make_groups(ground, &name, spec).await;
        let able = abilities(ground, &groups, failure.as_deref());
        let decided = verdict::judge(spec, &able).and_then(|report| {
            let image = match &spec.root {
                Root::HostSystem => None,
                Root::Image(dir) => {
                    order::check_path(dir)?;
                    Some(Layout::of_image(dir)?)
                }
            };
            let ground = order::Ground {
                layout: image.as_ref().unwrap_or(&ground.layout),
                identity: lease.identity,
                landlock: able.landlock_abi > 0,
                memory_group: groups.limits_memory(),
            };
            Ok((report, order::compile(spec, &ground)?))
        });
        let groups = Arc::new(groups);
        match decided {
            Ok((report, order)) => {
                Ok(Self { name, lease, groups, network: spec.network.clone(), report, order })
            }
            Err(error) => {
                remove(groups).await;
                Err(error)
            }
        }
    }

    /// Has the launcher make it, and waits until the program runs, or, if none is wanted yet, until it waits for one. A
    /// launcher that dies before it has made the cell is replaced once.
    async fn bear(&self, ground: &Ground, wanted: Option<&Wanted>) -> Result<(Alive, Pipes), CellError> {
        let born = tokio::time::timeout(LAUNCH_TIMEOUT, self.bear_at_last(ground, wanted)).await;
        born.unwrap_or_else(|_elapsed| Err(too_slow()))
    }

    async fn bear_at_last(
        &self,
        ground: &Ground,
        wanted: Option<&Wanted>,
    ) -> Result<(Alive, Pipes), CellError> {
        match self.try_to_bear(ground, wanted).await {
            Err(Stillborn { error: CellError::Launcher { cause }, made: false, launcher }) => {
                tracing::warn!(cause, "the cell launcher died before it had made a cell; trying once more");
                if let Some(launcher) = launcher {
                    ground.link.give_up(launcher).await;
                }
                self.try_to_bear(ground, wanted).await.map_err(|again| again.error)
            }
            other => other.map_err(|stillborn| stillborn.error),
        }
    }

    async fn try_to_bear(
        &self,
        ground: &Ground,
        wanted: Option<&Wanted>,
    ) -> Result<(Alive, Pipes), Stillborn> {
        let unasked = |error: CellError| Stillborn { error, made: false, launcher: None };
        let (ours, pipes, launcher) = self.request(ground).await.map_err(unasked)?;
        let unmade = |error: CellError| Stillborn { error, made: false, launcher: Some(launcher) };
        let socket = sys::awaitable(ours, Interest::READABLE | Interest::WRITABLE);
        let mut alive = Alive::new(socket.map_err(|error| unmade(error.into()))?, &self.network);
        let order = Order { waits: wanted.is_none(), ..self.order.clone() };
        let mut words = wire::encode(&order).map_err(|error| unmade(error.into()))?;
        // The one is read by who makes the walls, the other by who stands within them.
        words.extend(wanted.iter().flat_map(|wanted| &wanted.exec));
        let lost = |error: io::Error| CellError::Launcher { cause: error.to_string() };
        alive.send(&words).await.map_err(|error| unmade(lost(error)))?;
        let reached = match wanted {
            Some(_) => alive.until_started().await,
            None => alive.until_waiting().await,
        };
        match reached {
            Ok(()) => Ok((alive, pipes)),
            Err(why) => {
                let made = alive.pidfd.is_some();
                let error = refusal_of(why, wanted.map(|wanted| &wanted.spec.program));
                Err(Stillborn { error, made, launcher: Some(launcher) })
            }
        }
    }

    /// From the program's first instruction to the end of the last process, and what is left to clear away then.
    async fn live(self, mut alive: Alive, pipes: Pipes, memory: &Memory, tell: Tell) {
        let (orders, end) = mpsc::unbounded_channel();
        let (sockets, asked) = mpsc::channel(SOCKETS_WAITING);
        let (hit, limits) = mpsc::unbounded_channel();
        let (publish, exit) = watch::channel(None);
        let id: Arc<str> = format!("{}/{}", memory.name, self.name).into();
        let report = Arc::new(self.report_with(&alive));
        let cell = Handle::new(id, report, orders, exit)
            .with_pid(alive.pid())
            .with_sockets(sockets)
            .with_freezer(self.groups.freezer(&self.name));
        let allowance = memory.limits.output_bytes.map(|bytes| Allowance::new(bytes, hit));
        let Pipes { stdin, stdout, stderr } = match pipes.capped(allowance.as_ref()) {
            Ok(pipes) => pipes,
            Err(error) => {
                alive.kill().await;
                self.clean_up().await;
                return drop(tell.send(Err(error.into())));
            }
        };
        let network = alive.network.take();
        // If nobody waits any more, the handle drops here, and its closed channel is an order to kill.
        drop(tell.send(Ok(Running { stdin, stdout, stderr, network, cell })));
        let mut wants = Wants { end, sockets: asked, limits, watch: self.watch(&alive, &memory.limits) };
        alive.until_gone(&mut wants).await;
        if alive.hit.is_none() && allowance.is_some_and(|allowance| allowance.is_overrun()) {
            alive.hit = Some(LimitHit::Output);
        }
        let exit = self.exit_of(&alive, &memory.limits);
        self.clean_up().await;
        publish.send_replace(Some(exit));
    }

    /// What was decided before, and what the birth has shown.
    fn report_with(&self, alive: &Alive) -> Report {
        let mut report = self.report.clone();
        report.degraded.extend(alive.not_idmapped.iter().map(|path| Shortfall {
            what: format!("owner's rights in {}", path.display()),
            why: "its filesystem has no idmapped mounts; the cell has only everybody's rights there".into(),
            fix: "keep it on ext4, xfs, btrfs or tmpfs".into(),
        }));
        if alive.network.as_ref().is_some_and(|ends| ends.audit.is_none()) {
            report.degraded.push(Shortfall {
                what: "network audit".into(),
                why: "this kernel has no packet sockets, so attempts at ports that nobody serves are refused unseen".into(),
                fix: "a kernel with CONFIG_PACKET".into(),
            });
        }
        report
    }

    /// Makes the socket and the pipes, and gives the cell's ends to the launcher, whose process id comes back.
    async fn request(&self, ground: &Ground) -> Result<(OwnedFd, Pipes, u32), CellError> {
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
        let launcher = ground.link.request(&fds).await?;
        let pipes = Pipes {
            stdin: pipe::Sender::from_owned_fd(stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
        };
        Ok((ours, pipes, launcher))
    }

    fn exit_of(&self, alive: &Alive, limits: &Limits) -> Exit {
        let ended = alive.ended.clone().unwrap_or(Ended { signal: Some(libc::SIGKILL), ..Ended::default() });
        let oom = self.groups.out_of_memory();
        let killed = ended.signal == Some(libc::SIGKILL);
        let cpu = Duration::from_micros(ended.cpu_micros).max(alive.seen.cpu);
        let over_cpu = ended.signal == Some(libc::SIGXCPU)
            || (killed && limits.cpu_time.is_some_and(|limit| cpu >= limit));
        let limit = match () {
            () if alive.hit.is_some() => alive.hit,
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
            peak_memory_bytes: self.groups.peak_memory().unwrap_or(ended.peak_bytes.max(alive.seen.memory)),
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
        failure.or(groups.why_not(controller)).map_or(able, |why| Err(why.to_owned()))
    };
    debug_assert!(failure.is_none() || !groups.limits_memory(), "a failed creation leaves no group");
    Abilities {
        landlock_abi: ground.landlock.clone().unwrap_or_default(),
        landlock_why_not: ground.landlock.clone().err().unwrap_or_default(),
        groups: Controller::ALL.map(|controller| (controller.name(), group(controller))).to_vec(),
        private_identity: ground.identities.are_private(),
        watch: Watch::is_possible(),
    }
}

/// The specification's name as it may stand in an id.
fn readable(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.chars().take(64).map(|c| if allowed(c) { c } else { '_' }).collect()
}
