//! What do runs cost? Durable events a second, one by one and in groups; facts a second through the kernel, folded and replayed; how
//! long it takes to read a run of ten thousand events from its ledger; events a second into projections.
//!
//! `bench-run run [--events N] [--rounds N] [--json FILE] [--dir DIR]`. The ledger lies in DIR, by default in the directory for temporary
//! files: name one on a real disk where that is memory.

mod ledger;
mod made;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use cella_kernel::{State, replay};

/// Whatever goes wrong ends the run with its words.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: bench-run run [--events N] [--rounds N] [--json FILE] [--dir DIR]";

/// What is asked for.
pub(crate) struct Options {
    pub(crate) events: usize,
    rounds: usize,
    json: Option<String>,
    pub(crate) dir: PathBuf,
}

/// One figure.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) goal: Option<&'static str>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["run", rest @ ..] => Options::of(rest).and_then(|options| run(&options)),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn of(words: &[&str]) -> Result<Self, Failed> {
        let mut options = Self { events: 10_000, rounds: 5, json: None, dir: std::env::temp_dir() };
        for pair in words.chunks(2) {
            match pair {
                ["--events", count] => options.events = count.parse()?,
                ["--rounds", count] => options.rounds = count.parse()?,
                ["--json", file] => options.json = Some((*file).to_owned()),
                ["--dir", dir] => options.dir = PathBuf::from(dir),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

fn run(options: &Options) -> Result<(), Failed> {
    let mut figures = kernel(options)?;
    figures.extend(ledger::figures(options)?);
    for Figure { name, value, unit, goal } in &figures {
        let goal = goal.map(|goal| format!("   (goal: {goal})")).unwrap_or_default();
        println!("{name:<58} {value:>12.1} {unit}{goal}");
    }
    if let Some(file) = &options.json {
        let lines =
            figures.iter().map(|f| serde_json::json!({"name": f.name, "value": f.value, "unit": f.unit}));
        std::fs::write(file, serde_json::to_string_pretty(&lines.collect::<Vec<_>>())?)?;
    }
    Ok(())
}

/// The kernel alone, in memory.
fn kernel(options: &Options) -> Result<Vec<Figure>, Failed> {
    let facts = made::facts(options.events);
    let folded = best(options.rounds, || {
        let mut state = State::begin(&facts[0])?;
        for fact in &facts[1..] {
            state.apply(fact)?;
        }
        Ok(())
    })?;
    let replayed = best(options.rounds, || replay(&facts).map(drop).map_err(Into::into))?;
    let rate = |time: Duration| facts.len() as f64 / time.as_secs_f64();
    Ok(vec![
        Figure { name: "kernel: facts folded, one core", value: rate(folded), unit: "facts/s", goal: None },
        Figure {
            name: "kernel: facts replayed (each beginning compared), one core",
            value: rate(replayed),
            unit: "facts/s",
            goal: Some("200,000"),
        },
    ])
}

/// The least time of some rounds: what the work takes when nobody else wants the processor.
pub(crate) fn best(rounds: usize, mut work: impl FnMut() -> Result<(), Failed>) -> Result<Duration, Failed> {
    let mut least = Duration::MAX;
    for _ in 0..rounds.max(1) {
        let began = Instant::now();
        work()?;
        least = least.min(began.elapsed());
    }
    Ok(least)
}
