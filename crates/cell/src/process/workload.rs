//! The last steps before the program's first instruction, taken by the process that becomes it.
//!
//! It is forked before the root is built, because a network namespace takes as long to make as the root, and entering a
//! control group can take longer than all the rest: the kernel waits until no processor is in the middle of a fork. Both
//! are done at the same time, and what needs the root comes last.
//!
//! In a shell, which waits for a program that nobody knows yet, the wait lies between the last wall and `exec`.

use std::{
    convert::Infallible,
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::Mode,
    process::{Resource, Rlimit},
    thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags},
};

use super::{
    brokered,
    filter::{self, Filters},
    launcher::Request,
    order::{Exec, Order, ProcessLimits},
    sys, walls,
    wire::{self, Failure, Frame, Step, Told},
};

/// Both ends that the program-to-be has of its two pipes.
pub(crate) struct Ends {
    /// Where it says how far it is; `exec` closes it.
    pub(crate) tell: OwnedFd,
    /// Where one byte says that the new root is there, and another that the old one is gone and the network is there.
    pub(crate) hold: OwnedFd,
}

/// Becomes the program. Never returns.
pub(crate) fn run(request: &Request, order: &Order, filters: &Filters, ends: &Ends) -> ! {
    let became = prepare(request, order, filters, ends).and_then(|()| become_program(request, order, ends));
    let Err(failure) = became;
    let _first_process_is_gone = ends.say(&Told::Failed(failure));
    sys::exit_now(127)
}

impl Ends {
    /// Waits for the next byte.
    fn hold(&self) {
        if rustix::io::retry_on_intr(|| rustix::io::read(&self.hold, &mut [0u8; 1])) != Ok(1) {
            // The first process failed, and has said why.
            sys::exit_now(127);
        }
    }

    fn say(&self, told: &Told) -> io::Result<()> {
        rustix::io::write(&self.tell, &wire::encode(told)?)?;
        Ok(())
    }
}

fn step(step: Step) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::new(step, &error)
}

/// Puts up the walls around this process, all of them: after this it has no right that the program will not have, and
/// nothing can be made of it but the program.
fn prepare(request: &Request, order: &Order, filters: &Filters, ends: &Ends) -> Result<(), Failure> {
    make_network(order, ends).map_err(step(Step::Network))?;
    sys::reset_signals();
    rustix::process::setsid().map_err(|e| Failure::new(Step::Identity, &e.into()))?;
    join_groups(request).map_err(step(Step::Cgroup))?;
    limit(&order.limits).map_err(step(Step::Limits))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    for (file, number) in [(&request.stdin, 0), (&request.stdout, 1), (&request.stderr, 2)] {
        sys::place_standard_fd(file.as_fd(), number).map_err(step(Step::Exec))?;
    }
    close_capabilities().map_err(step(Step::Capabilities))?;
    // The kernel looks at every system call's number in turn for it. What is left to do is on the list.
    filter::install(filters, order.limits.counted()).map_err(step(Step::Seccomp))?;

    // Until the new root is everybody's.
    ends.hold();
    if order.landlock {
        walls::landlock(order)?;
    }
    empty_capabilities().map_err(step(Step::Capabilities))?;
    sys::close_from(3, true).map_err(step(Step::Exec))?;
    // Until the old root is gone and the network is there: the first process has nothing left to put up.
    ends.hold();
    Ok(())
}

/// Learns which program it is to be, and becomes it. The socket that says so closes in the same moment.
fn become_program(request: &Request, order: &Order, ends: &Ends) -> Result<Infallible, Failure> {
    if order.waits {
        wire::send(request.socket.as_fd(), &Frame::Waiting, &[]).map_err(step(Step::Gone))?;
    }
    // Nobody else reads from it until `exec`. If it ends, the node is gone or wants no program here any more.
    let exec: Exec = wire::receive(request.socket.as_fd()).map_err(step(Step::Gone))?;
    let command = sys::c_path(&exec.command).map_err(step(Step::Order))?;
    let (args, env) = strings(&exec).map_err(step(Step::Order))?;
    rustix::process::chdir(&exec.cwd)
        .map_err(|e| Failure::at(Step::WorkingDirectory, &exec.cwd, &e.into()))?;
    if is_hung_up(request.socket.as_fd()) {
        // What was said lies in the socket even when who said it has gone, given up, or been told that nothing started.
        return Err(Failure::new(Step::Gone, &io::ErrorKind::BrokenPipe.into()));
    }
    ends.say(&Told::Executing).map_err(step(Step::Gone))?;
    sys::exec(&command, &args, &env).map_err(|error| Failure::at(Step::Exec, &exec.command, &error))
}

/// Whether the other end is closed, whatever still lies in this one.
fn is_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut ends = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut ends, Some(&now)).is_ok() && !ends[0].revents().is_empty()
}

fn strings(exec: &Exec) -> io::Result<(Vec<CString>, Vec<CString>)> {
    let command = sys::c_path(&exec.command)?;
    let args = exec.args.iter().map(|arg| CString::new(arg.as_str()));
    let args: Result<Vec<_>, _> = std::iter::once(Ok(command)).chain(args).collect();
    let env: Result<Vec<_>, _> =
        exec.env.iter().map(|(key, value)| CString::new(format!("{key}={value}"))).collect();
    Ok((args?, env?))
}

/// Makes the network namespace and the ways within it. The first process comes in when it has built the root, and makes
/// the node's ends: so neither waits long for the other.
fn make_network(order: &Order, ends: &Ends) -> io::Result<()> {
    // SAFETY: of the shared things this flag leaves the descriptor table alone; there is one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    sys::loopback_up()?;
    if order.brokered.is_some() {
        brokered::all_is_local()?;
    }
    ends.say(&Told::Network)
}

/// Enters the cell's control groups. The files were opened by the node, whose right to do this goes with them.
fn join_groups(request: &Request) -> io::Result<()> {
    for procs in &request.groups {
        rustix::io::write(procs, b"0")?;
    }
    // SAFETY: of the shared things this flag leaves the descriptor table alone; there is one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP)? };
    Ok(())
}

fn limit(limits: &ProcessLimits) -> io::Result<()> {
    let values = [
        (Resource::Core, Some(0)),
        (Resource::Nofile, Some(limits.open_files)),
        (Resource::Nproc, limits.processes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Data, limits.data_bytes),
        (Resource::Cpu, limits.cpu_seconds),
    ];
    for (resource, value) in values.into_iter().filter_map(|(resource, value)| Some((resource, value?))) {
        // Lowered only: a node in a container often may not raise, and a lower ceiling is somebody's wish.
        let ceiling = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let value = Some(value.min(ceiling));
        // One second between the signal and the end lets a program say why it stops.
        let maximum =
            if resource == Resource::Cpu { value.map(|value| (value + 1).min(ceiling)) } else { value };
        rustix::process::setrlimit(resource, Rlimit { current: value, maximum })?;
    }
    Ok(())
}

/// Empties every capability set for good, and closes the ways to gain one.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    close_capabilities()?;
    empty_capabilities()
}

/// Closes the ways to gain one; those that are held stay.
fn close_capabilities() -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know cannot be gained.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let locked = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(locked)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

fn empty_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::{fd::AsFd, unix::net::UnixStream},
    };

    use super::is_hung_up;

    #[test]
    fn a_word_in_the_socket_does_not_hide_that_its_sender_is_gone() {
        let (socket, mut node) = UnixStream::pair().unwrap();
        node.write_all(b"word").unwrap();
        assert!(!is_hung_up(socket.as_fd()));
        drop(node);
        assert!(is_hung_up(socket.as_fd()));
    }
}
