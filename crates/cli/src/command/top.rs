//! `cella top`: what the cells of a running node use, every second anew.

use std::{collections::HashMap, io::IsTerminal, time::Duration};

use serde_json::Value;

use crate::{
    args::{Global, Top},
    attach::Signals,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target::{self, Reach},
};

/// Time between two tables on a terminal.
const EVERY: Duration = Duration::from_secs(1);
/// Time between the two looks that a single table needs: use of the processor is a difference.
const GLANCE: Duration = Duration::from_millis(300);

/// Processor time of each cell and the age of the node's answer, from the look before.
type Before = HashMap<u64, (u64, u64)>;

pub(crate) async fn run(args: Top, global: &Global, printer: Printer) -> Outcome {
    let reach = target::must_run(global, &args.target)?;
    let live = !args.once && !printer.is_json() && std::io::stdout().is_terminal();
    let mut signals = Signals::new().map_err(Stop::system("signals"))?;
    let mut before = remember(&reach.get("/api/v1/cells").await?);
    let mut pause = GLANCE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = signals.next() => return Ok(Code::Ok),
        }
        let mut seen = look(&reach).await?;
        let now = remember(&seen);
        add_shares(&mut seen, &before);
        before = now;
        if live {
            // Home, and clear what is below: no flicker, and nothing of the screen before is lost above.
            printer.line("\u{1b}[H\u{1b}[2J");
        }
        show(&seen, printer);
        if !live {
            return Ok(Code::Ok);
        }
        pause = EVERY;
    }
}

async fn look(reach: &Reach) -> Result<Value, Stop> {
    reach.get("/api/v1/cells").await
}

fn cells(seen: &Value) -> impl Iterator<Item = &Value> {
    seen["cells"].as_array().into_iter().flatten()
}

fn remember(seen: &Value) -> Before {
    let at = seen["at_ms"].as_u64().unwrap_or_default();
    let of = |cell: &Value| Some((cell["pid"].as_u64()?, (cell["cpu_ms"].as_u64()?, at)));
    cells(seen).filter_map(of).collect()
}

/// Adds `cpu_percent`: of one core, since the look before.
fn add_shares(seen: &mut Value, before: &Before) {
    let at = seen["at_ms"].as_u64().unwrap_or_default();
    for cell in seen["cells"].as_array_mut().into_iter().flatten() {
        let share = cell["pid"].as_u64().and_then(|pid| before.get(&pid)).and_then(|(cpu, then)| {
            let used = cell["cpu_ms"].as_u64()?.saturating_sub(*cpu);
            let tenths = (used * 1000).checked_div(at.saturating_sub(*then))?;
            Some(f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0)
        });
        cell["cpu_percent"] = share.into();
    }
}

fn show(seen: &Value, printer: Printer) {
    if printer.is_json() {
        printer.json(seen);
        return;
    }
    let head = ["SERVER", "CLASS", "PID", "STATE", "CPU%", "MEMORY", "PROCS", "UPTIME", "CONNS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(cells(seen).map(row));
    printer.table(&rows);
}

fn row(cell: &Value) -> Vec<String> {
    let text = |key: &str| match &cell[key] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let memory = cell["memory_bytes"].as_u64().map_or_else(|| "-".to_owned(), mebibytes);
    let uptime = cell["uptime_ms"].as_u64().map_or_else(|| "-".to_owned(), |ms| clock(ms / 1000));
    vec![
        text("server"),
        text("class"),
        text("pid"),
        text("state"),
        text("cpu_percent"),
        memory,
        text("processes"),
        uptime,
        text("connections"),
    ]
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes / (1 << 20) * 10 + bytes % (1 << 20) * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_share_of_a_processor_is_a_difference_between_two_looks() {
        let before = remember(&json!({ "at_ms": 1000, "cells": [{ "pid": 7, "cpu_ms": 100 }] }));
        let mut seen =
            json!({ "at_ms": 2000, "cells": [{ "pid": 7, "cpu_ms": 350 }, { "pid": 8, "cpu_ms": 5 }] });
        add_shares(&mut seen, &before);
        assert_eq!(seen["cells"][0]["cpu_percent"], 25.0);
        assert!(seen["cells"][1]["cpu_percent"].is_null(), "not seen before");
        assert_eq!((mebibytes(3 << 19), clock(3661)), ("1.5 MiB".into(), "1:01:01".into()));
    }
}
