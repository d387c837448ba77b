//! What a kernel of one's own costs: time to the first byte of a program, by each driver and each way to a guest.
//!
//! `cargo bench -p cella-cell-vm`; `CELLA_TEST_GUEST` says where a kernel for guests lies if the driver does not find one. The
//! ways alternate, so that a noisy machine hurts all alike.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use cella_cell::{Cell, Network, Program, Spec};
use cella_cell_vm::{Choice, Driver, Gvisor, Probe, Qemu, Vm};
use tokio::io::AsyncReadExt;

/// Runs of each kind; a guest that boots in software translation takes seconds.
const ROUNDS: usize = 12;
const BOOTS: usize = 3;
/// Time for the next guest to be there.
const PAUSE: Duration = Duration::from_secs(3);

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    cella_cell::launcher_main();
    cella_cell_vm::guest_main();
    let snapshots = tempfile::tempdir()?;
    let place = || Some(snapshots.path().join("guests"));
    let qemu = || std::env::var_os("CELLA_TEST_GUEST").map_or_else(Qemu::new, Qemu::with_kernel);
    let ways: Vec<(&str, usize, Arc<dyn Driver>)> = vec![
        ("gvisor", ROUNDS, Arc::new(Gvisor::new())),
        ("qemu, booted", BOOTS, Arc::new(qemu().with_snapshots(None))),
        ("qemu, woken", ROUNDS, Arc::new(qemu().with_snapshots(place()))),
        ("qemu, waiting", ROUNDS, Arc::new(qemu().with_snapshots(place()).with_waiting(1))),
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{:<28}{:>9}{:>9}{:>9}", "first byte, ms", "min", "p50", "max");
    for (name, rounds, driver) in ways {
        if let Probe::Unusable { why, .. } = driver.probe() {
            println!("{name}: not here: {why}");
            continue;
        }
        let class = Vm::with(Choice::Auto, vec![driver]);
        for (network, words) in [(Network::None, ""), (Network::Brokered { ports: vec![443] }, ", brokered")]
        {
            let times = runtime.block_on(measured(&class, &network, rounds, name == "qemu, waiting"))?;
            let [min, p50, max] =
                [0, times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64() * 1000.0);
            println!("{:<28}{min:>9.0}{p50:>9.0}{max:>9.0}", format!("{name}{words}"));
        }
    }
    Ok(())
}

/// Sorted. One run before the first, which leaves a snapshot where there is to be one.
async fn measured(
    class: &Vm,
    network: &Network,
    rounds: usize,
    pause: bool,
) -> Result<Vec<Duration>, Failed> {
    let program =
        Program { command: PathBuf::from("/bin/echo"), args: vec!["x".into()], ..Program::default() };
    let mut spec = Spec::new("bench", program);
    spec.network = network.clone();
    let mut times = Vec::new();
    for round in 0..=rounds {
        let began = Instant::now();
        let mut running = class.spawn(&spec).await?;
        running.stdout.read_exact(&mut [0; 1]).await?;
        if round > 0 {
            times.push(began.elapsed());
        }
        running.cell.wait().await;
        if pause {
            tokio::time::sleep(PAUSE).await;
        }
    }
    times.sort();
    Ok(times)
}
