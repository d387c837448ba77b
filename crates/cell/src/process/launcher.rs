//! The launcher: a small single-threaded process that forks for every cell.
//!
//! It is the node's own binary, executed again once per node, because forking a process with worker threads is neither
//! safe nor cheap. It holds nothing but the socket to the node: orders go straight to the forked process, so that no
//! cell's environment is ever in the memory that other cells are forked from. It ends when the node ends, and removes the
//! control groups that a killed node had no time to remove.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::{Mode, OFlags},
    pipe::PipeFlags,
    process::Signal,
};

use super::{
    birth,
    cgroup::{Owner, sweep_of},
    facts,
    filter::{self, Filters},
    network::NETWORK_TREE_ARG,
    sys::{self, Forked},
    tree::{self, TREE_ARG},
    wire::{self, FDS_MAX},
};

/// First argument that turns the node's own binary into the launcher of cells. Hidden from its help.
pub const LAUNCHER_ARG: &str = "__cell";
/// Second argument: print what this machine can do, and end.
pub(crate) const PROBE_ARG: &str = "probe";

/// What comes with one request, in this order; control group files follow.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) socket: OwnedFd,
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    pub(crate) groups: Vec<OwnedFd>,
}

impl Request {
    fn from_fds(fds: Vec<OwnedFd>) -> Option<Self> {
        let mut fds = fds.into_iter();
        let (socket, stdin, stdout, stderr) = (fds.next()?, fds.next()?, fds.next()?, fds.next()?);
        Some(Self { socket, stdin, stdout, stderr, groups: fds.collect() })
    }
}

/// Becomes the launcher and never returns, if this process was started as one; returns at once otherwise. The first
/// statement of `main`, before any thread exists.
pub fn launcher_main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != LAUNCHER_ARG) {
        return;
    }
    match args.next() {
        Some(second) if second == PROBE_ARG => sys::exit_now(facts::print_launcher_facts()),
        Some(second) if second == TREE_ARG => tree::keep(args),
        Some(second) if second == NETWORK_TREE_ARG => tree::keep_in_network(args),
        _ => {}
    }
    let served = serve();
    sys::exit_now(i32::from(served.is_err()));
}

fn serve() -> std::io::Result<()> {
    let owner = Owner::of_parent();
    // A node started by a service supervisor may hold sockets that survive exec; they are none of ours.
    sys::close_from(3, false)?;
    let node = sys::take_standard_fd(0)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    sys::place_standard_fd(null.as_fd(), 0)?;
    sys::place_standard_fd(null.as_fd(), 1)?;
    drop(null);
    // Away from the node's terminal: Ctrl-C is for the node, which then ends its cells in order.
    let _already_leader = rustix::process::setsid();
    let _only_a_label = rustix::thread::set_name(c"cella-launcher");
    // Modes in a cell's tree are written out; the program gets its own mask.
    rustix::process::umask(Mode::empty());
    sys::default_signals();
    let filters = filter::compile()?;
    loop {
        let (taken, take) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // Before there is a request: whoever asks for a cell need not wait for the fork.
        match sys::fork(0) {
            Ok(Forked::Child) => {
                drop(taken);
                serve_one(node, take, &filters)
            }
            Ok(Forked::Parent { .. }) => {
                drop(take);
                // By its word, or by its death.
                let _taken_or_dead = rustix::io::retry_on_intr(|| rustix::io::read(&taken, &mut [0u8; 1]));
            }
            // A request that comes now closes its cell's socket, and the node sees that.
            Err(_no_process) => drop(wire::receive_with_fds(node.as_fd(), &mut [0; 1])?),
        }
        if is_gone(node.as_fd()) {
            // Its cells see the same end of file and die of it; their groups would stay.
            owner.map(sweep_of);
            return Ok(());
        }
    }
}

/// Waits for the next request, as long as the launcher lives, and carries it out. Never returns: this is a forked copy.
fn serve_one(node: OwnedFd, take: OwnedFd, filters: &Filters) -> ! {
    let launcher = rustix::process::getppid();
    let bound = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if bound.is_err() || rustix::process::getppid() != launcher {
        sys::exit_now(1);
    }
    let request = wire::receive_with_fds(node.as_fd(), &mut [0; 1]).map(|(_, fds)| Request::from_fds(fds));
    // No cell holds it: it would keep open what a dead launcher must be known by.
    drop(node);
    let Ok(Some(request)) = request else { sys::exit_now(0) };
    let unbound = rustix::process::set_parent_process_death_signal(None);
    // Nobody takes the next one before this word. If nobody hears it, the node asks another launcher for this one.
    let told = rustix::io::write(&take, b"t");
    drop(take);
    if unbound.is_err() || told.is_err() {
        sys::exit_now(1);
    }
    birth::run(&request, filters)
}

/// The node has closed its end. Requests that it sent before are for nobody.
fn is_gone(node: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(node, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

const _: () = assert!(FDS_MAX >= 4 + 4, "a socket, three pipes and up to four control group hierarchies");
