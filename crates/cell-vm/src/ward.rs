//! Follows one cell from its making to its last process, in a task of its own.
//!
//! The task owns everything that must not outlive the cell. Whoever asked for the cell may go away at any moment: the
//! task notices, ends the cell and cleans up.

use std::{
    future::Future,
    io,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use cella_cell::{
    CellError, End, Exit, Handle, LimitHit, Limits, NetworkEnds, Report, Running, Shortfall, SocketOrder,
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    net::unix::pipe,
    sync::{mpsc, oneshot, watch},
    time::Instant as Moment,
};

use crate::{VmError, capped::Allowance, groups::Groups, tree::Tree};

/// How long setting up may take. A guest kernel in software translation needs some seconds on a busy machine; past this the
/// start fails.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(60);
/// A deadline that is none.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A sandbox whose program runs.
pub(crate) struct Guest {
    pub(crate) tree: Tree,
    /// Has SIGTERM given to every process of the guest.
    pub(crate) ask: Box<dyn FnMut() + Send>,
    /// What is known of the main program's end; `None` if the sandbox was killed before it.
    pub(crate) verdict: Box<dyn FnOnce(Option<ExitStatus>) -> Option<Ended> + Send>,
    pub(crate) streams: Streams,
    /// The node's ends of a brokered network.
    pub(crate) network: Option<NetworkEnds>,
    /// Where sockets are to be had that reach what the program serves.
    pub(crate) sockets: Option<mpsc::Sender<SocketOrder>>,
    pub(crate) report: Report,
    pub(crate) groups: Groups,
    /// Removed last.
    pub(crate) dir: TempDir,
}

/// How a main program ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

/// The node's ends.
pub(crate) struct Streams {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

/// What ends a cell, beside itself.
struct Wants {
    end: mpsc::UnboundedReceiver<End>,
    limits: mpsc::UnboundedReceiver<LimitHit>,
    wall: Option<Duration>,
}

/// Has a guest made in a task of its own, and follows it.
pub(crate) async fn keep<F, M>(name: &str, limits: Limits, make: M) -> Result<Running, VmError>
where
    M: FnOnce(String, Allowance) -> F,
    F: Future<Output = Result<Guest, VmError>> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let (hit, hits) = mpsc::unbounded_channel();
    let own_name = crate::tools::next_name();
    let id: Arc<str> = format!("{}/{own_name}", readable(name)).into();
    let making = make(own_name, Allowance::new(limits.output_bytes, hit.clone()));
    tokio::spawn(live(id, limits.wall_time, making, (hit, hits), tell));
    told.await.map_err(|_| CellError::Launcher { cause: "the runtime is shutting down".into() })?
}

type Hits = (mpsc::UnboundedSender<LimitHit>, mpsc::UnboundedReceiver<LimitHit>);

async fn live(
    id: Arc<str>,
    wall: Option<Duration>,
    making: impl Future<Output = Result<Guest, VmError>>,
    (hit, limits): Hits,
    mut tell: oneshot::Sender<Result<Running, VmError>>,
) {
    let made = tokio::select! {
        made = tokio::time::timeout(LAUNCH_TIMEOUT, making) => made,
        // Nobody waits any more: what there is so far dies with the future that was making it.
        () = tell.closed() => return,
    };
    let made = made.unwrap_or_else(|_elapsed| {
        let cause = format!("the sandbox was not ready within {LAUNCH_TIMEOUT:?}");
        Err(CellError::Launcher { cause }.into())
    });
    let guest = match made {
        Ok(guest) => guest,
        Err(error) => return drop(tell.send(Err(error))),
    };
    let Guest { mut tree, mut ask, verdict, streams, network, sockets, mut report, groups, dir } = guest;
    let began = Instant::now();
    let (orders, end) = mpsc::unbounded_channel();
    let (publish, exit) = watch::channel(None);
    report.degraded.extend(network.as_ref().and_then(unseen));
    let mut cell = Handle::new(id, Arc::new(report), orders, exit).with_pid(tree.pid());
    if let Some(sockets) = sockets {
        cell = cell.with_sockets(sockets);
    }
    let Streams { stdin, stdout, stderr } = streams;
    // If nobody waits any more, the handle drops here, and its closed channel is an order to kill.
    drop(tell.send(Ok(Running { stdin, stdout, stderr, network, cell })));
    let (status, mut limit) = until_gone(&mut tree, &mut ask, Wants { end, limits, wall }).await;
    drop(hit);
    let ended = verdict(status);
    let killed = Ended { signal: Some(Signal::KILL.as_raw()), code: None };
    let mut over = Exit::default();
    over.oom = groups.out_of_memory();
    if ended.is_none() && over.oom {
        limit = limit.or(Some(LimitHit::Memory));
    }
    // A limit's end is a kill, whatever the program still managed to say.
    let ended = ended.filter(|_| limit.is_none()).unwrap_or(killed);
    (over.code, over.signal, over.limit) = (ended.code, ended.signal, limit);
    over.wall = began.elapsed();
    over.cpu = groups.cpu_time().unwrap_or_default();
    over.peak_memory_bytes = groups.peak_memory().unwrap_or_default();
    // First the leftovers, then the news: who waited finds nothing of the cell.
    drop(groups);
    let _runtime_is_gone = tokio::task::spawn_blocking(move || drop(dir)).await;
    publish.send_replace(Some(over));
}

/// Carries out orders until every process is gone.
async fn until_gone(
    tree: &mut Tree,
    ask: &mut (dyn FnMut() + Send),
    mut wants: Wants,
) -> (Option<ExitStatus>, Option<LimitHit>) {
    let wall = Moment::now() + wants.wall.unwrap_or(NEVER);
    let mut deadline = Moment::now() + NEVER;
    let mut hit = None;
    loop {
        tokio::select! {
            status = tree.gone() => return (status, hit),
            order = wants.end.recv() => match order {
                Some(End::Stop(grace)) => {
                    ask();
                    deadline = deadline.min(Moment::now() + grace);
                }
                Some(End::Kill | End::Over(_)) | None => break,
            },
            Some(limit) = wants.limits.recv() => {
                hit = Some(limit);
                break;
            }
            () = tokio::time::sleep_until(wall) => {
                hit = Some(LimitHit::WallTime);
                break;
            }
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    tree.kill().await;
    (None, hit)
}

/// What of a network is not seen.
fn unseen(ends: &NetworkEnds) -> Option<Shortfall> {
    ends.audit.is_none().then(|| Shortfall {
        what: "network audit".into(),
        why: "this kernel has no packet sockets, so attempts at ports that nobody serves are refused unseen"
            .into(),
        fix: "a kernel with CONFIG_PACKET".into(),
    })
}

/// Three pipes: the cell's ends and the node's.
pub(crate) fn pipes() -> io::Result<([std::process::Stdio; 3], Streams)> {
    let (child_in, stdin) = io::pipe()?;
    let (stdout, child_out) = io::pipe()?;
    let (stderr, child_err) = io::pipe()?;
    let streams = Streams {
        stdin: pipe::Sender::from_owned_fd(stdin.into())?,
        stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
        stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
    };
    Ok(([child_in.into(), child_out.into(), child_err.into()], streams))
}

/// The specification's name as it may stand in an id.
fn readable(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.chars().take(64).map(|c| if allowed(c) { c } else { '_' }).collect()
}
