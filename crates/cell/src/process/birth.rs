//! One cell's birth, in a process forked from the launcher: reads the order, does what needs the node's rights, makes
//! the namespaces and ends. What lives on is the cell's first process.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::pipe::PipeFlags;

use super::{
    filter::Filters,
    init,
    launcher::Request,
    order::{INNER_ID, Identity, Order},
    sources::{self, OpenSources, write_map, write_whole},
    sys::{self, Forked},
    wire::{self, Failure, Frame, Step},
};

/// Every namespace but two, which the process makes that becomes the program: the cgroup one when it is in its groups, and
/// that of the network, which takes longer than all these and is made while the root is built.
pub(crate) const NAMESPACES: libc::c_int =
    libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// Never returns: this is a forked copy of the launcher.
pub(crate) fn run(request: &Request, filters: &Filters) -> ! {
    let made = make(request, filters);
    if let Err(failure) = &made {
        report(request.socket.as_fd(), failure);
    }
    sys::exit_now(i32::from(made.is_err()))
}

/// Tells the node why nothing runs. If it cannot be told it is gone, and nobody wants to know.
pub(crate) fn report(socket: BorrowedFd<'_>, failure: &Failure) {
    let _node_is_gone = wire::send(socket, &Frame::Failed(failure.clone()), &[]);
}

fn make(request: &Request, filters: &Filters) -> Result<(), Failure> {
    let order: Order = wire::receive(request.socket.as_fd()).map_err(|e| Failure::new(Step::Order, &e))?;
    // Only here can owners be translated; a plain user opens inside, where he has the right to clone mounts.
    let opened = if order.identity.privileged { Some(sources::open(&order)?) } else { None };
    let not_idmapped = opened.as_ref().map(|opened| opened.not_idmapped.clone()).unwrap_or_default();
    let (ready, go) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| Failure::new(Step::Namespaces, &e.into()))?;
    // CLONE_PARENT: the cell is the launcher's child, so that this process need not stay.
    let forked =
        sys::fork(NAMESPACES | libc::CLONE_PARENT).map_err(|e| Failure::new(Step::Namespaces, &e))?;
    match forked {
        Forked::Child => {
            drop(go);
            first_process(request, &order, opened, filters, &ready)
        }
        Forked::Parent { pid, pidfd } => {
            write_maps(pid, order.identity).map_err(|e| Failure::new(Step::IdMap, &e))?;
            let frame = Frame::Made { not_idmapped };
            wire::send(request.socket.as_fd(), &frame, &[pidfd.as_fd()])
                .and_then(|()| Ok(rustix::io::write(&go, b"g").map(drop)?))
                .map_err(|e| Failure::new(Step::Order, &e))
        }
    }
}

fn first_process(
    request: &Request,
    order: &Order,
    opened: Option<OpenSources>,
    filters: &Filters,
    ready: &OwnedFd,
) -> ! {
    let released = rustix::io::retry_on_intr(|| rustix::io::read(ready, &mut [0u8; 1]));
    if released != Ok(1) {
        sys::exit_now(1);
    }
    init::run(request, order, opened, filters)
}

pub(crate) fn write_maps(pid: i32, identity: Identity) -> io::Result<()> {
    let proc = format!("/proc/{pid}");
    if !identity.privileged {
        // Without it a plain user may not map a group: dropping a group could open files that deny it.
        write_whole(&format!("{proc}/setgroups"), "deny")?;
    }
    write_map(&proc, "uid_map", INNER_ID, identity.uid)?;
    write_map(&proc, "gid_map", INNER_ID, identity.gid)
}
