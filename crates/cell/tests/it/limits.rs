//! Ceilings hold, are named when they are hit, and hurt nobody else.

use std::time::Duration;

use cella_cell::{Access, Ask, LimitHit, doctor};

use super::{
    Outcome, Test,
    bench::{Bench, check, mount, skip},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_memory_bomb_is_killed_and_named", memory_bomb),
    ("shared_memory_counts", shared_memory_bomb),
    ("files_in_tmp_count_and_are_capped", tmp_is_capped),
    ("the_number_of_private_files_is_capped", inodes_are_capped),
    ("a_fork_bomb_is_bounded", fork_bomb),
    ("open_files_are_bounded", open_files),
    ("a_spinning_program_is_ended_by_its_cpu_time", cpu_time),
    ("a_processor_share_is_kept", cpu_share),
    ("a_required_limit_without_a_mechanism_is_refused", required_limit),
    ("usage_is_reported", usage),
    ("a_tree_without_groups_is_watched_and_killed_for_its_memory", watched_memory),
    ("memory_that_nobody_could_count_is_not_given", segments),
    ("a_tree_is_ended_by_its_cpu_time_and_not_only_one_process", tree_cpu_time),
    ("output_ends_where_it_is_capped", output_cap),
    ("a_share_of_the_disks_is_kept_or_said_not_to_be", disks),
];

const MIB: u64 = 1 << 20;

fn has_groups(bench: &Bench) -> bool {
    let _same_process_sees_the_same = bench;
    doctor().is_ok_and(|facts| facts.cgroups.memory.is_some())
}

fn memory_bomb(bench: &Bench) -> Outcome {
    check(bench.outside(&["memory", "200"]).contains("OUT"), || "control".into())?;
    let mut spec = bench.attempt(&["memory", "400"]);
    spec.limits.memory_bytes = Ask::Prefer(100 * MIB);
    let ran = bench.run(&spec);
    check(!ran.stdout.contains("OUT"), || format!("{ran:?}"))?;
    if !has_groups(bench) {
        // One process's private memory is all that can be bounded, by refusing to give more.
        return check(ran.stdout.contains("stopped at") || !ran.exit.success(), || format!("{ran:?}"));
    }
    check(ran.exit.oom && ran.exit.limit == Some(LimitHit::Memory), || format!("{ran:?}"))?;
    let peak = ran.exit.peak_memory_bytes;
    check((90 * MIB..=110 * MIB).contains(&peak), || format!("peak {peak}"))
}

fn shared_memory_bomb(bench: &Bench) -> Outcome {
    if !has_groups(bench) {
        return skip("no writable control group: shared memory is not counted, and the report says so");
    }
    let mut spec = bench.attempt(&["shared", "400"]);
    spec.limits.memory_bytes = Ask::Require(100 * MIB);
    let ran = bench.run(&spec);
    check(!ran.stdout.contains("OUT") && ran.exit.limit == Some(LimitHit::Memory), || format!("{ran:?}"))
}

fn tmp_is_capped(bench: &Bench) -> Outcome {
    for dir in ["/tmp", "/home/cell", "/dev/shm"] {
        let mut spec = bench.attempt(&["fill", dir]);
        spec.tmpfs.bytes = 8 * MIB;
        let ran = bench.run(&spec);
        check(
            ran.stdout.contains("DENIED stopped at 7 MiB") || ran.stdout.contains("DENIED stopped at 8 MiB"),
            || format!("{dir}: {ran:?}"),
        )?;
    }
    Ok(())
}

fn inodes_are_capped(bench: &Bench) -> Outcome {
    let mut spec = bench.attempt(&["many-files", "/tmp"]);
    spec.tmpfs.inodes = 100;
    let ran = bench.run(&spec);
    let made = ran.stdout.split_whitespace().find_map(|word| word.parse::<u32>().ok());
    check(made.is_some_and(|made| (50..100).contains(&made)), || format!("{ran:?}"))
}

fn fork_bomb(bench: &Bench) -> Outcome {
    check(bench.outside(&["forks", "60"]).contains("OUT"), || "control".into())?;
    let mut spec = bench.attempt(&["forks", "500"]);
    spec.limits.processes = Ask::Require(30);
    let ran = bench.run(&spec);
    let made = ran.stdout.split_whitespace().find_map(|word| word.parse::<u32>().ok());
    check(made.is_some_and(|made| (20..=30).contains(&made)), || format!("{ran:?}"))
}

fn open_files(bench: &Bench) -> Outcome {
    let mut spec = bench.attempt(&["open-files"]);
    spec.limits.open_files = 50;
    let ran = bench.run(&spec);
    check(ran.stdout.contains("DENIED stopped at 47"), || format!("{ran:?}"))
}

fn cpu_time(bench: &Bench) -> Outcome {
    let mut spec = bench.attempt(&["spin"]);
    spec.limits.cpu_time = Some(Duration::from_secs(1));
    let ran = bench.run(&spec);
    check(ran.exit.limit == Some(LimitHit::CpuTime) && ran.exit.cpu >= Duration::from_millis(700), || {
        format!("{ran:?}")
    })
}

fn cpu_share(bench: &Bench) -> Outcome {
    if !doctor().is_ok_and(|facts| facts.cgroups.cpu.is_some()) {
        return skip("no writable control group for processors");
    }
    let mut spec = bench.attempt(&["spin"]);
    spec.limits.cpu_milli = Ask::Require(200);
    spec.limits.wall_time = Some(Duration::from_millis(1500));
    let ran = bench.run(&spec);
    // A fifth of a processor for 1.5 s is 0.3 s, and a period of 0.1 s more or less. The spinner is killed with the first
    // process and therefore not in the reaped usage, so its share is read from what a bounded child used.
    check(ran.exit.limit == Some(LimitHit::WallTime), || format!("{ran:?}"))?;
    let mut spec = bench.script("i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done");
    spec.limits.cpu_milli = Ask::Require(200);
    let ran = bench.run(&spec);
    let share = ran.exit.cpu.as_secs_f64() / ran.exit.wall.as_secs_f64();
    check(share < 0.45, || format!("share {share:.2}: {ran:?}"))
}

fn required_limit(bench: &Bench) -> Outcome {
    if has_groups(bench) {
        return skip("this user has control groups, so nothing falls short");
    }
    let mut spec = bench.script("true");
    spec.limits.memory_bytes = Ask::Require(100 * MIB);
    let refused = bench.try_run(&spec, "").err();
    check(refused.as_ref().is_some_and(|error| error.code() == "CE2005" && !error.fix().is_empty()), || {
        format!("{refused:?}")
    })?;
    spec.enforcement = cella_cell::Enforcement::BestEffort;
    let running = bench.spawn(&spec).map_err(|error| error.to_string())?;
    check(running.cell.report().degraded.iter().any(|short| short.what == "memory"), || {
        "not in the report".into()
    })
}

fn usage(bench: &Bench) -> Outcome {
    let ran = bench.run(&bench.attempt(&["memory", "40"]));
    check(ran.exit.peak_memory_bytes >= 40 * MIB && ran.exit.cpu > Duration::ZERO, || format!("{ran:?}"))
}

fn watched_memory(bench: &Bench) -> Outcome {
    if has_groups(bench) {
        return skip("this user has control groups, so nothing need be watched");
    }
    // Each below the limit of one process, or not its private memory: only the sum is too much.
    let exe = bench.exe();
    let eat = |what: &str| format!("{exe} __attempt {what}; sleep 30");
    let many = format!("for i in 1 2 3 4; do ({}) & done; wait", eat("hold 40"));
    for script in [
        eat("hold-shared 150"),
        eat("hold-memory-file 150"),
        many,
        "head -c 60M /dev/zero >/tmp/f; sleep 30 & wait".into(),
    ] {
        let mut spec = bench.attempt(&["status"]);
        spec.program.command = "/bin/sh".into();
        spec.program.args = vec!["-c".into(), script.clone()];
        spec.limits.memory_bytes = Ask::Prefer(if script.contains("head") { 40 * MIB } else { 100 * MIB });
        let ran = bench.run(&spec);
        check(ran.exit.limit == Some(LimitHit::Memory) && ran.exit.signal == Some(9), || {
            format!("{script}: {ran:?}")
        })?;
        check(ran.exit.wall < Duration::from_secs(20) && ran.exit.peak_memory_bytes > 40 * MIB, || {
            format!("{script}: {ran:?}")
        })?;
    }
    // Below it nothing happens.
    let mut spec = bench.script("sleep 0.7; echo lives");
    spec.limits.memory_bytes = Ask::Prefer(100 * MIB);
    check(bench.run(&spec).stdout == "lives\n", || "it was killed".into())
}

fn segments(bench: &Bench) -> Outcome {
    let ran = bench.run(&bench.attempt(&["segment"]));
    let given = ran.stdout.contains("OUT");
    let absent = ran.stdout.contains("Function not implemented");
    check(given == has_groups(bench) && given != absent, || format!("{ran:?}"))?;
    // Nobody asked for a limit: nothing to count.
    let mut spec = bench.attempt(&["segment"]);
    spec.limits.memory_bytes = Ask::No;
    let ran = bench.run(&spec);
    check(ran.stdout.contains("OUT"), || format!("{ran:?}"))
}

fn tree_cpu_time(bench: &Bench) -> Outcome {
    let exe = bench.exe();
    let mut spec = bench.attempt(&["status"]);
    spec.program.command = "/bin/sh".into();
    // Short-lived processes, one after the other: no single one comes near the limit.
    let script = format!("while :; do timeout 0.3 {exe} __attempt spin; done");
    spec.program.args = vec!["-c".into(), script];
    spec.limits.cpu_time = Some(Duration::from_secs(1));
    let ran = bench.run(&spec);
    check(ran.exit.limit == Some(LimitHit::CpuTime) && ran.exit.cpu > Duration::from_secs(1), || {
        format!("{ran:?}")
    })
}

fn output_cap(bench: &Bench) -> Outcome {
    let mut spec = bench.script("yes");
    spec.limits.output_bytes = Some(100_000);
    let ran = bench.run(&spec);
    check(ran.stdout.len() == 100_000 && ran.exit.limit == Some(LimitHit::Output), || {
        format!("{} {:?}", ran.stdout.len(), ran.exit)
    })?;
    // Gone before anybody has read: what is cut off is said all the same.
    let mut spec = bench.script("head -c 30000 /dev/zero");
    spec.limits.output_bytes = Some(20_000);
    let ran = bench.run(&spec);
    check(ran.stdout.len() == 20_000 && ran.exit.limit == Some(LimitHit::Output), || {
        format!("{} {:?}", ran.stdout.len(), ran.exit)
    })?;
    let mut spec = bench.script("cat; echo err >&2");
    spec.limits.output_bytes = Some(100);
    let ran = bench.try_run(&spec, "all of it").map_err(|error| error.to_string())?;
    check(ran.exit.success() && ran.stdout == "all of it" && ran.stderr == "err\n", || format!("{ran:?}"))
}

fn disks(bench: &Bench) -> Outcome {
    let mut spec = bench.script("true");
    spec.limits.io_bytes_per_second = Ask::Prefer(10 * MIB);
    let running = bench.spawn(&spec).map_err(|error| error.to_string())?;
    let report = running.cell.report().clone();
    let kept = report.enforced.iter().any(|wall| wall.what == "io");
    let said = report.degraded.iter().any(|short| short.what == "io" && !short.fix.is_empty());
    check(kept != said, || format!("{report:?}"))?;
    check(report.enforced.iter().any(|wall| wall.what == "processes"), || format!("{report:?}"))?;
    if !kept {
        return skip("this user has no control group for disks");
    }
    // Past the cache, so that the disk itself is written.
    let dir = bench.path("disk");
    std::fs::create_dir(&dir).map_err(|error| error.to_string())?;
    let script = format!("dd if=/dev/zero of={}/f bs=1M count=15 oflag=direct 2>&1", dir.display());
    let mut spec = bench.script(&script);
    spec.mounts = vec![mount(&dir, Access::Write)];
    let free = bench.run(&spec);
    if !free.exit.success() {
        return skip("the temporary directory is on no disk that can be written directly");
    }
    spec.limits.io_bytes_per_second = Ask::Require(10 * MIB);
    let ran = bench.run(&spec);
    check(ran.exit.success() && ran.exit.wall > Duration::from_secs(1), || format!("{free:?} {ran:?}"))
}
