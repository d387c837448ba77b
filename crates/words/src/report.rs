//! What holds a cell, and what could not be put up.

use cella_cell::Report;

/// A report in words, a line for each wall.
#[must_use]
pub fn report_lines(report: &Report) -> Vec<String> {
    let held = report.enforced.iter().map(|wall| format!("  enforced  {:<12} {}", wall.what, wall.how));
    let short = report
        .degraded
        .iter()
        .map(|short| format!("  missing   {:<12} {}\n{:<25}fix: {}", short.what, short.why, "", short.fix));
    held.chain(short).collect()
}
