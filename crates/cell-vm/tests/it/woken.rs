//! Guests that wake from a snapshot: quickly, with nothing of each other, and only from one that is what it was.

use std::{
    cell::Cell,
    fs,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cella_cell_vm::{Choice, Vm};

use super::{
    Outcome, Test, WOKEN,
    bench::{Bench, check, script},
    law, qemu,
};

pub(crate) const TESTS: &[Test] = &[
    ("a_guest_wakes_in_a_fraction_of_the_time_that_it_takes_to_boot", quick),
    ("two_guests_of_one_snapshot_share_no_randomness_and_know_the_time", apart),
    ("a_snapshot_that_was_changed_is_not_woken_and_the_cell_runs_all_the_same", changed),
    ("a_waiting_guest_is_given_out_once_and_dies_with_the_class", waiting),
];

/// Machines that nothing else in this run has, so that the first guest of each boots.
const OWN_SHAPE: u64 = 300 << 20;
const QUICK_SHAPE: u64 = 316 << 20;
const RANDOM: &str = "head -c 8 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid; \
                      python3 -c 'import os; print(os.getrandom(8).hex(), hash(\"x\"))'";

pub(crate) fn applies(driver: &str, test: &str) -> bool {
    driver == WOKEN || !TESTS.iter().any(|(name, _)| *name == test)
}

/// Until the program has said its first word and ended.
fn timed(bench: &Bench, class: &Vm, text: &str, memory: u64) -> Result<(Duration, String), String> {
    let mut spec = script(text);
    spec.limits.memory_bytes = cella_cell::Ask::Prefer(memory);
    let began = Instant::now();
    let ran = bench.run_in(class, &spec);
    check(ran.exit.success(), || format!("{ran:?}"))?;
    Ok((began.elapsed(), ran.stdout))
}

fn quick(bench: &Bench) -> Outcome {
    let (boot, _) = timed(bench, &bench.class, "echo x", QUICK_SHAPE)?;
    let woken = (0..5).map(|_| timed(bench, &bench.class, "echo x", QUICK_SHAPE).map(|(time, _)| time));
    let woken = woken.collect::<Result<Vec<_>, _>>()?;
    println!("measured: to the end of `echo x`: booted {boot:?} (its snapshot taken), woken {woken:?}");
    let least = woken.iter().min().copied().unwrap_or(boot);
    check(least < boot / 3, || format!("booted in {boot:?}, woken in {woken:?}"))
}

fn apart(bench: &Bench) -> Outcome {
    let mut seen = std::collections::BTreeSet::new();
    // The first may be the one whose snapshot is taken: it goes on from the same state.
    for _ in 0..4 {
        let ran = bench.run(&script(&format!("{RANDOM}; date +%s")));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
        let (random, time) = ran.stdout.trim().rsplit_once('\n').ok_or_else(|| format!("{ran:?}"))?;
        let time: u64 = time.parse().map_err(|_| format!("{ran:?}"))?;
        check(now.abs_diff(time) <= 2, || format!("the guest says {time}, it is {now}"))?;
        for word in random.split_whitespace().collect::<Vec<_>>().chunks(8) {
            check(seen.insert(word.join(" ")), || format!("{word:?} twice: {random}"))?;
        }
    }
    Ok(())
}

fn snapshots(of: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(of).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "guest")).collect()
}

fn changed(bench: &Bench) -> Outcome {
    let dir = bench.path("snapshots");
    // A class of its own knows nothing of what another verified.
    let fresh = || Vm::with(Choice::Auto, vec![Arc::new(qemu(WOKEN).with_snapshots(Some(dir.clone())))]);
    let class = fresh();
    timed(bench, &class, "echo x", OWN_SHAPE)?;
    let [file] = &snapshots(&dir)[..] else { return Err(format!("{:?}", snapshots(&dir))) };
    let before = fs::metadata(file).and_then(|file| file.modified()).map_err(|error| error.to_string())?;
    let damage = |at: u64| -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(file)?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(b"damaged")
    };
    damage(50 << 20).map_err(|error| error.to_string())?;
    let (_, text) = timed(bench, &fresh(), "echo x", OWN_SHAPE)?;
    let after = fs::metadata(file).and_then(|file| file.modified()).map_err(|error| error.to_string())?;
    check(text == "x\n" && after > before, || format!("{text} {before:?} {after:?}"))
}

/// Whether the only guest there is has been awake for some looks: its ports are there, and the socket that it woke by is not.
fn one_is_awake(looks: &Cell<u32>) -> bool {
    let dirs = law::directories(std::process::id());
    let there = |name: &str| {
        dirs.iter().any(|dir| std::env::temp_dir().join(dir).join("machine").join(name).exists())
    };
    looks.set(if dirs.len() == 1 && there("talk") && !there("waking") { looks.get() + 1 } else { 0 });
    looks.get() > 50
}

fn waiting(bench: &Bench) -> Outcome {
    let class = Vm::with(Choice::Auto, vec![Arc::new(qemu(WOKEN).with_waiting(1))]);
    let text = format!("test -e /tmp/used && echo USED; echo x >/tmp/used; {RANDOM}");
    let mut seen = std::collections::BTreeSet::new();
    let mut times = Vec::new();
    for _ in 0..4 {
        let (time, said) = timed(bench, &class, &text, OWN_SHAPE)?;
        check(!said.contains("USED") && seen.insert(said.clone()), || said.clone())?;
        times.push(time);
        let looks = Cell::new(0);
        check(law::until(Duration::from_secs(60), || one_is_awake(&looks)), || {
            format!("{:?} guests wait", law::directories(std::process::id()))
        })?;
    }
    println!(
        "measured: to the end of a script with Python in it: {times:?}, the later ones in guests that waited"
    );
    drop(class);
    let gone = || law::carriers(std::process::id()) == 0;
    check(law::until(Duration::from_secs(2), gone), || "a waiting guest outlived its class".into())
}
