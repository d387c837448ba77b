//! What an idle cell costs this side of its wall: the node's memory, and that of the cell's first process.

use std::fs;

use cella_cell::Process;

use crate::{
    Failed,
    report::{Goal, Report},
    shells,
};

/// Cells that are idle at once.
const CELLS: usize = 25;
/// MiB that one may cost the node.
const EACH: f64 = 3.0;

/// Starts them and looks.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Failed> {
    let class = Process::new();
    let spec = shells::full("/bin/cat", &[], 443)?;
    let first = shells::start(&class, &spec).await?;
    let before = mib("self", "Pss:");
    let mut cells = Vec::new();
    for _ in 0..CELLS {
        cells.push(shells::start(&class, &spec).await?);
    }
    let node = (mib("self", "Pss:") - before) / CELLS as f64;
    let pids = cells.iter().filter_map(|cell| cell.running.cell.pid());
    let inits: f64 = pids.map(|pid| mib(&pid.to_string(), "Pss:")).sum::<f64>() / CELLS as f64;
    let goal = Goal::at_most(EACH, "MiB", "with its first process", node + inits);
    report.single("the broker's memory for an idle cell", "MiB", node, Some(goal));
    report.single("the first process of an idle cell, by share", "MiB", inits, None);
    drop(first);
    for cell in cells {
        cell.running.cell.kill().await;
    }
    Ok(())
}

fn mib(process: &str, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = value.and_then(|value| value.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
