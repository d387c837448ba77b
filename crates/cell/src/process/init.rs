//! The first process of a cell's pid namespace: builds the walls, starts the program, reaps what it leaves behind, and
//! takes everything with it when it ends, because the kernel kills a pid namespace whose first process is gone.
//!
//! It stays outside of the cell's control groups, so that a program that exhausts them cannot take it down first, and it
//! is not dumpable, so that the program can neither trace nor see it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    net::RecvFlags,
    pipe::PipeFlags,
    process::{DumpableBehavior, WaitOptions, WaitStatus},
    thread::{CapabilitiesSecureBits, CapabilitySets},
};

use super::{
    birth, brokered,
    filter::{self, Filters},
    launcher::Request,
    order::{INNER_ID, Identity, Order},
    outcome::Outcome,
    root,
    sources::{self, OpenSources, write_whole},
    sys::{self, Forked},
    wire::{self, Ended, Failure, Frame, SOCKET, SOCKET_V6, Step, TERMINATE},
    workload::{self, Ends},
};

/// How much sooner than the node the kernel picks a cell when the whole machine is out of memory (0 to 1000).
const OOM_SCORE: &str = "300";

/// Never returns.
pub(crate) fn run(request: &Request, order: &Order, opened: Option<OpenSources>, filters: &Filters) -> ! {
    match start(request, order, opened, filters) {
        Ok(started) => {
            let ended = live(request.socket.as_fd(), &started, order.wall_millis);
            sys::exit_now(i32::from(ended.is_err()));
        }
        Err(failure) => {
            birth::report(request.socket.as_fd(), &failure);
            sys::exit_now(1);
        }
    }
}

/// A program that runs.
struct Started {
    pid: i32,
    began: Instant,
    /// Readable when a child has ended.
    children: OwnedFd,
}

fn start(
    request: &Request,
    order: &Order,
    opened: Option<OpenSources>,
    filters: &Filters,
) -> Result<Started, Failure> {
    let _only_a_label = rustix::thread::set_name(c"cella-init");
    // Kernels without keys have none to leave; the filter refuses the calls in any case.
    let _no_keys = sys::leave_keyring();
    become_cell_user(order.identity).map_err(|e| Failure::new(Step::Identity, &e))?;
    close_user_namespaces().map_err(|e| Failure::new(Step::NamespaceLock, &e))?;
    rustix::system::sethostname(b"cell").map_err(|e| Failure::new(Step::Namespaces, &e.into()))?;
    // Raising is always allowed, and must happen while /proc/self is still ours.
    let _not_vital = write_whole("/proc/self/oom_score_adj", OOM_SCORE);

    let children = sys::child_signal_fd().map_err(|e| Failure::new(Step::Namespaces, &e))?;
    let pipe =
        || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| Failure::new(Step::Exec, &e.into()));
    let ((outcome, tell), (hold, go)) = (pipe()?, pipe()?);
    let ends = Ends { tell, hold };
    match sys::fork(0).map_err(|e| Failure::new(Step::Exec, &e))? {
        Forked::Child => {
            drop((outcome, go, children));
            workload::run(request, order, filters, &ends)
        }
        Forked::Parent { pid, pidfd } => {
            drop(ends);
            let mut outcome = Outcome::new(outcome);
            // If it is gone already, the pipe from it says why.
            let go_on = || {
                let _gone = rustix::io::write(&go, b"g");
            };
            build(order, opened)?;
            go_on();
            root::leave_old()?;
            outcome.until_network()?;
            join_network(&mut outcome, request, pidfd.as_fd())?;
            fill_network(request, order).map_err(|e| Failure::new(Step::Network, &e))?;
            let give_up = || give_up_rights(filters, order.limits.counted());
            if order.waits {
                // Nobody is kept waiting, and a shell that waits has no right left anywhere.
                give_up()?;
                go_on();
            } else {
                go_on();
                give_up()?;
            }
            outcome.until_executed(request.socket.as_fd())?;
            Ok(Started { pid, began: Instant::now(), children })
        }
    }
}

/// The root. The kernel moves every process of the mount namespace along from the old root to the new.
fn build(order: &Order, opened: Option<OpenSources>) -> Result<(), Failure> {
    let opened = match opened {
        Some(opened) => opened,
        None => sources::open(order)?,
    };
    root::enter(order, opened)
}

/// Enters the network namespace that the process made which becomes the program.
fn join_network(outcome: &mut Outcome, request: &Request, program: BorrowedFd<'_>) -> Result<(), Failure> {
    sys::join_network_of(program).or_else(|error| {
        if error.raw_os_error() == Some(libc::ESRCH) {
            // Who is gone has said why.
            outcome.until_executed(request.socket.as_fd())?;
        }
        Err(Failure::new(Step::Network, &error))
    })
}

/// Makes the node's ends of it.
fn fill_network(request: &Request, order: &Order) -> io::Result<()> {
    let ports = order.brokered.as_deref();
    ports.map_or(Ok(()), |ports| brokered::hand_over(request.socket.as_fd(), ports))
}

/// uid and gid 1000 inside, with the namespace's capabilities kept: files made from here on need an id that exists.
pub(crate) fn become_cell_user(identity: Identity) -> io::Result<()> {
    let (uid, gid) = (rustix::process::Uid::from_raw(INNER_ID), rustix::process::Gid::from_raw(INNER_ID));
    rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::KEEP_CAPS)?;
    if identity.privileged {
        rustix::thread::set_thread_groups(&[])?;
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let held = rustix::thread::capabilities(None)?;
    rustix::thread::set_capabilities(None, CapabilitySets { effective: held.permitted, ..held })?;
    // A change of ids clears it, and with it the ownership of /proc/self.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    Ok(())
}

/// No user namespace below this one: they are the door to most local kernel exploits.
pub(crate) fn close_user_namespaces() -> io::Result<()> {
    write_whole("/proc/sys/user/max_user_namespaces", "0")
}

/// From here on this process can reap, kill its own kind and end; nothing else.
fn give_up_rights(filters: &Filters, counted: bool) -> Result<(), Failure> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| Failure::new(Step::Capabilities, &e.into()))?;
    workload::drop_capabilities().map_err(|e| Failure::new(Step::Capabilities, &e))?;
    filter::install(filters, counted).map_err(|e| Failure::new(Step::Seccomp, &e))
}

/// Says that the program runs, and stays until it is over.
fn live(socket: BorrowedFd<'_>, started: &Started, wall_millis: Option<u64>) -> io::Result<()> {
    // Everything else is closed, the program's pipes above all: their ends must be the program's alone.
    sys::place_standard_fd(socket, 0)?;
    sys::place_standard_fd(started.children.as_fd(), 1)?;
    sys::close_from(2, false)?;
    let (socket, children) = (io::stdin(), io::stdout());
    wire::send(socket.as_fd(), &Frame::Started, &[])?;
    let deadline = wall_millis.map(|millis| started.began + Duration::from_millis(millis));
    match watch(socket.as_fd(), children.as_fd(), started.pid, deadline)? {
        Some(ended) => wire::send(socket.as_fd(), &Frame::Ended(ended), &[]),
        None => Ok(()),
    }
}

/// Reaps until the program is gone, time is up, or the node is gone (`None`).
fn watch(
    socket: BorrowedFd<'_>,
    children: BorrowedFd<'_>,
    program: i32,
    deadline: Option<Instant>,
) -> io::Result<Option<Ended>> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Some(ended(None, true)));
        }
        wait_readable([socket, children], left)?;
        let _only_a_wakeup = rustix::io::read(children, &mut [0u8; 128]);
        if let Some(status) = reap(program) {
            return Ok(Some(ended(Some(status), false)));
        }
        let mut order = [0u8; 16];
        match rustix::net::recv(socket, &mut order, RecvFlags::DONTWAIT) {
            // The node is gone: so is this cell, the moment this process ends.
            Ok((0, _)) => return Ok(None),
            Ok((count, _)) => order[..count].iter().try_for_each(|order| obey(socket, *order))?,
            Err(_) => {}
        }
    }
}

fn obey(socket: BorrowedFd<'_>, order: u8) -> io::Result<()> {
    match order {
        TERMINATE => sys::terminate_all(),
        SOCKET | SOCKET_V6 => brokered::answer(socket, order)?,
        _ => {}
    }
    Ok(())
}

fn wait_readable(files: [BorrowedFd<'_>; 2], left: Option<Duration>) -> io::Result<()> {
    let mut polled = files.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Buries every process that has ended; gives the program's status if it is among them.
fn reap(program: i32) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == program {
            found = Some(status);
        }
    }
    found
}

fn ended(status: Option<WaitStatus>, wall_limit: bool) -> Ended {
    let (cpu_micros, peak_bytes) = sys::children_usage();
    Ended {
        code: status.and_then(WaitStatus::exit_status),
        signal: status.and_then(WaitStatus::terminating_signal),
        wall_limit,
        cpu_micros,
        peak_bytes,
    }
}
