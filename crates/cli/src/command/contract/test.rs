//! Puts up the walls of a contract and looks from inside whether each grant works.

use std::{path::PathBuf, sync::Arc};

use cella_cell::{Access, Enforcement, Report};
use cella_contract::Contract;
use cella_node::confine::{ConfineError, Confined, Confinement, NoSink, Terms, Wish, Wished, file_grants};
use cella_node::observe::Refused;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::denied;
use crate::{
    args::Global,
    command::exec,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target, terms,
};

/// Says of each path whether it may be read and changed, as the user of the cell.
const PROBE: &str = "for p; do r=-; w=-; [ -r \"$p\" ] && r=r; [ -w \"$p\" ] && w=w; echo $r$w; done";

/// A grant and how it fares.
struct Tried {
    path: PathBuf,
    wanted: Access,
    /// Why it does not work; nothing if it does.
    wrong: Option<String>,
}

/// What came out.
struct Found {
    report: Report,
    /// Why a cell that has to be complete is refused here.
    refused: Option<ConfineError>,
    grants: Vec<Tried>,
}

pub(super) async fn run(
    (word, of): (&str, &Terms),
    lately: &[Refused],
    global: &Global,
    printer: Printer,
) -> Outcome {
    let found = look(of, global).await?;
    let name = of.contract.name();
    if printer.is_json() {
        let mut value = as_json(&name, &found);
        value["denied"] = lately.iter().map(|refused| denied::as_json(word, refused)).collect();
        printer.json(&value);
    } else {
        show(&name, &found, printer);
        lately.iter().for_each(|refused| denied::show(word, refused, printer));
    }
    let well = found.report.degraded.is_empty() && found.grants.iter().all(|tried| tried.wrong.is_none());
    Ok(if well { Code::Ok } else { Code::Degraded })
}

async fn look(of: &Terms, global: &Global) -> Result<Found, Stop> {
    let grants = file_grants(of);
    let usable: Vec<PathBuf> =
        grants.iter().filter(|(.., refused)| refused.is_none()).map(|(path, ..)| path.clone()).collect();
    // What cannot be granted is reported; the walls are tried with the rest.
    let mut contract = of.written_out();
    contract.files = std::mem::take(&mut contract.files)
        .into_iter()
        .zip(&grants)
        .filter(|(_, g)| g.2.is_none())
        .map(|(f, _)| f)
        .collect();
    contract.limits.time = None;
    let args = [vec!["-c".to_owned(), PROBE.to_owned(), "sh".to_owned()], shown(&usable)].concat();
    let wish = Wish {
        name: "contract-test".to_owned(),
        terms: Terms { contract, base: of.base.clone(), named: Vec::new() },
        command: "/bin/sh".to_owned(),
        args,
        cwd: None,
        env: Vec::new(),
        best_effort: false,
        copy: false,
        from: None,
    };
    let loaded = terms::configuration(global).ok().flatten();
    let failed = |error: ConfineError| exec::refusal(&error, "/bin/sh");
    let mut wished = wish.resolve(&target::places(global), loaded.as_ref()).map_err(failed)?;
    let confinement = Confinement::new();
    let contract = &wish.terms.contract;
    let (running, refused) = match start(&confinement, &wished, contract).await {
        Ok(running) => (running, None),
        Err(error) => {
            wished.spec.enforcement = Enforcement::BestEffort;
            let again = start(&confinement, &wished, contract).await;
            (again.map_err(failed)?, Some(error))
        }
    };
    let report = (**running.cell.report()).clone();
    let said = answers(running).await?;
    let mut said = said.lines();
    let tried = grants.into_iter().map(|(path, wanted, refused)| {
        let wrong = match refused {
            Some(error) => Some(error.to_string()),
            None => lacking(wanted, said.next().unwrap_or("--")),
        };
        Tried { path, wanted, wrong }
    });
    Ok(Found { report, refused, grants: tried.collect() })
}

async fn start(
    confinement: &Confinement,
    wished: &Wished,
    contract: &Contract,
) -> Result<Confined, ConfineError> {
    confinement.start(&wished.spec, contract, &wished.sources, Arc::new(NoSink)).await
}

async fn answers(mut running: Confined) -> Result<String, Stop> {
    drop(running.stdin);
    let mut said = String::new();
    running.stdout.read_to_string(&mut said).await.map_err(Stop::system("the probe"))?;
    running.cell.wait().await;
    if let Some(workspace) = running.workspace {
        workspace.discard().await;
    }
    Ok(said)
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// What the cell's user lacks, of `rw` as the probe says it.
fn lacking(wanted: Access, said: &str) -> Option<String> {
    let (read, write) = (said.starts_with('r'), said.ends_with('w'));
    match wanted {
        _ if !read => Some("the user of the cell may not read it".to_owned()),
        Access::Write | Access::Copy if !write => Some("the user of the cell may not change it".to_owned()),
        _ => None,
    }
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Copy => "copy",
    }
}

fn show(name: &str, found: &Found, printer: Printer) {
    printer.line(format!("{name}, in a cell of class {}", found.report.class));
    cella_words::report_lines(&found.report).iter().for_each(|line| printer.line(line));
    for tried in &found.grants {
        let state = if tried.wrong.is_some() { "broken" } else { "works" };
        let why = tried.wrong.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        printer.line(format!("  {state:<9} {:<12} {}{why}", word(tried.wanted), tried.path.display()));
    }
    if let Some(error) = &found.refused {
        printer.line(format!("  a cell with all of this is refused here [{}]: {error}", error.code()));
        if let Some(fix) = error.fix() {
            printer.line(format!("{:<25}fix: {fix}", ""));
        }
    }
}

fn as_json(name: &str, found: &Found) -> Value {
    let grant = |tried: &Tried| json!({ "path": tried.path, "mode": word(tried.wanted), "works": tried.wrong.is_none(), "why_not": tried.wrong });
    json!({
        "schema": "cella/v1",
        "contract": name,
        "report": found.report,
        "grants": found.grants.iter().map(grant).collect::<Vec<_>>(),
        "refused": found.refused.as_ref().map(
            |e| json!({ "code": e.code(), "message": e.to_string(), "fix": e.fix() })
        ),
    })
}
