//! Shells: used once, for their own shape only, and by whoever asks only while they are what a new cell would be.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
};

use cella_cell::{Access, Cell, Network, SHELLS_MAX, Spec, Warm};
use tokio::io::AsyncReadExt;

use super::{
    Outcome, Test,
    bench::{Bench, PATIENCE, check, mount},
    life::{DEATH, Node, groups_of, until},
    node,
};

pub(crate) const TESTS: &[Test] = &[
    ("a_shell_becomes_one_cell_and_the_next_cell_comes_out_of_another", once),
    ("a_shell_of_another_shape_is_not_given_out", other_shape),
    ("a_shell_that_died_is_replaced_by_a_cold_start", dead),
    ("a_shell_that_waits_has_run_nothing_and_has_no_right_left", pristine),
    ("a_shell_in_which_a_path_leads_elsewhere_by_now_is_not_used", led_elsewhere),
    ("a_place_that_is_to_be_hidden_and_was_not_there_makes_a_shell_unfit", hidden_later),
    ("a_program_that_cannot_be_executed_is_refused_as_in_a_cold_start", missing),
    ("shells_that_nobody_wants_any_more_leave_nothing", unwanted),
    ("a_killed_node_leaves_no_shell", killed_node),
    ("there_are_never_more_shells_than_the_limit", limit),
    ("the_network_of_a_shell_is_the_nodes_when_it_is_used", network),
];

/// Shells of this shape, waiting.
fn waiting(bench: &Bench, spec: &Spec, count: usize) -> Result<Warm, String> {
    bench.block_on(async {
        let shells = bench.class.process.keep_warm(spec, count);
        if shells.is_ready().await { Ok(shells) } else { Err("no shell came to wait".into()) }
    })
}

/// What a cell of this class says, and whether it came out of one of these.
fn said(bench: &Bench, spec: &Spec, shells: &Warm) -> Result<(String, bool), String> {
    let before = shells.pids();
    bench.block_on(async {
        let mut running =
            bench.class.process.spawn(spec).await.map_err(|error| format!("{}: {error}", error.code()))?;
        let pid = running.cell.pid();
        drop(running.stdin);
        let mut text = String::new();
        running.stdout.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
        running.cell.wait().await;
        Ok((text, pid.is_some_and(|pid| before.contains(&pid))))
    })
}

/// A cell that stays until [`said`] has looked where it comes from.
fn staying(bench: &Bench, script: &str) -> Spec {
    bench.script(&format!("{script}; cat >/dev/null"))
}

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The process that is to become the program.
fn workload(shells: &Warm) -> Result<(u32, u32), String> {
    let init = *shells.pids().first().ok_or("no shell waits")?;
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    let child = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
    Ok((init, child.ok_or_else(|| format!("the shell {init} has no process: {children:?}"))?))
}

fn once(bench: &Bench) -> Outcome {
    let mut spec = staying(
        bench,
        "cat /tmp/left $HOME/left 2>/dev/null; echo x >/tmp/left; echo x >$HOME/left; echo $MARK",
    );
    let shells = waiting(bench, &spec, 1)?;
    let first = shells.pids();
    spec.env.insert("MARK".into(), "one".into());
    check(said(bench, &spec, &shells)? == ("one\n".into(), true), || "not out of the shell".into())?;
    check(shells.pids() != first, || format!("{first:?} waits again"))?;
    check(bench.block_on(shells.is_ready()), || "no other shell came to wait".into())?;
    check(!shells.pids().iter().any(|pid| first.contains(pid)), || format!("{first:?} waits again"))?;
    spec.env.insert("MARK".into(), "two".into());
    let second = said(bench, &spec, &shells)?;
    check(second == ("two\n".into(), true), || format!("{second:?}"))
}

fn other_shape(bench: &Bench) -> Outcome {
    let spec = staying(bench, "df -k /tmp | tail -1");
    let shells = waiting(bench, &spec, 1)?;
    let before = shells.pids();
    let mut other = spec.clone();
    other.tmpfs.bytes /= 2;
    check(shells.is_for(&spec) && !shells.is_for(&other), || "shapes".into())?;
    let (size, from_shell) = said(bench, &other, &shells)?;
    let wanted = (other.tmpfs.bytes >> 10).to_string();
    check(!from_shell && size.contains(&wanted), || format!("{size}, no {wanted}"))?;
    check(shells.pids() == before, || "the shell was taken".into())
}

fn dead(bench: &Bench) -> Outcome {
    let spec = staying(bench, "echo alive");
    for first_process in [false, true] {
        let shells = waiting(bench, &spec, 1)?;
        let (init, child) = workload(&shells)?;
        let victim = i32::try_from(if first_process { init } else { child }).map_err(|e| e.to_string())?;
        // SAFETY: a signal to a process of a cell of ours.
        unsafe { libc::kill(victim, libc::SIGKILL) };
        // With the first process the kernel ends the other a moment later, and until then it would still obey.
        check(until(PATIENCE, || !alive(child)), || "the process is left".into())?;
        // The node may have noticed by now, or not: either way somebody answers who is alive.
        let (text, from_shell) = said(bench, &spec, &shells)?;
        check(text == "alive\n" && !from_shell, || format!("{text:?}, from the dead shell: {from_shell}"))?;
        check(until(PATIENCE, || !alive(init)), || "the first process is left".into())?;
    }
    Ok(())
}

fn pristine(bench: &Bench) -> Outcome {
    let dir = bench.path("open");
    fs::create_dir(&dir).map_err(|error| error.to_string())?;
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&dir, everybody).map_err(|error| error.to_string())?;
    let mut spec = staying(bench, &format!("echo ran >{}/ran", dir.display()));
    spec.mounts = vec![mount(&dir, Access::Write)];
    spec.env.insert("MARK".into(), "secret".into());
    let shells = waiting(bench, &spec, 1)?;
    let (init, child) = workload(&shells)?;
    let of_init = fs::read_to_string(format!("/proc/{init}/status")).unwrap_or_default();
    for wanted in ["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    {
        check(of_init.contains(wanted), || format!("no {wanted} in {of_init}"))?;
    }
    let read = |name: &str| fs::read_to_string(format!("/proc/{child}/{name}")).unwrap_or_default();
    let status: Vec<String> = read("status").lines().map(|line| line.replace([' ', '\t'], "")).collect();
    for wanted in [
        "CapInh:0000000000000000",
        "CapPrm:0000000000000000",
        "CapEff:0000000000000000",
        "CapBnd:0000000000000000",
        "CapAmb:0000000000000000",
        "NoNewPrivs:1",
        "Seccomp:2",
        "SigBlk:0000000000000000",
    ] {
        check(status.iter().any(|line| line == wanted), || format!("no {wanted} in {status:#?}"))?;
    }
    let ignored = status.iter().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    let ignored = u64::from_str_radix(ignored, 16).map_err(|error| error.to_string())?;
    // The C library keeps two for itself, which nobody can reset.
    check(ignored & !(0b11 << 31) == 0, || format!("signals {ignored:x} are ignored"))?;
    let line = read("cmdline");
    check(line.contains(cella_cell::LAUNCHER_ARG) && !line.contains("/bin/sh"), || {
        format!("it is {line:?}")
    })?;
    drop(shells);
    check(until(DEATH, || !alive(child)), || "it is left".into())?;
    check(fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none()), || "it has run".into())?;
    let shells = waiting(bench, &spec, 1)?;
    check(said(bench, &spec, &shells)?.1, || "control: not out of the shell".into())?;
    check(dir.join("ran").exists(), || "control: the program leaves no file".into())
}

fn led_elsewhere(bench: &Bench) -> Outcome {
    let (shown, next) = (bench.file("shown", "old", 0o644), bench.file("next", "new", 0o644));
    let mut spec = staying(bench, &format!("cat {}", shown.display()));
    spec.mounts = vec![mount(&shown, Access::Read)];
    let shells = waiting(bench, &spec, 1)?;
    let seen = said(bench, &spec, &shells)?;
    check(seen == ("old".into(), true), || format!("control: {seen:?}"))?;
    check(bench.block_on(shells.is_ready()), || "no shell came to wait".into())?;
    fs::rename(next, shown).map_err(|error| error.to_string())?;
    let seen = said(bench, &spec, &shells)?;
    check(seen == ("new".into(), false), || format!("{seen:?}"))
}

fn hidden_later(bench: &Bench) -> Outcome {
    let shown = bench.file("dir/plain", "plain", 0o644);
    let (dir, hidden) = (bench.path("dir"), bench.path("dir/hidden"));
    let mut spec = staying(bench, &format!("cat {} {}", shown.display(), hidden.display()));
    spec.mounts = vec![mount(&dir, Access::Read)];
    spec.masks = vec![hidden];
    let shells = waiting(bench, &spec, 1)?;
    bench.file("dir/hidden", "secret", 0o644);
    let seen = said(bench, &spec, &shells)?;
    check(seen == ("plain".into(), false), || format!("{seen:?}"))
}

fn missing(bench: &Bench) -> Outcome {
    let mut spec = bench.script("true");
    let shells = waiting(bench, &spec, 1)?;
    spec.program.cwd = Some("/nowhere".into());
    let refused =
        |spec: &Spec| bench.block_on(bench.class.process.spawn(spec)).err().map(|error| error.code());
    check(refused(&spec) == Some("CE2002"), || "a directory that is not there".into())?;
    check(bench.block_on(shells.is_ready()), || "no shell came to wait".into())?;
    spec.program.cwd = None;
    spec.program.command = "/nowhere/at/all".into();
    check(refused(&spec) == Some("CE2002"), || "a program that is not there".into())?;
    spec.program.command = "relative".into();
    let before = shells.pids();
    check(refused(&spec) == Some("CE2010") && shells.pids() == before, || "a shell for nonsense".into())
}

fn unwanted(bench: &Bench) -> Outcome {
    let spec = bench.script("true");
    bench.run(&spec);
    let descriptors = || fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default();
    let own = std::process::id();
    until(PATIENCE, || groups_of(own).is_empty());
    let before = descriptors();
    let shells = waiting(bench, &spec, 3)?;
    let pids = shells.pids();
    check(pids.len() == 3 && descriptors() > before, || format!("control: {pids:?}"))?;
    check(groups_of(own).is_empty() != bench.is_root(), || "control: shells have their groups".into())?;
    drop(shells);
    let nothing =
        || !pids.iter().any(|pid| alive(*pid)) && groups_of(own).is_empty() && descriptors() <= before;
    check(until(PATIENCE, nothing), || format!("{pids:?}, {:?}, {} {before}", groups_of(own), descriptors()))
}

fn killed_node(bench: &Bench) -> Outcome {
    let mut node = Node(bench.command(node::ARG).args(["shells", "3"]).spawn().map_err(|e| e.to_string())?);
    let mut line = String::new();
    let stdout = node.0.stdout.take().ok_or("a pipe")?;
    BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
    let pids: Vec<u32> = line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    check(pids.len() == 3 && pids.iter().all(|pid| alive(*pid)), || format!("control: {line:?}"))?;
    node.kill();
    let own = node.0.id();
    check(until(DEATH, || !pids.iter().any(|pid| alive(*pid))), || format!("{pids:?} live"))?;
    check(until(DEATH, || groups_of(own).is_empty()), || format!("{:?}", groups_of(own)))
}

fn limit(bench: &Bench) -> Outcome {
    let spec = bench.script("true");
    let (first, second) = bench.block_on(async {
        let all = bench.class.process.keep_warm(&spec, SHELLS_MAX + 2);
        (all, bench.class.process.keep_warm(&spec, 1))
    });
    let count = || first.pids().len() + second.pids().len();
    check(until(PATIENCE, || count() == SHELLS_MAX), || format!("{} wait", count()))?;
    check(!until(DEATH / 4, || count() > SHELLS_MAX), || format!("{} wait", count()))
}

fn network(bench: &Bench) -> Outcome {
    let mut spec = bench.attempt(&["tcp", "192.0.2.7:443"]);
    spec.network = Network::Brokered { ports: vec![443] };
    let shells = waiting(bench, &spec, 1)?;
    let before = shells.pids();
    let mut running = bench.block_on(bench.class.process.spawn(&spec)).map_err(|error| error.to_string())?;
    check(running.cell.pid().is_some_and(|pid| before.contains(&pid)), || "not out of the shell".into())?;
    let ends = running.network.take().ok_or("no ends of the network")?;
    let (_, listener) = ends.tcp.iter().find(|(port, _)| *port == 443).ok_or("no listener")?;
    listener.set_nonblocking(false).map_err(|error| error.to_string())?;
    let (mut stream, _) = listener.accept().map_err(|error| error.to_string())?;
    check(stream.local_addr().is_ok_and(|address| address.to_string() == "192.0.2.7:443"), || {
        format!("{stream:?}")
    })?;
    std::io::Write::write_all(&mut stream, b"hello").map_err(|error| error.to_string())?;
    drop(stream);
    let mut text = String::new();
    bench.block_on(running.stdout.read_to_string(&mut text)).map_err(|error| error.to_string())?;
    check(text.contains("OUT"), || text)
}
