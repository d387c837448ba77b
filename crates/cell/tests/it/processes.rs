//! Other processes: not seen, not signalled, not read.

use std::process::{Child, Command, Stdio};

use super::{
    Outcome, Test,
    bench::{Bench, check},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_process_of_the_host_is_not_seen", not_seen),
    ("a_process_of_the_host_is_not_killed", not_killed),
    ("a_process_of_the_host_is_not_traced", not_traced),
    ("a_process_of_the_host_is_not_read", not_read),
    ("a_child_inside_is_not_traced", child_not_traced),
    ("the_first_process_is_neither_seen_nor_killed", first_process),
    ("each_cell_is_one_unprivileged_user_of_its_own_outside", one_user),
    ("the_first_process_has_no_rights_and_is_not_dumpable", first_process_rights),
    ("standard_streams_are_pipes", streams),
    ("shared_memory_of_the_host_is_not_attached", shared_memory),
    ("the_nodes_environment_is_not_there", environment),
    ("the_nodes_descriptors_are_not_there", descriptors),
    ("the_hosts_name_is_not_there", hostname),
    ("the_hosts_keyring_is_not_there", keyring),
];

/// A process of the host with a token in its arguments, for an attempt and for its control.
struct Victim(Child);

impl Victim {
    fn new(token: &str) -> Self {
        // coreutils adds the durations up, so the token is a number.
        let child = Command::new("/bin/sleep").args(["300", token]).stdout(Stdio::null()).spawn();
        Self(child.expect("a process"))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|ended| ended.is_none())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn token() -> String {
    format!("0.{}{}", std::process::id(), line!())
}

fn not_seen(bench: &Bench) -> Outcome {
    let token = token();
    let _victim = Victim::new(&token);
    bench.must_not_get_out(&["find-process", &token])
}

fn not_killed(bench: &Bench) -> Outcome {
    let mut victim = Victim::new(&token());
    let ran = bench.run(&bench.attempt(&["kill", &victim.pid()]));
    check(ran.stdout.contains("DENIED") && victim.lives(), || format!("{ran:?}"))?;
    // Every process that a cell can name at all is its own.
    let ran = bench.run(&bench.script("kill -9 -1; echo done"));
    check(victim.lives(), || format!("{ran:?}"))?;
    check(bench.outside(&["kill", &victim.pid()]).contains("OUT"), || "control".into())
}

fn not_traced(bench: &Bench) -> Outcome {
    let victim = Victim::new(&token());
    bench.must_not_get_out(&["ptrace", &victim.pid()])
}

fn not_read(bench: &Bench) -> Outcome {
    let victim = Victim::new(&token());
    bench.must_not_get_out(&["read-memory", &victim.pid()])
}

fn child_not_traced(bench: &Bench) -> Outcome {
    bench.must_not_get_out(&["ptrace-child"])
}

fn first_process(bench: &Bench) -> Outcome {
    let ran = bench
        .run(&bench.script("ls -d /proc/1; kill -9 1; kill -STOP 1; kill -TERM 1; sleep 0.1; echo alive"));
    check(ran.stdout == "alive\n" && ran.exit.success(), || format!("{ran:?}"))?;
    let ran = bench.run(&bench.attempt(&["read-memory", "1"]));
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))?;
    let ran = bench.run(&bench.attempt(&["ptrace", "1"]));
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))
}

fn one_user(bench: &Bench) -> Outcome {
    use std::collections::BTreeSet;
    let mut users = BTreeSet::new();
    let script = "read line; cat /proc/self/uid_map /proc/self/gid_map";
    let cells: Result<Vec<_>, _> = (0..3).map(|_| bench.spawn(&bench.script(script))).collect();
    for mut running in cells.map_err(|error| error.to_string())? {
        let mut text = String::new();
        bench
            .block_on(async {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                running.stdin.write_all(b"go\n").await?;
                running.stdout.read_to_string(&mut text).await
            })
            .map_err(|error| error.to_string())?;
        let numbers: Vec<u32> = text.split_whitespace().flat_map(str::parse).collect();
        let [1000, user, 1, 1000, group, 1] = numbers[..] else { return Err(text) };
        check(user >= 1000 && group >= 1000, || text.clone())?;
        users.insert((user, group));
    }
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let wanted = if bench.is_root() { users.len() == 3 } else { users.iter().eq([&own]) };
    check(wanted, || format!("{users:?}"))
}

fn first_process_rights(bench: &Bench) -> Outcome {
    use std::os::unix::fs::MetadataExt;
    let running = bench.spawn(&bench.script("sleep 100")).map_err(|error| error.to_string())?;
    let dir = format!("/proc/{}", running.cell.pid().ok_or("no process")?);
    let status = std::fs::read_to_string(format!("{dir}/status")).map_err(|error| error.to_string())?;
    for part in [
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        check(status.contains(part), || format!("no {part} in {status}"))?;
    }
    // What is not dumpable belongs to root in /proc, whoever it runs as.
    let owner = std::fs::metadata(format!("{dir}/maps")).map_err(|error| error.to_string())?.uid();
    check(owner == 0 && !status.contains("Uid:\t0"), || format!("it belongs to {owner}"))
}

fn streams(bench: &Bench) -> Outcome {
    let ran = bench.run(&bench.script("for n in 0 1 2; do readlink /proc/self/fd/$n; done | cut -d: -f1; readlink /proc/self/fd/0 | cut -d: -f1"));
    check(ran.stdout.lines().all(|line| line == "pipe") && ran.stdout.lines().count() == 4, || {
        format!("{ran:?}")
    })
}

fn shared_memory(bench: &Bench) -> Outcome {
    // SAFETY: plain system calls on a segment of our own.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666) };
    check(id >= 0, || std::io::Error::last_os_error().to_string())?;
    let tried = bench.must_not_get_out(&["shared-memory", &id.to_string()]);
    // SAFETY: as above.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    tried
}

fn environment(bench: &Bench) -> Outcome {
    let name = "PATH";
    check(bench.outside(&["environment", name]).contains("OUT"), || "control".into())?;
    let mut spec = bench.attempt(&["environment", name]);
    spec.env.clear();
    let ran = bench.run(&spec);
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))?;
    // The launcher, which forks it, has none either.
    let mut spec = bench.script("tr '\\0' '\\n' </proc/self/environ");
    spec.env.clear();
    let seen = bench.run(&spec).stdout;
    let foreign = seen
        .lines()
        .find(|line| !["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|own| line.starts_with(own)));
    check(foreign.is_none(), || format!("{foreign:?}"))
}

fn descriptors(bench: &Bench) -> Outcome {
    use std::os::fd::AsRawFd;
    let file = std::fs::File::open("/etc/hostname").or_else(|_| std::fs::File::open("/etc/passwd"));
    let file = file.map_err(|error| error.to_string())?;
    // A descriptor that survives exec, as a careless library would leave one.
    // SAFETY: changes a flag of a descriptor that is ours.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
    bench.must_not_get_out(&["descriptors"])
}

fn hostname(bench: &Bench) -> Outcome {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is as long as said.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) };
    let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
    bench.must_not_get_out(&["hostname", &name])?;
    let ran = bench.run(&bench.attempt(&["hostname", "cell"]));
    check(ran.stdout.contains("OUT cell"), || format!("{ran:?}"))
}

fn keyring(bench: &Bench) -> Outcome {
    bench.must_not_get_out(&["session-keyring"])
}
