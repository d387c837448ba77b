//! What does a cell cost? Time to the first byte, system calls, egress, memory and leaks, each beside the same without a
//! cell and beside other ways to confine, measured in one run with interleaved rounds, so that a busy machine disturbs all
//! of them alike.
//!
//! `bench-cell run` measures (`--rounds N`, `--json FILE`); `bench-cell inside ...` is the program inside.

mod churn;
mod egress;
mod inside;
mod memory;
mod peers;
mod report;
mod shells;
mod start;

use std::process::ExitCode;

use report::Report;

/// Whatever goes wrong ends the run with its words.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str =
    "usage: bench-cell run [--rounds N] [--only start,calls,egress,churn,memory] [--json FILE]";

fn main() -> ExitCode {
    cella_cell::launcher_main();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["inside", rest @ ..] => inside::main(rest),
        ["run", rest @ ..] => run(rest),
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

/// What is asked for.
struct Options {
    rounds: usize,
    only: Option<Vec<String>>,
    json: Option<String>,
}

impl Options {
    fn of(words: &[&str]) -> Result<Self, Failed> {
        let mut options = Self { rounds: 100, only: None, json: None };
        for pair in words.chunks(2) {
            match pair {
                ["--rounds", count] => options.rounds = count.parse()?,
                ["--only", names] => options.only = Some(names.split(',').map(str::to_owned).collect()),
                ["--json", file] => options.json = Some((*file).to_owned()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == name))
    }
}

fn run(words: &[&str]) -> Result<(), Failed> {
    let options = Options::of(words)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut report = Report::default();
    let measured = runtime.block_on(measure(&options, &mut report));
    report.print();
    if let Some(file) = &options.json {
        std::fs::write(file, report.json().to_string())?;
    }
    measured
}

/// What comes before a failure is still told.
async fn measure(options: &Options, report: &mut Report) -> Result<(), Failed> {
    // First, while this process has allocated nothing for the others.
    if options.wants("memory") {
        memory::measure(report).await?;
    }
    if options.wants("start") {
        start::measure(options.rounds, report).await?;
    }
    if options.wants("calls") {
        inside::measure(report).await?;
    }
    if options.wants("churn") {
        churn::measure(report).await?;
    }
    if options.wants("egress") {
        egress::measure(report).await?;
    }
    Ok(())
}
