//! A cell that stands still while somebody looks at its files.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cella_cell::{Access, Ask, Running};

use super::{
    Outcome, Test,
    bench::{Bench, PATIENCE, check, mount, skip},
    life::{DEATH, until},
};

pub(crate) const TESTS: &[Test] =
    &[("a_frozen_cell_stands_still_and_goes_on", frozen), ("a_frozen_cell_can_be_killed", frozen_and_killed)];

/// A cell that starts process after process, each of which writes a number to a file; the file.
fn counting(bench: &Bench) -> Result<(Running, PathBuf), String> {
    let dir = bench.file("counting/now", "", 0o644).parent().expect("a directory").to_owned();
    let at = dir.join("now");
    let mut spec =
        bench.script(&format!("n=0; while :; do n=$((n+1)); (echo $n > {}) & wait; done", at.display()));
    spec.mounts.push(mount(&dir, Access::Write));
    spec.limits.processes = Ask::Prefer(100);
    let running = bench.spawn(&spec).map_err(|error| error.to_string())?;
    check(until(PATIENCE, || number(&at) > 10), || "it does not count".to_owned())?;
    Ok((running, at))
}

fn number(at: &Path) -> u64 {
    fs::read_to_string(at).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

fn frozen(bench: &Bench) -> Outcome {
    let (running, at) = counting(bench)?;
    for _ in 0..20 {
        let frozen = match running.cell.freezer().freeze() {
            Ok(frozen) => frozen,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return skip("nothing here freezes a cell");
            }
            Err(error) => return Err(error.to_string()),
        };
        let (before, began) = (fs::read(&at).unwrap_or_default(), Instant::now());
        while began.elapsed() < Duration::from_millis(20) {
            let now = fs::read(&at).unwrap_or_default();
            check(now == before, || format!("{before:?} became {now:?}"))?;
        }
        drop(frozen);
        let then = number(&at);
        check(until(PATIENCE, || number(&at) > then + 5), || "it does not go on".to_owned())?;
    }
    let exit = bench.block_on(running.cell.kill());
    check(!exit.success(), || format!("{exit:?}"))
}

fn frozen_and_killed(bench: &Bench) -> Outcome {
    let (running, at) = counting(bench)?;
    let frozen = match running.cell.freezer().freeze() {
        Ok(frozen) => frozen,
        Err(_) => return skip("nothing here freezes a cell"),
    };
    let began = Instant::now();
    bench.block_on(running.cell.kill());
    check(began.elapsed() < DEATH, || format!("it took {:?}", began.elapsed()))?;
    drop(frozen);
    let last = number(&at);
    check(number(&at) == last, || "it goes on".to_owned())
}
