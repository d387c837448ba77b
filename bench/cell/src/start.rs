//! Time to the first byte of standard output.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cella_cell::{Process, Spec};

use crate::{
    Failed,
    peers::{self, Peer},
    report::{Figures, Goal, Report},
    shells::{self, millis},
};

/// Runs before anything is timed.
const WARM_UP: usize = 5;
/// What is run: a name, a command, arguments.
const PROGRAMS: [(&str, &str, &[&str]); 3] = [
    ("/bin/echo", "/bin/echo", &["x"]),
    ("node -e", "node", &["-e", "console.log(1)"]),
    ("python3 -c", "python3", &["-c", "print(1)"]),
];
/// Milliseconds that a cell with egress and limits may add, and those that it may add when a shell of its shape waits.
const ADDED: f64 = 4.0;
const ADDED_WARM: f64 = 1.5;

/// Between the end of one program and the start of the next. What is cleared away after a cell (its network above all) is
/// cleared away by the kernel when nobody waits any more, and would be paid for by whoever comes next.
const SETTLING: Duration = Duration::from_millis(25);

const BARE: &str = "cell";
const FULL: &str = "cell, egress and limits";
const WARM: &str = "the same, from a shell";

/// Every program in every way.
pub(crate) async fn measure(rounds: usize, report: &mut Report) -> Result<(), Failed> {
    let peers = peers::all()?;
    let (cold, warm) = (Process::new(), Process::new());
    for (name, command, args) in PROGRAMS {
        let Ok(bare) = shells::bare(command, args) else {
            println!("{name}: not on this machine");
            continue;
        };
        let full = shells::full(command, args, 443)?;
        for _ in 0..WARM_UP {
            first_byte(&cold, &full).await?;
        }
        // An interpreter's own start is long: fewer rounds say as much.
        let rounds = if command.starts_with('/') { rounds } else { rounds.div_ceil(3) };
        let times = interleaved([&cold, &warm], &peers, [&bare, &full], rounds).await?;
        tell(name, &peers, times, report);
    }
    Ok(())
}

async fn interleaved(
    [class, warm]: [&Process; 2],
    peers: &[Peer],
    [bare, full]: [&Spec; 2],
    rounds: usize,
) -> Result<BTreeMap<&'static str, Vec<f64>>, Failed> {
    let mut times: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut add = |name, taken: Duration| times.entry(name).or_default().push(millis(taken));
    let shells = warm.keep_warm(full, 1);
    for round in 0..rounds {
        for peer in peers.iter().filter(|peer| round % peer.every == 0) {
            tokio::time::sleep(SETTLING).await;
            match peer.first_byte(bare) {
                Ok(taken) => add(peer.name, taken),
                Err(why) if round == 0 => println!("{}: {why}", peer.name),
                Err(_) => {}
            }
        }
        add(BARE, first_byte(class, bare).await?);
        add(FULL, first_byte(class, full).await?);
        if !shells.is_ready().await {
            return Err("no shell could be made to wait".into());
        }
        add(WARM, first_byte(warm, full).await?);
    }
    Ok(times)
}

async fn first_byte(class: &Process, spec: &Spec) -> Result<Duration, Failed> {
    tokio::time::sleep(SETTLING).await;
    let began = Instant::now();
    let mut shell = shells::start(class, spec).await?;
    shell.first_byte().await?;
    let taken = began.elapsed();
    shell.end().await;
    Ok(taken)
}

fn tell(program: &str, peers: &[Peer], mut times: BTreeMap<&'static str, Vec<f64>>, report: &mut Report) {
    let plain = times.get("plain").cloned().map(Figures::of).map_or(0.0, |figures| figures.median);
    let names = peers.iter().map(|peer| peer.name).chain([BARE, FULL, WARM]);
    for name in names {
        let Some(values) = times.remove(name) else { continue };
        let goal = |own: Figures| {
            let added = own.median - plain;
            let limit = [(FULL, ADDED), (WARM, ADDED_WARM)].into_iter().find(|(lane, _)| *lane == name);
            limit.map(|(_, limit)| Goal::at_most(limit, "ms", "added to plain", added))
        };
        report.series(format!("first byte of {program}, {name}"), "ms", values, goal);
    }
}
