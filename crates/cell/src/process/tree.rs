//! A program that is not confined, but whose whole process tree ends when it is no longer wanted: an installer.
//!
//! The node starts its own binary again as a *keeper*, which runs the program in a pid namespace of its own. The kernel
//! kills such a namespace whole when its first process dies, daemons with their own sessions included, so nothing has to be
//! found and killed one by one. The first process dies with the keeper (its parent-death signal; the keeper has one
//! thread, so the signal's binding to a thread does no harm), and the keeper ends when it is killed, or when the node is gone.

use std::{
    convert::Infallible,
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::Path,
    process::Command,
};

use rustix::{
    event::{PollFd, PollFlags},
    pipe::PipeFlags,
    process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus},
};

use super::{
    launcher::LAUNCHER_ARG,
    network::Wanted,
    sources::{write_map, write_whole},
    sys::{self, Forked},
};

/// Second argument: run a program in a tree of its own.
pub(crate) const TREE_ARG: &str = "tree";

/// Exit status when the tree cannot be made; the reason is on standard error. As `env` and `timeout` have it.
const NOT_MADE: i32 = 125;
/// Exit status when the program cannot be executed, as shells have it.
const NOT_EXECUTED: i32 = 126;

/// A command that runs `program` (an absolute path) with everything it starts in a tree of its own: when the child is
/// killed, or ends, or this process dies however it dies, every process of the tree is gone. Environment, arguments and
/// standard streams are the caller's to set. It is *not* confined in any other way. The binary must call [`crate::launcher_main`].
#[must_use]
pub fn whole_tree(program: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(LAUNCHER_ARG).arg(TREE_ARG).arg(std::process::id().to_string()).arg(program);
    command
}

/// In the keeper: never returns. The first word is the node's process id, then come the program and its arguments.
pub(crate) fn keep(words: impl Iterator<Item = OsString>) -> ! {
    end(kept(words, |_| Ok(None)))
}

/// The same with a network of its own, whose two words come after the first.
pub(crate) fn keep_in_network(words: impl Iterator<Item = OsString>) -> ! {
    end(kept(words, |words| Wanted::read(words).map(Some)))
}

fn end(status: io::Result<i32>) -> ! {
    sys::exit_now(
        status.unwrap_or_else(|error| said(&error, "a process tree of its own cannot be made", NOT_MADE)),
    )
}

fn kept<W: Iterator<Item = OsString>>(
    mut words: W,
    network: impl FnOnce(&mut W) -> io::Result<Option<Wanted>>,
) -> io::Result<i32> {
    let node = words.next().and_then(|word| word.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let node = node.ok_or(io::ErrorKind::InvalidInput)?;
    sys::close_from(3, false)?;
    let network = network(&mut words)?;
    let line: Vec<OsString> = words.collect();
    let node_fd = rustix::process::pidfd_open(node, PidfdFlags::empty())?;
    // Had it died before it was opened, somebody else could have its number.
    if rustix::process::getppid() != Some(node) {
        return Ok(1);
    }
    let (ready, go) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // Root needs no user namespace, and in one could not become the users that own what it installs into.
    let root = rustix::process::geteuid().is_root();
    let namespaces = libc::CLONE_NEWPID
        | if root { 0 } else { libc::CLONE_NEWUSER }
        | if network.is_some() { libc::CLONE_NEWNET } else { 0 };
    match sys::fork(namespaces)? {
        Forked::Child => {
            drop(go);
            first_process(&ready, network, &line)
        }
        Forked::Parent { pid, pidfd } => {
            // The first process's alone: a copy here would keep the node from seeing that nobody makes sockets any more.
            drop(network);
            if !root {
                let proc = format!("/proc/{pid}");
                let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
                write_whole(&format!("{proc}/setgroups"), "deny")?;
                write_map(&proc, "uid_map", uid, uid)?;
                write_map(&proc, "gid_map", gid, gid)?;
            }
            rustix::io::write(&go, b"g")?;
            wait_for_either(pidfd.as_fd(), node_fd.as_fd())?;
            let child = Pid::from_raw(pid);
            // Still running means that the node is gone: the tree goes with this process.
            let ended = rustix::process::waitpid(child, WaitOptions::NOHANG)?;
            Ok(ended.map_or(1, |(_, status)| shell_status(status)))
        }
    }
}

fn wait_for_either(tree: BorrowedFd<'_>, node: BorrowedFd<'_>) -> io::Result<()> {
    let mut polled = [tree, node].map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN));
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None))?;
    Ok(())
}

/// The first process of the namespace: starts the program, reaps, and ends with the program's status.
fn first_process(ready: &OwnedFd, network: Option<Wanted>, line: &[OsString]) -> ! {
    let status = supervise(ready, network, line);
    sys::exit_now(status.unwrap_or_else(|error| said(&error, "the program cannot be started", NOT_MADE)))
}

fn supervise(ready: &OwnedFd, network: Option<Wanted>, line: &[OsString]) -> io::Result<i32> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Only a keeper that lives says this, and from here on its death is ours.
    if rustix::io::retry_on_intr(|| rustix::io::read(ready, &mut [0u8; 1]))? != 1 {
        return Ok(1);
    }
    network.map_or(Ok(()), Wanted::make)?;
    match sys::fork(0)? {
        Forked::Child => {
            let Err(error) = become_program(line);
            sys::exit_now(said(&error, "the program cannot be executed", NOT_EXECUTED))
        }
        Forked::Parent { pid, .. } => loop {
            let ended = rustix::io::retry_on_intr(|| rustix::process::wait(WaitOptions::empty()))?;
            match ended {
                Some((ended, status)) if ended.as_raw_nonzero().get() == pid => {
                    return Ok(shell_status(status));
                }
                _ => {}
            }
        },
    }
}

fn become_program(line: &[OsString]) -> Result<Infallible, io::Error> {
    sys::default_signals();
    sys::reset_signals();
    let words: Result<Vec<CString>, _> =
        line.iter().map(|word| CString::new(word.clone().into_vec())).collect();
    let env: Result<Vec<CString>, _> = std::env::vars_os().map(|(key, value)| entry(&key, &value)).collect();
    let (words, env) = (words?, env?);
    let program = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    sys::exec(program, &words, &env)
}

fn entry(key: &OsStr, value: &OsStr) -> Result<CString, std::ffi::NulError> {
    let bytes = [key.as_encoded_bytes(), b"=", value.as_encoded_bytes()].concat();
    CString::new(bytes)
}

/// As shells say it: the exit status, or 128 and the signal.
fn shell_status(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// Says what went wrong where the program's own complaints would be.
fn said(error: &io::Error, what: &str, status: i32) -> i32 {
    let text = format!("cella: {what}: {error}\n");
    let _nobody_reads = rustix::io::write(io::stderr(), text.as_bytes());
    status
}
