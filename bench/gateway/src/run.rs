//! One run: every target in turn, round after round, so that all of them meet the same machine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    load::{self, Pipe, Target, Work},
    measure::{self, Figures},
    peers::{self, Cella, Entry, Running, Upstream},
    process,
    report::{self, Fact, Row},
    wire::Era,
};

/// What the program expects.
pub const USAGE: &str = "usage: bench-gateway run [--cella PROGRAM] [--mcp-proxy PROGRAM] [--seconds N] [--rounds N] [--json FILE]\n\
       bench-gateway echo-http PORT [TOOLS] | echo-stdio [TOOLS] | relay PORT UPSTREAM";

/// The lane that hands bytes on unread.
pub const FLOOR: &str = "relay";
/// Concurrency levels, as promised in SPECIFICATION.md.
const CLIENTS: [usize; 3] = [1, 16, 128];
/// Calls before the clock runs: connections, caches, lazy starts.
const WARM_UP: Duration = Duration::from_millis(300);
/// Servers that are started and then left alone.
const IDLE_SERVERS: [u16; 3] = [0, 10, 50];
/// A list that a large installation has.
const LONG_LIST: u16 = 500;
/// Memory is read when the process has come to rest.
const REST: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Options {
    cella: Option<PathBuf>,
    mcp_proxy: Option<PathBuf>,
    time: Duration,
    rounds: usize,
    json: Option<PathBuf>,
}

/// Something to load, and the tree whose CPU time counts.
struct Lane {
    name: &'static str,
    target: Option<Target>,
    pipe: Option<Pipe>,
    pid: u32,
}

/// Parses, measures, prints.
pub fn main(args: &[&str]) -> Result<(), String> {
    let options = options(args)?;
    let dir = std::env::temp_dir().join(format!("bench-gateway-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(|e| e.to_string())?.block_on(all(&options, &dir));
    let _left_behind = std::fs::remove_dir_all(&dir).is_err();
    let (rows, facts) = outcome?;
    report::table(&rows, &facts);
    if let Some(path) = options.json {
        let text = report::json(&rows, &facts).to_string();
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    // a peer's mistakes are its own; they are in the table
    let wrong: u64 = rows.iter().filter(|r| r.target == "cella").map(|r| r.figures.wrong).sum();
    if wrong > 0 { Err(format!("{wrong} calls went wrong")) } else { Ok(()) }
}

fn options(args: &[&str]) -> Result<Options, String> {
    let mut options =
        Options { cella: None, mcp_proxy: None, time: Duration::from_secs(2), rounds: 3, json: None };
    for pair in args.chunks(2) {
        let [flag, value] = pair else { return Err(USAGE.to_owned()) };
        let number = || value.parse::<u64>().map_err(|_| format!("{flag} wants a number, not {value}"));
        match *flag {
            "--cella" => options.cella = Some(PathBuf::from(value)),
            "--mcp-proxy" => options.mcp_proxy = Some(PathBuf::from(value)),
            "--seconds" => options.time = Duration::from_secs(number()?),
            "--rounds" => options.rounds = number()?.max(1) as usize,
            "--json" => options.json = Some(PathBuf::from(value)),
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}

async fn all(options: &Options, dir: &Path) -> Result<(Vec<Row>, Vec<Fact>), String> {
    let mut rows = Vec::new();
    for upstream in Upstream::ALL {
        rows.extend(calls(options, dir, upstream).await?);
    }
    let mut facts = Vec::new();
    if let Some(program) = &options.cella {
        facts.extend(durable(options, program, dir).await?);
        facts.extend(memory(program, dir).await?);
        facts.extend(lists(options, program, dir).await?);
    }
    Ok((rows, facts))
}

/// The main table for one kind of upstream.
async fn calls(options: &Options, dir: &Path, upstream: Upstream) -> Result<Vec<Row>, String> {
    let echo = peers::echo(dir, 1)?;
    let mut kept: Vec<Running> = Vec::new();
    let mut lanes = vec![match upstream {
        Upstream::Http => {
            Lane { name: "direct", target: Some(peers::direct(&echo)), pipe: None, pid: echo.pid() }
        }
        Upstream::Stdio => {
            let pipe = Pipe::open()?;
            Lane { name: "direct", target: None, pid: pipe.pid(), pipe: Some(pipe) }
        }
    }];
    if upstream == Upstream::Http {
        let (process, target) = peers::relay(dir, &echo)?;
        lanes.push(Lane { name: FLOOR, target: Some(target), pipe: None, pid: process.pid() });
        kept.push(process);
    }
    if let Some(program) = &options.cella {
        let entry = if upstream == Upstream::Http { Entry::Url(&echo) } else { Entry::Child(1) };
        let cella = Cella::start(program, dir, "read", &[("bench".to_owned(), entry)])?;
        let target = Some(cella.server("bench"));
        lanes.push(Lane { name: "cella", target, pipe: None, pid: cella.process.pid() });
        kept.push(cella.process);
    }
    if let Some(program) = &options.mcp_proxy {
        let (process, target) = peers::mcp_proxy(program, dir, upstream, &echo)?;
        lanes.push(Lane { name: "mcp-proxy", target: Some(target), pipe: None, pid: process.pid() });
        kept.push(process);
    }
    let mut rows = Vec::new();
    for era in Era::ALL {
        for clients in CLIENTS {
            rows.extend(rounds(options, &mut lanes, upstream, era, clients).await?);
        }
    }
    Ok(rows)
}

async fn rounds(
    options: &Options,
    lanes: &mut [Lane],
    upstream: Upstream,
    era: Era,
    clients: usize,
) -> Result<Vec<Row>, String> {
    let mut figures: Vec<Vec<Figures>> = lanes.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        for (lane, of_lane) in lanes.iter_mut().zip(&mut figures) {
            if round == 0 {
                lane.once(era, clients, WARM_UP).await?;
            }
            of_lane.push(lane.once(era, clients, options.time).await?);
        }
    }
    let row = |(lane, rounds): (&Lane, &Vec<Figures>)| Row {
        target: lane.name.to_owned(),
        upstream,
        era,
        clients,
        figures: measure::median(rounds),
    };
    Ok(lanes.iter().zip(&figures).map(row).collect())
}

impl Lane {
    async fn once(&mut self, era: Era, clients: usize, time: Duration) -> Result<Figures, String> {
        let before = process::cpu_ms(self.pid);
        let named = |e: String| format!("{}, {} era, {clients} clients: {e}", self.name, era.name());
        let sample = match (&self.target, &mut self.pipe) {
            (Some(target), _) => load::http(target, era, Work::Call, clients, time).await.map_err(named)?,
            (None, Some(pipe)) => pipe.load(era, clients, time).await?,
            (None, None) => return Err("a lane without a target".to_owned()),
        };
        Ok(measure::figures(sample, process::cpu_ms(self.pid) - before))
    }
}

/// Calls whose intent must be on disk before the effect.
async fn durable(options: &Options, program: &Path, dir: &Path) -> Result<Vec<Fact>, String> {
    let echo = peers::echo(dir, 1)?;
    let cella = Cella::start(program, dir, "irreversible", &[("bench".to_owned(), Entry::Url(&echo))])?;
    let target = cella.server("bench");
    let mut facts = Vec::new();
    for clients in CLIENTS {
        load::http(&target, Era::Modern, Work::Call, clients, WARM_UP).await?;
        let mut figures = Vec::new();
        for _ in 0..options.rounds {
            let sample = load::http(&target, Era::Modern, Work::Call, clients, options.time).await?;
            figures.push(measure::figures(sample, 0.0));
        }
        let median = measure::median(&figures);
        let name = |what: &str| format!("irreversible tool, http, modern, {clients} clients: {what}");
        facts.push(Fact { name: name("p50"), value: median.p50_ms, unit: "ms" });
        facts.push(Fact { name: name("rate"), value: median.rate, unit: "calls/s" });
    }
    Ok(facts)
}

/// Resident memory of the node with servers that were started and are idle.
async fn memory(program: &Path, dir: &Path) -> Result<Vec<Fact>, String> {
    let mut facts = Vec::new();
    for idle in IDLE_SERVERS {
        let servers: Vec<_> = (0..idle).map(|n| (format!("idle{n}"), Entry::Child(1))).collect();
        let cella = Cella::start(program, dir, "read", &servers)?;
        for (name, _) in &servers {
            load::http(&cella.server(name), Era::Modern, Work::Call, 1, Duration::from_millis(20)).await?;
        }
        tokio::time::sleep(REST).await;
        let pid = cella.process.pid();
        let name = |what: &str| format!("{idle} idle stdio servers: {what}");
        facts.push(Fact {
            name: name("resident memory of the node"),
            value: process::resident_mib(pid),
            unit: "MiB",
        });
        facts.push(Fact { name: name("processes"), value: process::count(pid) as f64, unit: "" });
    }
    Ok(facts)
}

/// A long list from the node's cache.
async fn lists(options: &Options, program: &Path, dir: &Path) -> Result<Vec<Fact>, String> {
    let echo = peers::echo(dir, LONG_LIST)?;
    let cella = Cella::start(program, dir, "read", &[("long".to_owned(), Entry::Url(&echo))])?;
    let mut facts = Vec::new();
    for era in Era::ALL {
        for (whom, target) in [("one server", cella.server("long")), ("all servers", cella.all())] {
            load::http(&target, era, Work::List, 1, WARM_UP).await?;
            let sample = load::http(&target, era, Work::List, 1, options.time).await?;
            let figures = measure::figures(sample, 0.0);
            let name = format!("list of {LONG_LIST} tools, {} era, {whom}: p50", era.name());
            facts.push(Fact { name, value: figures.p50_ms, unit: "ms" });
        }
    }
    Ok(facts)
}
