//! What a cell costs: time to the first byte against a plain process, and memory of an idle one.
//!
//! `cargo bench -p cella-cell`. Plain and confined runs alternate, so that a noisy machine hurts both alike.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cella_cell::{Ask, Cell, Process, Running, Spec, launcher_main};
use cella_program::program_files;
use tokio::io::AsyncReadExt;

/// Runs of each kind.
const ROUNDS: usize = 60;
/// Cells that are idle at once.
const IDLE: usize = 10;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    launcher_main();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let class = Process::new();
        println!("{:<22}{:>9}{:>9}{:>9}   added p50", "first byte, ms", "min", "p50", "p90");
        compare(&class, "/bin/echo", &["x"]).await?;
        compare(&class, "node", &["-e", "console.log(1)"]).await?;
        compare(&class, "python3", &["-c", "print(1)"]).await?;
        idle_memory(&class).await
    })
}

fn spec(command: &str, args: &[&str]) -> Result<Spec, Failed> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let program = program_files(command, &args, None, OsStr::new("/usr/local/bin:/usr/bin:/bin"))?;
    Ok(Spec::new("bench", program))
}

async fn compare(class: &Process, command: &str, args: &[&str]) -> Result<(), Failed> {
    let Ok(full) = spec(command, args) else {
        println!("{command}: not on this machine");
        return Ok(());
    };
    let mut ungrouped = full.clone();
    ungrouped.limits.memory_bytes = Ask::No;
    ungrouped.limits.processes = Ask::No;
    let (mut plain, mut cell, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(plain_first_byte(&full)?);
        cell.push(cell_first_byte(class, &full).await?);
        without.push(cell_first_byte(class, &ungrouped).await?);
    }
    let base = show(&format!("{command} plain"), plain, None);
    show(&format!("{command} cell"), cell, Some(base));
    show(&format!("{command} no groups"), without, Some(base));
    Ok(())
}

fn plain_first_byte(spec: &Spec) -> Result<Duration, Failed> {
    let began = Instant::now();
    let mut child = Command::new(&spec.program.command)
        .args(&spec.program.args)
        .env_clear()
        .envs(&spec.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut byte = [0];
    child.stdout.take().ok_or("no pipe")?.read_exact(&mut byte)?;
    let taken = began.elapsed();
    child.wait()?;
    Ok(taken)
}

async fn cell_first_byte(class: &Process, spec: &Spec) -> Result<Duration, Failed> {
    let began = Instant::now();
    let Running { stdin, mut stdout, stderr: _stderr, cell, .. } = class.spawn(spec).await?;
    drop(stdin);
    let mut byte = [0];
    stdout.read_exact(&mut byte).await?;
    let taken = began.elapsed();
    cell.wait().await;
    Ok(taken)
}

fn show(name: &str, mut times: Vec<Duration>, base: Option<f64>) -> f64 {
    times.sort_unstable();
    let millis = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1e3;
    let (min, p50, p90) = (millis(0), millis(times.len() / 2), millis(times.len() * 9 / 10));
    let added = base.map(|base| format!("{:+.1}", p50 - base)).unwrap_or_default();
    println!("{name:<22}{min:>9.1}{p50:>9.1}{p90:>9.1}   {added}");
    p50
}

async fn idle_memory(class: &Process) -> Result<(), Failed> {
    let mut cells = Vec::new();
    let began = Instant::now();
    for _ in 0..IDLE {
        cells.push(class.spawn(&spec("/bin/cat", &[])?).await?);
    }
    println!("{IDLE} cells one after the other: {:.1} ms each", began.elapsed().as_secs_f64() * 1e2);
    let (mut launcher, mut first) = ((0, 0), (0, 0));
    for entry in fs::read_dir("/proc")?.flatten() {
        let dir = entry.path();
        let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
        let add = |sum: &mut (u64, u64)| {
            sum.0 += kib(&dir, "Pss:");
            sum.1 += kib(&dir, "Private_Dirty:");
        };
        match name.trim() {
            "cella-launcher" => add(&mut launcher),
            "cella-init" => add(&mut first),
            _ => {}
        }
    }
    println!("launcher: {} KiB PSS, {} KiB private", launcher.0, launcher.1);
    println!("first processes of {IDLE} cells: {} KiB PSS, {} KiB private", first.0, first.1);
    Ok(())
}

fn kib(process: &std::path::Path, field: &str) -> u64 {
    let text = fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
