//! The table for people and the JSON for scripts.

use serde_json::{Value, json};

use crate::{measure::Figures, peers::Upstream, wire::Era};

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// `direct`, `cella`, `mcp-proxy`.
    pub target: String,
    /// How the server behind is reached.
    pub upstream: Upstream,
    /// What the client speaks.
    pub era: Era,
    /// How many clients at once.
    pub clients: usize,
    /// Medians over the rounds.
    pub figures: Figures,
}

/// A figure that is not about calls.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// Prints the calls, with what is added to the direct row beside it.
pub fn table(rows: &[Row], facts: &[Fact]) {
    println!(
        "{:<10} {:<8} {:<7} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "target", "upstream", "era", "clients", "p50 ms", "+p50 ms", "p99 ms", "calls/s", "CPU ms", "wrong"
    );
    for row in rows {
        let direct = rows.iter().find(|r| {
            r.target == "direct" && r.upstream == row.upstream && r.era == row.era && r.clients == row.clients
        });
        let added = direct.map_or(0.0, |d| row.figures.p50_ms - d.figures.p50_ms);
        let f = &row.figures;
        println!(
            "{:<10} {:<8} {:<7} {:>7} {:>9.3} {:>9.3} {:>9.3} {:>9.0} {:>9.3} {:>6}",
            row.target,
            row.upstream.name(),
            row.era.name(),
            row.clients,
            f.p50_ms,
            added,
            f.p99_ms,
            f.rate,
            f.cpu_ms,
            f.wrong
        );
    }
    for fact in facts {
        println!("{:<58} {:>9.3} {}", fact.name, fact.value, fact.unit);
    }
}

/// Everything for a script.
#[must_use]
pub fn json(rows: &[Row], facts: &[Fact]) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|r| {
            json!({
                "target": r.target, "upstream": r.upstream.name(), "era": r.era.name(), "clients": r.clients,
                "p50_ms": r.figures.p50_ms, "p99_ms": r.figures.p99_ms, "calls_per_s": r.figures.rate,
                "cpu_ms_per_call": r.figures.cpu_ms, "wrong": r.figures.wrong,
            })
        })
        .collect();
    let facts: Vec<Value> =
        facts.iter().map(|f| json!({ "name": f.name, "value": f.value, "unit": f.unit })).collect();
    json!({ "schema": "cella-bench-gateway/v1", "calls": rows, "facts": facts })
}
