//! What this machine can do, found by doing it once.

use std::{
    io::{self, Read, Write},
    os::fd::AsFd,
    process::{Command, Stdio},
};

use rustix::pipe::PipeFlags;
use serde::{Deserialize, Serialize};

use super::{
    birth,
    cgroup::Hierarchies,
    filter,
    identity::Identities,
    init,
    launcher::{LAUNCHER_ARG, PROBE_ARG},
    order::Identity,
    refusal, root, sources,
    sys::{self, Forked},
    wire::{self, Failure, Step},
};
use crate::{CellError, Fact, MachineFacts};

/// What only a single-threaded process can find out.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Trials {
    namespaces: Option<Failure>,
    proc_mount: Option<Failure>,
    filter: Option<Failure>,
    idmap: Option<Failure>,
}

/// In the launcher: tries, prints, and gives the exit status.
pub(crate) fn print_launcher_facts() -> i32 {
    let trials = Identities::of_this_process().lease().map(|lease| attempt(lease.identity));
    let text = trials.ok().and_then(|trials| serde_json::to_string(&trials).ok());
    let written =
        text.map(|text| io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()));
    i32::from(!matches!(written, Some(Ok(()))))
}

fn attempt(identity: Identity) -> Trials {
    let result = in_namespaces(identity);
    let mut trials = Trials::default();
    match result {
        Ok(()) => {}
        Err(failure) if failure.step == Step::Proc => trials.proc_mount = Some(failure),
        Err(failure) if failure.step == Step::Seccomp => trials.filter = Some(failure),
        Err(failure) => trials.namespaces = Some(failure),
    }
    if identity.privileged {
        let tried = sources::try_id_map(&std::env::temp_dir(), identity);
        trials.idmap = tried.err().map(|error| Failure::new(Step::Idmapped, &error));
    }
    trials
}

/// Everything that a cell does but the file tree, in the same order.
fn in_namespaces(identity: Identity) -> Result<(), Failure> {
    let fail = |step| move |error: io::Error| Failure::new(step, &error);
    let (ready, go) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| fail(Step::Order)(e.into()))?;
    let (answer, tell) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| fail(Step::Order)(e.into()))?;
    match sys::fork(birth::NAMESPACES | libc::CLONE_NEWNET).map_err(fail(Step::Namespaces))? {
        Forked::Child => {
            drop(go);
            let _go = rustix::io::read(&ready, &mut [0u8; 1]);
            let tried = init::become_cell_user(identity)
                .map_err(fail(Step::Identity))
                .and_then(|()| init::close_user_namespaces().map_err(fail(Step::NamespaceLock)))
                .and_then(|()| sys::loopback_up().map_err(fail(Step::Network)))
                .and_then(|()| root::proc_of_namespace().map(drop).map_err(fail(Step::Proc)))
                .and_then(|()| {
                    rustix::thread::set_no_new_privs(true).map_err(|e| fail(Step::Seccomp)(e.into()))
                })
                .and_then(|()| {
                    filter::compile().and_then(|f| filter::install(&f, false)).map_err(fail(Step::Seccomp))
                });
            let _parent_is_gone = wire::encode(&tried.err()).map(|bytes| rustix::io::write(&tell, &bytes));
            sys::exit_now(0);
        }
        Forked::Parent { pid, .. } => {
            drop(tell);
            birth::write_maps(pid, identity).map_err(fail(Step::IdMap))?;
            rustix::io::write(&go, b"g").map_err(|e| fail(Step::Order)(e.into()))?;
            let told: Option<Failure> = wire::receive(answer.as_fd()).map_err(fail(Step::Namespaces))?;
            told.map_or(Ok(()), Err)
        }
    }
}

/// Runs the trials in a launcher of their own and adds what this process can see itself.
pub(crate) fn probe() -> Result<MachineFacts, CellError> {
    let trials = run_trials()?;
    let landlock = sys::landlock_abi();
    let fact = |failure: &Option<Failure>, works: &str| match failure {
        None => Fact { works: true, detail: works.to_owned(), fix: String::new() },
        Some(failure) => {
            let error = refusal::explain(failure);
            Fact { works: false, detail: error.to_string(), fix: error.fix() }
        }
    };
    let root = rustix::process::geteuid().is_root();
    let landlock_fact = match &landlock {
        Ok(abi) => Fact { works: true, detail: format!("ABI {abi}"), fix: String::new() },
        Err(error) => {
            let error = CellError::Landlock { cause: error.to_string() };
            Fact { works: false, detail: error.to_string(), fix: error.fix() }
        }
    };
    Ok(MachineFacts {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        root,
        namespaces: fact(&trials.namespaces, "user, mount, pid, network, ipc, uts and cgroup"),
        proc_mount: fact(&trials.proc_mount, "own processes only"),
        seccomp: fact(&trials.filter, "filters with errno answers"),
        landlock: landlock_fact,
        landlock_abi: landlock.unwrap_or_default(),
        idmap: fact(
            &trials.idmap,
            if root { "owners of mounts are translated" } else { "not needed: cells run as this user" },
        ),
        cgroups: Hierarchies::probe().facts(),
    })
}

fn run_trials() -> Result<Trials, CellError> {
    let failed = |cause: String| CellError::Launcher { cause };
    let mut child = Command::new("/proc/self/exe")
        .args([LAUNCHER_ARG, PROBE_ARG])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    let read = child.stdout.take().map(|mut out| out.read_to_string(&mut text));
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if !status.success() || !matches!(read, Some(Ok(_))) {
        return Err(failed(format!(
            "the probe ended with {status}; does main() call launcher_main() first?"
        )));
    }
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}
