//! The last steps before the program's first instruction, taken by the process that becomes it.
//!
//! It is forked before the root is built, because entering a control group can take longer than all the rest: the kernel
//! waits until no processor is in the middle of a fork. Both are done at the same time, and what needs the root comes last.

use std::{
    convert::Infallible,
    ffi::CString,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit},
    thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags},
};

use super::{
    filter::{self, Filters},
    launcher::Request,
    order::{Order, ProcessLimits},
    sys, walls,
    wire::{self, Failure, Step},
};

/// Both ends that the program-to-be has of its two pipes.
pub(crate) struct Ends {
    /// Where a failure goes; `exec` closes it.
    pub(crate) tell: OwnedFd,
    /// Where one byte says that the root is there and the old one gone.
    pub(crate) hold: OwnedFd,
}

/// Becomes the program. Never returns.
pub(crate) fn run(request: &Request, order: &Order, filters: &Filters, ends: &Ends) -> ! {
    let Err(failure) = prepare(request, order, filters, &ends.hold);
    let tell = &ends.tell;
    let _first_process_is_gone = wire::encode(&failure).map(|bytes| rustix::io::write(tell, &bytes));
    sys::exit_now(127)
}

/// What [`run`] told, or `None` when the program is running.
pub(crate) fn failure(outcome: &OwnedFd) -> Option<Failure> {
    let mut told = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(outcome, &mut chunk)) {
            Ok(0) if told.is_empty() => return None,
            Ok(0) => break,
            Ok(count) => told.extend_from_slice(&chunk[..count]),
            Err(error) => return Some(Failure::new(Step::Exec, &error.into())),
        }
    }
    let failure = wire::decode(&mut told).ok().flatten();
    Some(failure.unwrap_or_else(|| Failure::new(Step::Exec, &io::ErrorKind::UnexpectedEof.into())))
}

fn prepare(
    request: &Request,
    order: &Order,
    filters: &Filters,
    hold: &OwnedFd,
) -> Result<Infallible, Failure> {
    let step = |step: Step| move |error: io::Error| Failure::new(step, &error);
    let command = sys::c_path(&order.command).map_err(step(Step::Order))?;
    let (args, env) = strings(order).map_err(step(Step::Order))?;

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

    if rustix::io::retry_on_intr(|| rustix::io::read(hold, &mut [0u8; 1])) != Ok(1) {
        // The first process failed, and has said why.
        sys::exit_now(127);
    }
    rustix::process::chdir(&order.cwd)
        .map_err(|e| Failure::at(Step::WorkingDirectory, &order.cwd, &e.into()))?;
    if order.landlock {
        walls::landlock(order)?;
    }
    empty_capabilities().map_err(step(Step::Capabilities))?;
    sys::close_from(3, true).map_err(step(Step::Exec))?;
    sys::exec(&command, &args, &env).map_err(|error| Failure::at(Step::Exec, &order.command, &error))
}

fn strings(order: &Order) -> io::Result<(Vec<CString>, Vec<CString>)> {
    let command = sys::c_path(&order.command)?;
    let args = order.args.iter().map(|arg| CString::new(arg.as_str()));
    let args: Result<Vec<_>, _> = std::iter::once(Ok(command)).chain(args).collect();
    let env: Result<Vec<_>, _> =
        order.env.iter().map(|(key, value)| CString::new(format!("{key}={value}"))).collect();
    Ok((args?, env?))
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
