//! Verbs that read a ledger: by the running node where there is one and it matters, else from its file. Nothing is begun, asked or called.

use std::{collections::BTreeSet, path::Path, time::SystemTime};

use cella_agency::{self as agency};
use cella_contract::{AgentConfig, Config, Contract, parse_duration};
use cella_event::{Micros, RunId};
use cella_ledger::Reader;
use cella_luggage::Luggage;
use cella_pursuit::{LoadError, known_runs, load};
use serde_json::Value;

use super::watch::sentence;
use crate::{
    args::{Backtest, Global, Show, Target},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target::{self},
};

pub(super) async fn list(at: &Target, global: &Global, printer: Printer) -> Outcome {
    let answer = match target::running(global, at)? {
        Some(reach) => reach.get("/api/v1/runs").await?,
        None => agency::list(&reader(global)?, |_| false).map_err(unreadable)?,
    };
    if printer.is_json() {
        printer.json(&answer);
        return Ok(Code::Ok);
    }
    let runs = answer["runs"].as_array().cloned().unwrap_or_default();
    if runs.is_empty() {
        printer.note("no runs yet: cella run AGENT \"task\"");
        return Ok(Code::Ok);
    }
    let head = ["RUN", "STATUS", "AGENT", "TURNS", "CALLS", "TASK"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for run in &runs {
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        let task: String = text("task").chars().take(60).collect();
        let why = if run["why"].is_string() { text("why") } else { task };
        rows.push(vec![
            text("run"),
            text("status"),
            text("agent"),
            run["turns"].to_string(),
            run["calls"].to_string(),
            why,
        ]);
    }
    printer.table(&rows);
    if answer["more"] == true {
        printer.note(format!("the newest {} are shown", runs.len()));
    }
    Ok(Code::Ok)
}

pub(super) async fn show(args: Show, global: &Global, printer: Printer) -> Outcome {
    let Show { which: args, tape } = args;
    if tape {
        let reader = reader(global)?;
        let run = named(&reader, &args.run)?;
        let lines = agency::tape(&reader, &run).map_err(unreadable)?;
        lines.lines().for_each(|line| printer.line(line));
        return Ok(Code::Ok);
    }
    let answer = match target::running(global, &args.target)? {
        Some(reach) => reach.get(&format!("/api/v1/runs/{}", args.run)).await?,
        None => {
            let reader = reader(global)?;
            let run = named(&reader, &args.run)?;
            agency::show(&reader, &run, false).map_err(unreadable)?
        }
    };
    if printer.is_json() {
        printer.json(&answer);
        return Ok(Code::Ok);
    }
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    printer.line(format!("{}  {}  {}", text("run"), text("agent"), text("status")));
    for fact in answer["facts"].as_array().into_iter().flatten() {
        printer.line(sentence(fact));
    }
    for kept in answer["checkpoints"].as_array().into_iter().flatten() {
        printer.line(checkpoint(kept));
    }
    for one in answer["not_forked"].as_array().into_iter().flatten() {
        let server = one["server"].as_str().unwrap_or_default();
        let which = if one["direct"] == true {
            "what it may write on the host itself"
        } else {
            "no copies of the run's own"
        };
        printer.line(format!("files of {server}: a fork does not take them along ({which})"));
    }
    for call in answer["waiting"].as_array().into_iter().flatten() {
        let text = |name: &str| call[name].as_str().unwrap_or_default();
        printer.line(format!(
            "waits ({}): {} {} {}",
            text("for"),
            text("step"),
            text("tool"),
            text("arguments")
        ));
    }
    Ok(Code::Ok)
}

/// What was kept of a run's files after a call, for a person.
fn checkpoint(kept: &Value) -> String {
    let text = |name: &str| kept[name].as_str();
    let what = match (text("code"), text("workspace")) {
        (Some(code), _) => format!("could not be kept: {} [{code}]", text("why").unwrap_or_default()),
        (None, Some(workspace)) => format!("workspace {workspace}, {} bytes new", kept["bytes"]),
        (None, None) => "as on the host".to_owned(),
    };
    format!("{:>6}  {:<14} {}: {what}", kept["seq"].to_string(), "files", text("server").unwrap_or_default())
}

/// A replay in words; true where it is identical.
pub(super) fn tell_replay(run: &str, answer: &Value, printer: Printer) -> bool {
    let identical = answer["identical"] == true;
    if printer.is_json() {
        printer.json(answer);
    } else if identical {
        let (events, compared) = (&answer["events"], &answer["compared"]);
        printer.line(format!(
            "{run}: identical. {events} events, {compared} decisions compared, 0 calls, 0 bytes of network"
        ));
    } else {
        let divergence = &answer["divergence"];
        let text = |name: &str| divergence[name].as_str().unwrap_or_default();
        match divergence["seq"].as_u64() {
            Some(seq) => {
                printer.line(format!("{run}: diverges at event {seq}"));
                printer.line(format!("  recorded: {}", text("recorded")));
                printer.line(format!("  due:      {}", text("due")));
            }
            None => printer.line(format!("{run}: cannot be replayed: {}", text("why"))),
        }
    }
    identical
}

pub(super) fn diff(left: &str, right: &str, global: &Global, printer: Printer) -> Outcome {
    let reader = reader(global)?;
    let (left, right) = (named(&reader, left)?, named(&reader, right)?);
    let mut answer = agency::compared(&reader, &left, &right).map_err(unreadable)?;
    let store = target::places(global).recorded_workspaces().store().clone();
    let unknown = match cella_luggage::differing(&Luggage::new(reader, store), &left, &right) {
        Ok(files) => {
            answer["files"] = files.into();
            None
        }
        Err(fault) => Some(format!("files are not compared: {fault} [{}]", fault.code())),
    };
    let files = answer["files"].as_array().cloned().unwrap_or_default();
    let sides = ["only_left", "only_right"].map(|side| answer[side].as_array().cloned().unwrap_or_default());
    let same = sides.iter().all(Vec::is_empty) && files.is_empty();
    if let Some(unknown) = unknown {
        answer["files_unknown"] = unknown.as_str().into();
        printer.warn(unknown);
    }
    if printer.is_json() {
        printer.json(&answer);
    } else {
        printer.line(format!("{} facts are shared", answer["shared"]));
        for (name, facts, mark) in [(&left, &sides[0], "-"), (&right, &sides[1], "+")] {
            printer.line(format!("{mark} {name}: {} of its own", facts.len()));
            for fact in facts {
                printer.line(format!("{mark} {}", sentence(fact)));
            }
        }
        for file in &files {
            let text = |name: &str| file[name].as_str().unwrap_or_default();
            let (server, path) = (text("server"), text("path"));
            printer.line(format!("file {path} ({server}): {} | {}", text("left"), text("right")));
        }
    }
    Ok(if same { Code::Ok } else { Code::Differs })
}

pub(super) fn backtest(args: &Backtest, global: &Global, printer: Printer) -> Outcome {
    let since = since(&args.since)?;
    let reader = reader(global)?;
    let (answer, changed) = if let (Some(file), Some(server)) = (&args.contract, &args.server) {
        let contract = Contract::parse(&file.display().to_string(), &text(file)?)
            .map_err(|faults| Stop::diagnostics(&faults))?;
        let answer = agency::under_contract(&reader, server, &contract, since).map_err(unreadable)?;
        let changed = answer["changed"].as_array().is_some_and(|changed| !changed.is_empty());
        (answer, changed)
    } else if let Some(file) = &args.agreement {
        let answer = as_agreed(&reader, file, since)?;
        let changed = answer["refused"].as_array().is_some_and(|refused| !refused.is_empty());
        (answer, changed)
    } else {
        let file = args.agent.as_deref().unwrap_or_else(|| Path::new(""));
        let answer = as_agent(&reader, file, since)?;
        let changed = answer["runs"].as_array().into_iter().flatten().any(|run| run["identical"] == false);
        (answer, changed)
    };
    if printer.is_json() {
        printer.json(&answer);
    } else {
        tested(&answer, printer);
    }
    Ok(if changed { Code::Differs } else { Code::Ok })
}

/// Runs of an agent as its file would have it now: what only a node knows (tools, their effects) is as it was in each run.
fn as_agent(reader: &Reader, file: &Path, since: Micros) -> Result<Value, Stop> {
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let config = AgentConfig::parse(name, &file.display().to_string(), &text(file)?)
        .map_err(|faults| Stop::diagnostics(&faults))?;
    let dir = file.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
    agency::under_config(reader, &config, &dir, since)
        .map_err(|fault| Stop::new(Code::Failed, fault.code(), fault.to_string()).fix(fault.fix()))
}

/// Runs under other budgets and prices; the providers are those of the configuration where the file names none.
fn as_agreed(reader: &Reader, file: &Path, since: Micros) -> Result<Value, Stop> {
    let (config, _) = Config::parse(&file.display().to_string(), &text(file)?)
        .map_err(|faults| Stop::diagnostics(&faults))?;
    let base = file.parent().unwrap_or_else(|| Path::new(""));
    agency::under_agreement(reader, &config, base, since).map_err(unreadable)
}

fn agreed(answer: &Value, printer: Printer) {
    let refused = answer["refused"].as_array().cloned().unwrap_or_default();
    printer.line(format!("{} runs: {} would have been stopped", answer["runs_tested"], refused.len()));
    for line in &refused {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        printer.line(format!("  {} at {}: {}", text("run"), line["seq"], text("why")));
    }
    let micros = |name: &str| answer["cost_micros"][name].as_u64().unwrap_or_default();
    if micros("was") != micros("would_be") {
        let dollars = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        printer.line(format!(
            "cost: {} then, {} by these prices",
            dollars(micros("was")),
            dollars(micros("would_be"))
        ));
    }
    printer.note(format!("exact {}", answer["exact"].as_str().unwrap_or_default()));
}

fn tested(answer: &Value, printer: Printer) {
    if answer["refused"].is_array() {
        return agreed(answer, printer);
    }
    let runs = &answer["runs_tested"];
    if answer["server"].is_string() {
        let (calls, denied) = (&answer["calls"], &answer["denied"]);
        printer.line(format!("{runs} runs, {calls} calls: {denied} would have been denied"));
        for line in answer["changed"].as_array().into_iter().flatten() {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            let what = match line["denied"].as_str() {
                Some(rule) => format!("denied: {rule} [{}]", text("code")),
                None => format!("treated as {} (was {})", text("effect"), text("was")),
            };
            printer.line(format!(
                "{} event {} {} {}: {what}",
                text("run"),
                line["seq"],
                text("step"),
                text("tool")
            ));
        }
    } else {
        for run in answer["runs"].as_array().into_iter().flatten() {
            let name = run["run"].as_str().unwrap_or_default();
            match (run["identical"] == true, run["divergence"]["seq"].as_u64()) {
                (true, _) => printer.line(format!("{name}: identical, {} events", run["events"])),
                (false, Some(seq)) => printer.line(format!("{name}: diverges at event {seq}")),
                (false, None) => {
                    printer.line(format!("{name}: {}", run["divergence"]["why"].as_str().unwrap_or_default()))
                }
            }
        }
        printer.line(format!("{runs} runs looked at"));
    }
    for run in answer["unreadable"].as_array().into_iter().flatten() {
        printer.warn(format!(
            "{} cannot be read: {}",
            run["run"].as_str().unwrap_or_default(),
            run["why"].as_str().unwrap_or_default()
        ));
    }
    printer.note(format!("exact {}", answer["exact"].as_str().unwrap_or_default()));
}

fn since(text: &str) -> Result<Micros, Stop> {
    let time = parse_duration(text).ok_or_else(|| {
        Stop::new(Code::Usage, codes::USAGE, format!("`{text}` is no length of time"))
            .fix("write 30d, 12h or 90m")
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(Micros(i64::try_from(now.saturating_sub(time).as_micros()).unwrap_or_default()))
}

fn text(file: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(file).map_err(|fault| {
        let why = fault.to_string();
        let fault = agency::ApiError::from(agency::AgentError::Unreadable { path: file.to_owned(), why });
        Stop::new(Code::Failed, fault.code(), fault.to_string()).fix("name a file that is there and readable")
    })
}

pub(super) fn reader(global: &Global) -> Result<Reader, Stop> {
    let history = target::places(global).history().map_err(Stop::from)?;
    Ok(history.reader())
}

pub(super) fn named(reader: &Reader, text: &str) -> Result<RunId, Stop> {
    agency::named(reader, text)
        .map_err(|fault| Stop::new(Code::Failed, fault.code(), fault.to_string()).fix(fault.fix()))
}

pub(super) fn unreadable(fault: LoadError) -> Stop {
    let fault = agency::ApiError::from(fault);
    Stop::new(Code::Failed, fault.code(), fault.to_string()).fix(fault.fix())
}

/// The cells that a run had for itself, by whatever names the run.
///
/// # Errors
/// There is no such run, or no ledger.
pub fn cells(run: &str, global: &Global) -> Result<BTreeSet<String>, Stop> {
    let reader = reader(global)?;
    let run = named(&reader, run)?;
    cella_luggage::cells(&reader, &run).map_err(|fault| unreadable(fault.into()))
}

/// Names of runs and their tasks, for completion.
pub(crate) fn known(global: &Global) -> Vec<(String, String)> {
    let Ok(reader) = reader(global) else { return Vec::new() };
    let runs = known_runs(&reader, 50).unwrap_or_default();
    let task = |run: &RunId| {
        load(&reader, run).ok().and_then(|facts| match &facts.first()?.what {
            cella_kernel::What::Started(started) => Some(started.task.clone()),
            _ => None,
        })
    };
    runs.iter().map(|(run, _)| (run.as_str().to_owned(), task(run).unwrap_or_default())).collect()
}
